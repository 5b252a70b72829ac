// Package clusters turns pointwise clusters of the IR (hone.Fused ops of the
// fused level without an anchor) into GPU kernels of codegen/ptx: what TensorRT
// has no operator for can run beside the plan. It knows the IR and ptx; it
// launches nothing.
package clusters

import (
	"fmt"

	"github.com/hone-ml/hone/codegen/ptx"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes/fuse"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// Target is the table of what a GPU kernel of hone's computes in one pass.
func Target() fuse.Target {
	return fuse.Target{
		Anchor:      func(*ir.Op, []*ir.Op) bool { return false },
		Pointwise:   takes,
		MaxOps:      64,
		MaxOperands: 16,
	}
}

// Cluster is a kernel with the shapes it is launched on. Operands are those of
// the fused op that the kernel reads; constants of one element are part of it.
type Cluster struct {
	Kernel   *ptx.Kernel
	Operands []int
	Shape    ir.Type // of the results
	R        ir.Dim  // see ptx.Shape
	C, Inner ir.Dim
}

var dtypes = map[tensor.DType]ptx.Type{tensor.Float32: ptx.F32, tensor.Float16: ptx.F16, tensor.BFloat16: ptx.BF16, tensor.Bool: ptx.Bool}

// takes reports whether op may be part of a cluster: it has a form in ptx, and
// its operands broadcast in a way that a kernel reads.
func takes(op *ir.Op) bool {
	if forms[op.Name] == nil || op.NumResults() != 1 {
		return false
	}
	out := op.Result(0).Type
	if _, ok := dtypes[out.DType]; !ok || !out.Ranked {
		return false
	}
	for _, v := range op.Operands() {
		if v == nil {
			continue
		}
		if _, ok := dtypes[v.Type.DType]; !ok || !v.Type.Ranked {
			return false
		}
		if _, _, _, ok := broadcast(v.Type, out); !ok {
			return false
		}
	}
	k := &building{kernel: &ptx.Kernel{Name: "k"}}
	return k.try(op)
}

// broadcast says how an operand's elements belong to those of a result: all of
// them, one, or a run of axes that follow one another, of c elements with inner
// elements of the result to each.
func broadcast(in, out ir.Type) (b ptx.Broadcast, c, inner ir.Dim, ok bool) {
	one := ir.Const(1)
	r := out.Rank()
	shift := r - in.Rank()
	if shift < 0 {
		return 0, one, one, false
	}
	same, first, last := true, -1, -1
	for i, d := range out.Dims {
		has := one
		if i >= shift {
			has = in.Dims[i-shift]
		}
		switch {
		case !has.Equal(d) && !has.IsInt(1):
			return 0, one, one, false
		case !has.IsInt(1):
			if first < 0 {
				first = i
			}
			last = i
		}
		same = same && has.Equal(d)
	}
	switch {
	case same:
		return ptx.Full, one, one, true
	case first < 0:
		return ptx.Scalar, one, one, true
	}
	c, inner = one, one
	for i, d := range out.Dims {
		switch {
		case i > last:
			inner = inner.Mul(d)
		case i >= first && i >= shift && in.Dims[i-shift].Equal(d):
			c = c.Mul(d)
		case i >= first:
			return 0, one, one, false // a hole in the run
		}
	}
	if inner.IsInt(1) {
		return ptx.Row, c, one, true
	}
	return ptx.Channel, c, inner, true
}

// Build makes the kernel of a fused op.
func Build(op *ir.Op, name string) (*Cluster, error) {
	body := op.Region(ops.FusedRegion)
	if body == nil || op.NumResults() == 0 {
		return nil, fmt.Errorf("%s is no cluster", ops.Describe(op))
	}
	c := &Cluster{Kernel: &ptx.Kernel{Name: name}, Shape: op.Result(0).Type, R: ir.Const(1), C: ir.Const(1), Inner: ir.Const(1)}
	for _, r := range op.Results() {
		if !sameDims(r.Type, c.Shape) {
			return nil, fmt.Errorf("%s: results of two shapes, %s and %s", ops.Describe(op), c.Shape, r.Type)
		}
	}
	k := &building{kernel: c.Kernel, values: map[*ir.Value]int{}, constants: map[*ir.Value]*ir.Data{}}
	for i, v := range op.Operands() {
		arg := body.Args[i]
		if d := v.Data(); d != nil && d.Len() == 1 && d.DType != tensor.Bool {
			k.constants[arg] = d
			continue
		}
		b, count, inner, ok := broadcast(v.Type, c.Shape)
		t, known := dtypes[v.Type.DType]
		if !ok || !known {
			return nil, fmt.Errorf("%s: operand %d, %s, does not broadcast to %s as a kernel reads it", ops.Describe(op), i, v.Type, c.Shape)
		}
		switch {
		case b == ptx.Row && (c.R.IsInt(1) || c.R.Equal(count)):
			c.R = count
		case b == ptx.Channel && (c.C.IsInt(1) && c.Inner.IsInt(1) || c.C.Equal(count) && c.Inner.Equal(inner)):
			c.C, c.Inner = count, inner
		case b == ptx.Row || b == ptx.Channel:
			return nil, fmt.Errorf("%s: vectors along more axes than a kernel reads", ops.Describe(op))
		}
		k.values[arg] = len(c.Kernel.Inputs)
		c.Kernel.Inputs = append(c.Kernel.Inputs, ptx.Input{Type: t, Broadcast: b})
		c.Operands = append(c.Operands, i)
	}
	for inner := range body.Ops() {
		if inner.Name == ir.YieldName {
			continue
		}
		if d := inner.Result(0).Data(); inner.Name == ir.ConstantName && d != nil && d.Len() == 1 {
			k.constants[inner.Result(0)] = d
			continue
		}
		form := forms[inner.Name]
		if form == nil {
			return nil, fmt.Errorf("%s has no form as a GPU kernel", ops.Describe(inner))
		}
		v := form(k, inner)
		if k.err != nil {
			return nil, fmt.Errorf("%s: %w", ops.Describe(inner), k.err)
		}
		k.values[inner.Result(0)] = v
	}
	for _, v := range body.Results() {
		c.Kernel.Outputs = append(c.Kernel.Outputs, k.value(v))
	}
	if k.err != nil {
		return nil, k.err
	}
	return c, c.Kernel.Validate()
}

func sameDims(a, b ir.Type) bool {
	if a.Rank() != b.Rank() {
		return false
	}
	for i := range a.Dims {
		if !a.Dims[i].Equal(b.Dims[i]) {
			return false
		}
	}
	return true
}

// scalar is the one element of a constant.
func scalar(d *ir.Data) (float32, error) {
	t, err := d.Tensor()
	if err != nil {
		return 0, err
	}
	return float32(ref.Float64s(t)[0]), nil
}
