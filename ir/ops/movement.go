package ops

import (
	"fmt"
	"math"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// Operators that move elements without looking at them.
func init() {
	add(map[string]Impl{
		"Transpose": {Infer: inferTranspose, Eval: evalTranspose},
		"Concat":    {Infer: inferConcat, Eval: evalConcat, Upgrades: []Upgrade{{To: 4, Do: given("axis", int64(1))}}},
		"Split": {Infer: inferSplit, Eval: evalSplit, Upgrades: []Upgrade{{To: 13, Do: splitOperand}, {To: 18, Do: splitCount}},
			Downgrades: []Downgrade{{From: 18, Do: splitEvenly}, {From: 13, Do: intsFromOperand("split", 1)}}},
		"Slice": {Infer: inferSlice, Eval: evalSlice, Upgrades: []Upgrade{{To: 10, Do: sliceOperands}},
			Downgrades: []Downgrade{{From: 10, Do: sliceAttrs}}},
		"Pad": {Infer: inferPad, Eval: evalPad, Upgrades: []Upgrade{{To: 11, Do: padOperands}},
			Downgrades: []Downgrade{{From: 18, Do: padAllAxes}, {From: 11, Do: padAttrs}}},
		"Tile":            {Infer: inferTile, Eval: evalTile, Upgrades: []Upgrade{{To: 6, Do: tileRepeats}}},
		"DepthToSpace":    {Infer: inferDepthToSpace, Eval: evalDepthToSpace, Downgrades: []Downgrade{{From: 11, Do: without("mode", "DCR")}}},
		"SpaceToDepth":    {Infer: inferSpaceToDepth, Eval: evalSpaceToDepth, Downgrades: []Downgrade{{From: 28, Do: without("mode", "DCR")}}},
		"ReverseSequence": {Infer: asFirst, Eval: evalReverseSequence},
		"CenterCropPad":   {Infer: inferCenterCropPad, Eval: evalCenterCropPad},
		"Trilu":           {Infer: asFirst, Eval: evalTrilu},
	})
}

func (a attrs) perm(rank int) []int {
	if a.Has("perm") {
		return intsOf(a.Ints("perm"))
	}
	p := allAxes(rank)
	slices.Reverse(p)
	return p
}

func inferTranspose(x *Inference) error {
	in := x.In(0)
	if in.Rank() < 0 {
		x.Set(0, ir.Unranked(in.DType))
		if x.Has("perm") {
			x.Set(0, x.FreshType(in.DType, len(x.Ints("perm"))))
		}
		return nil
	}
	perm := x.perm(in.Rank())
	if sorted := slices.Sorted(slices.Values(perm)); !slices.Equal(sorted, allAxes(in.Rank())) {
		return x.Errorf("perm is %v for %s", perm, in)
	}
	dims := make([]ir.Dim, len(perm))
	for i, p := range perm {
		dims[i] = in.Dims[p]
	}
	x.Set(0, ir.TensorOf(in.DType, dims...))
	e, ok := x.elems(0)
	x.setElems(e, ok)
	return nil
}

func evalTranspose(c *Call) error { return c.done(ref.Transpose(c.In(0), c.perm(c.In(0).Rank()))) }

func inferConcat(x *Inference) error {
	types := make([]ir.Type, x.NumIn())
	ranked := ir.Type{}
	for i := range types {
		types[i] = x.In(i)
		if types[i].Rank() >= 0 {
			ranked = types[i]
		}
	}
	d := knownDType(types...)
	x.Set(0, ir.Unranked(d))
	if ranked.Rank() < 0 {
		return nil
	}
	axis, err := x.axisIn(ranked.Rank())
	if err != nil {
		return err
	}
	dims := slices.Clone(ranked.Dims)
	dims[axis] = ir.Const(0)
	for _, t := range types {
		if t.Rank() < 0 {
			dims[axis] = unknownElem
			continue
		}
		if t.Rank() != len(dims) {
			return x.Errorf("%v have different ranks", types)
		}
		for i, n := range t.Dims {
			if i == axis {
				dims[i] = dims[i].Add(n)
				continue
			}
			if err := agree("dims that are not concatenated", dims[i], n); err != nil {
				return err
			}
			if _, static := n.Int(); static {
				dims[i] = n
			}
		}
	}
	if IsUnknown(dims[axis]) {
		dims[axis] = x.Fresh()
	}
	x.Set(0, ir.TensorOf(d, dims...))
	x.concatElems(types)
	return nil
}

// concatElems joins what is known of one-dimensional operands; those of known
// length may be unknown themselves.
func (x *Inference) concatElems(types []ir.Type) {
	var all []ir.Dim
	any := false
	for i, t := range types {
		e, ok := x.elems(i)
		if !ok {
			n, static := t.StaticShape()
			if !static || len(n) != 1 || n[0] > maxContents || !t.DType.IsInt() {
				return
			}
			e = slices.Repeat([]ir.Dim{unknownElem}, n[0])
		}
		any = any || ok
		all = append(all, e...)
		if t.Rank() != 1 || len(all) > maxContents {
			return
		}
	}
	x.setElems(all, any)
}

func evalConcat(c *Call) error {
	xs := make([]*tensor.Tensor, c.NumIn())
	for i := range xs {
		xs[i] = c.In(i)
	}
	return c.done(ref.Concat(int(c.Int("axis")), xs...))
}

func inferSplit(x *Inference) error {
	in := x.In(0)
	n := x.NumOut()
	for i := range n {
		x.Set(i, ir.Unranked(in.DType))
	}
	if in.Rank() < 0 {
		return nil
	}
	axis, err := x.axisIn(in.Rank())
	if err != nil {
		return err
	}
	sizes := make([]ir.Dim, n)
	total := in.Dims[axis]
	switch e, ok := x.Contents(1); {
	case ok && len(e) != n:
		return x.Errorf("%d sizes for %d results", len(e), n)
	case ok:
		copy(sizes, e)
	case x.HasIn(1):
		for i := range sizes {
			sizes[i] = x.Fresh()
		}
	default:
		each := total.CeilDiv(ir.Const(int64(n)))
		for i := range sizes {
			if size, static := total.Int(); static {
				parts, err := ref.EvenSplit(int(size), n)
				if err != nil {
					return err
				}
				sizes[i] = ir.Const(int64(parts[i]))
			} else {
				left := total.Sub(each.Mul(ir.Const(int64(i))))
				sizes[i] = each.Min(left.Max(ir.Const(0)))
			}
		}
	}
	elems, known := x.elems(0)
	for i, s := range sizes {
		dims := slices.Clone(in.Dims)
		dims[axis] = s
		x.Set(i, ir.TensorOf(in.DType, dims...))
		if k, static := s.Int(); known && static && in.Rank() == 1 && int(k) <= len(elems) {
			x.SetContents(i, elems[:k])
			elems = elems[k:]
		} else {
			known = false
		}
	}
	return nil
}

func evalSplit(c *Call) error {
	x := c.In(0)
	axis, err := c.axisIn(x.Rank())
	if err != nil {
		return err
	}
	sizes := intsIn(c.In(1))
	if c.In(1) == nil {
		if sizes, err = ref.EvenSplit(x.Shape[axis], c.NumOut()); err != nil {
			return err
		}
	}
	if len(sizes) != c.NumOut() {
		return c.Errorf("%d sizes for %d results", len(sizes), c.NumOut())
	}
	parts, err := ref.Split(x, axis, sizes)
	for i, p := range parts {
		c.Set(i, p)
	}
	return err
}

// splitOperand keeps a second operand, which opset 1 knew already.
func splitOperand(b *ir.Builder, op *ir.Op) error { return operandFromInts("split", 1)(b, op) }

// splitCount says by an attribute what the number of results said.
func splitCount(_ *ir.Builder, op *ir.Op) error {
	if op.Operand(1) == nil {
		op.Attrs.Set("num_outputs", int64(op.NumResults()))
	}
	return nil
}

func splitEvenly(_ *ir.Builder, op *ir.Op) error {
	if !op.Attrs.Has("num_outputs") {
		return nil
	}
	in := op.Operand(0).Type
	axis, _ := op.Attrs.Get("axis").(int64)
	if axis < 0 {
		axis += int64(in.Rank())
	}
	if in.Rank() <= int(axis) || axis < 0 || !in.Dims[axis].Mod(ir.Const(int64(op.NumResults()))).IsInt(0) {
		return fmt.Errorf("a split into parts of different sizes has no older form")
	}
	op.Attrs.Delete("num_outputs")
	return nil
}

func inferTile(x *Inference) error {
	in := x.In(0)
	x.Set(0, ir.Unranked(in.DType))
	e, ok := x.Contents(1)
	switch {
	case in.Rank() < 0 && ok:
		x.Set(0, x.FreshType(in.DType, len(e)))
	case in.Rank() >= 0 && !ok:
		x.Set(0, x.FreshType(in.DType, in.Rank()))
	case in.Rank() >= 0:
		if len(e) != in.Rank() {
			return x.Errorf("%d repeats for %s", len(e), in)
		}
		for i, d := range in.Dims {
			e[i] = e[i].Mul(d)
		}
		x.Set(0, ir.TensorOf(in.DType, e...))
	}
	return nil
}

func evalTile(c *Call) error {
	repeats, err := c.sizes(1)
	if err != nil {
		return err
	}
	return c.done(ref.Tile(c.In(0), repeats))
}

// tileRepeats: opset 1 repeats one axis, given as an operand.
func tileRepeats(b *ir.Builder, op *ir.Op) error {
	if op.NumOperands() != 3 {
		return nil
	}
	axis, err := constantOf(op.Operand(2))
	rank := op.Operand(0).Type.Rank()
	if err != nil || axis.Len() != 1 || rank < 0 {
		return fmt.Errorf("a tiled axis that is not constant, or an input of unknown rank, has no newer form")
	}
	a := int(ref.Float64s(axis)[0])
	if a < 0 || a >= rank {
		return fmt.Errorf("axis %d is out of range for rank %d", a, rank)
	}
	tiles, err := Build(b, "Cast", []*ir.Value{op.Operand(1)}, ir.Attr{Name: "to", Value: int64(tensor.Int64)})
	if err != nil {
		return err
	}
	one, err := Build(b, "Reshape", []*ir.Value{tiles.Result(0), b.Int64s(1)})
	if err != nil {
		return err
	}
	ones := func(n int) *ir.Value { return b.Int64s(slices.Repeat([]int64{1}, n)...) }
	repeats, err := Build(b, "Concat", []*ir.Value{ones(a), one.Result(0), ones(rank - a - 1)}, ir.Attr{Name: "axis", Value: int64(0)})
	if err != nil {
		return err
	}
	op.SetOperands(op.Operand(0), repeats.Result(0))
	return nil
}

func (x *Inference) image() (n, c, h, w, block ir.Dim, ok bool, err error) {
	in := x.In(0)
	x.Set(0, ir.Unranked(in.DType))
	if in.Rank() < 0 {
		return n, c, h, w, block, false, nil
	}
	if in.Rank() != 4 || x.Int("blocksize") < 1 {
		return n, c, h, w, block, false, x.Errorf("%s is no NCHW image, or the block size %d is bad", in, x.Int("blocksize"))
	}
	return in.Dims[0], in.Dims[1], in.Dims[2], in.Dims[3], ir.Const(x.Int("blocksize")), true, nil
}

func inferDepthToSpace(x *Inference) error {
	n, c, h, w, b, ok, err := x.image()
	if ok {
		x.Set(0, ir.TensorOf(x.In(0).DType, n, c.FloorDiv(b.Mul(b)), h.Mul(b), w.Mul(b)))
	}
	return err
}

func inferSpaceToDepth(x *Inference) error {
	n, c, h, w, b, ok, err := x.image()
	if ok {
		x.Set(0, ir.TensorOf(x.In(0).DType, n, c.Mul(b).Mul(b), h.FloorDiv(b), w.FloorDiv(b)))
	}
	return err
}

func evalDepthToSpace(c *Call) error {
	return c.done(ref.DepthToSpace(c.In(0), int(c.Int("blocksize")), c.Str("mode")))
}

func evalSpaceToDepth(c *Call) error {
	return c.done(ref.SpaceToDepth(c.In(0), int(c.Int("blocksize")), c.Str("mode")))
}

func evalReverseSequence(c *Call) error {
	return c.done(ref.ReverseSequence(c.In(0), c.In(1), int(c.Int("batch_axis")), int(c.Int("time_axis"))))
}

func inferCenterCropPad(x *Inference) error {
	in := x.In(0)
	x.Set(0, ir.Unranked(in.DType))
	if in.Rank() < 0 {
		return nil
	}
	axes := allAxes(in.Rank())
	if x.Has("axes") {
		axes = intsOf(x.Ints("axes"))
	}
	axes, err := ref.Axes(axes, in.Rank())
	if err != nil {
		return err
	}
	e, ok := x.Contents(1)
	if ok && len(e) != len(axes) {
		return x.Errorf("%d sizes for %d axes", len(e), len(axes))
	}
	dims := slices.Clone(in.Dims)
	for i, a := range axes {
		if ok {
			dims[a] = e[i]
		} else {
			dims[a] = x.Fresh()
		}
	}
	x.Set(0, ir.TensorOf(in.DType, dims...))
	return nil
}

func evalCenterCropPad(c *Call) error {
	axes := allAxes(c.In(0).Rank())
	if c.Has("axes") {
		axes = intsOf(c.Ints("axes"))
	}
	return c.done(ref.CenterCropPad(c.In(0), intsIn(c.In(1)), axes))
}

func evalTrilu(c *Call) error {
	k := 0
	if t := c.In(1); t != nil {
		if t.Len() != 1 {
			return c.Errorf("k is %s, want a scalar", t)
		}
		k = int(min(max(ref.Float64s(t)[0], math.MinInt32), math.MaxInt32))
	}
	return c.done(ref.Trilu(c.In(0), k, c.Bool("upper")))
}
