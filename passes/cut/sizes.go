package cut

import (
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// sizes makes dims smaller. A size that inputs and constants share (the
// channels of an activation and of its weights) is changed in all of them at
// once, and where a small integer constant (the shape of a Reshape) or an
// attribute speaks of it; a part whose shapes no longer agree is no valid module and is not
// tried.
func (r *reducer) sizes() error {
	for _, size := range sizesOf(r.best) {
		for _, smaller := range []int{1, 2, size / 2} {
			if smaller == 0 || smaller >= size {
				continue
			}
			part, err := resized(r.best, size, smaller)
			if err != nil {
				return err
			}
			ok, err := r.try(part)
			if err != nil {
				return err
			}
			if ok {
				break
			}
		}
	}
	return nil
}

// sizesOf returns the sizes above 1 of inputs and constants, largest first.
func sizesOf(m *ir.Module) []int {
	var all []int
	add := func(t ir.Type) {
		for _, d := range t.Dims {
			if n, ok := d.Int(); ok && n > 1 && n == int64(int(n)) {
				all = append(all, int(n))
			}
		}
	}
	for _, a := range m.Main().Body.Args {
		add(a.Type)
	}
	for op := range m.Main().Body.Ops() {
		if d := op.Result(0).Data(); d != nil {
			add(d.Type())
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	slices.Reverse(all)
	return all
}

// resized returns a copy of m with another size. Types of results are those
// of before until they are inferred.
func resized(m *ir.Module, from, to int) (*ir.Module, error) {
	c := m.Clone()
	for _, a := range c.Main().Body.Args {
		a.Type = resizedType(a.Type, from, to)
	}
	var err error
	c.Main().Body.Walk(func(op *ir.Op) bool {
		if d := op.Result(0).Data(); d != nil {
			var t *tensor.Tensor
			if t, err = d.Tensor(); err != nil {
				return false
			}
			if n := resizedTensor(t, from, to); n != t {
				op.Attrs.Set("value", ir.NewData(n))
				op.Result(0).Type = ir.Static(n.DType, n.Shape...)
			}
			return true
		}
		for _, name := range sizeAttrs {
			switch v := op.Attrs.Get(name).(type) {
			case int64:
				op.Attrs.Set(name, resizedInts([]int64{v}, from, to)[0])
			case []int64:
				op.Attrs.Set(name, resizedInts(v, from, to))
			}
		}
		for _, r := range op.Results() {
			if r.Type.IsTensor() {
				r.Type = ir.Unranked(r.Type.DType)
			}
		}
		return true
	})
	return c, err
}

// sizeAttrs are the attributes that repeat a dim of a weight.
var sizeAttrs = []string{"hidden_size", "kernel_shape", "group"}

func resizedInts(vs []int64, from, to int) []int64 {
	vs = slices.Clone(vs)
	for i, v := range vs {
		if v == int64(from) {
			vs[i] = int64(to)
		}
	}
	return vs
}

func resizedType(t ir.Type, from, to int) ir.Type {
	dims := slices.Clone(t.Dims)
	for i, d := range dims {
		if d.IsInt(int64(from)) {
			dims[i] = ir.Const(int64(to))
		}
	}
	t.Dims = dims
	return t
}

// resizedTensor cuts t along the axes of the given size. Elements of small
// integer tensors that equal it change as well. It returns t itself where
// there is nothing to change.
func resizedTensor(t *tensor.Tensor, from, to int) *tensor.Tensor {
	if t.DType.IsSubByte() || t.DType == tensor.String {
		return t
	}
	if t.DType == tensor.Int64 && t.Len() <= smallConstant && slices.Contains(tensor.Of[int64](t), int64(from)) {
		t = tensor.From(tensor.Int64, resizedInts(tensor.Of[int64](t), from, to), t.Shape...)
	}
	if !slices.Contains(t.Shape, from) {
		return t
	}
	shape := slices.Clone(t.Shape)
	for i, n := range shape {
		if n == from {
			shape[i] = to
		}
	}
	size := t.DType.Size()
	src, dst := t.Wire(), make([]byte, 0, size)
	var rows func(axis, at int)
	rows = func(axis, at int) {
		if axis == len(shape) {
			dst = append(dst, src[at*size:(at+1)*size]...)
			return
		}
		for i := range shape[axis] {
			rows(axis+1, at*t.Shape[axis]+i)
		}
	}
	rows(0, 0)
	n, err := tensor.FromWire(t.DType, shape, dst)
	if err != nil {
		return t
	}
	return n
}
