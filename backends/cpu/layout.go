package cpu

import (
	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
)

// assignLayouts gives values the layout in which their kernels read and write
// them, and inserts cpu.Reorder where producer and reader differ. Convolutions
// work on blocks of 16 channels, and what can follow them in that layout does;
// everything else is row-major.
func assignLayouts(c *passes.Context, m *ir.Module) (bool, error) {
	return assignBlock(c, m.Main().Body)
}

// assignBlock assigns the layouts of a block. Regions that are bodies of their
// own read row-major values and yield them.
func assignBlock(c *passes.Context, b *ir.Block) (bool, error) {
	l := &layouts{Context: c, twins: map[*ir.Value]*ir.Value{}}
	for op := range b.Ops() {
		if err := l.op(op); err != nil {
			return l.changed, err
		}
	}
	return l.changed, nil
}

type layouts struct {
	*passes.Context
	twins   map[*ir.Value]*ir.Value // the value in the other layout
	changed bool
}

func (l *layouts) op(op *ir.Op) error {
	if op.Name == ir.ConstantName || op.Name == reorderName {
		return nil
	}
	want, blocked := wantedLayouts(op)
	for i, v := range op.Operands() {
		if v == nil || !v.Type.IsTensor() {
			continue
		}
		w := ir.Plain
		if blocked {
			w = want[i]
		} else if channelsLast(op) {
			w = v.Type.Layout
		}
		if v.Type.Layout != w {
			op.SetOperand(i, l.convert(v, w, op))
			l.changed = true
		}
	}
	if blocked {
		setLayout(op)
		l.changed = true
	}
	if op.Name == ops.FusedName {
		return nil
	}
	for _, r := range op.Regions {
		l.region(r, op)
		changed, err := assignBlock(l.Context, r)
		l.changed = l.changed || changed
		if err != nil {
			return err
		}
	}
	return nil
}

// region makes sure that ops inside of regions read row-major values.
func (l *layouts) region(r *ir.Block, at *ir.Op) {
	r.Walk(func(op *ir.Op) bool {
		for i, v := range op.Operands() {
			if v != nil && v.Type.Layout != ir.Plain {
				op.SetOperand(i, l.convert(v, ir.Plain, at))
			}
		}
		return true
	})
}

// convert returns v in the given layout.
func (l *layouts) convert(v *ir.Value, to ir.Layout, at *ir.Op) *ir.Value {
	if t := l.twins[v]; t != nil {
		return t
	}
	t := ir.Before(at).Op(reorderName, []*ir.Value{v}, []ir.Type{v.Type.WithLayout(to)}).Result(0)
	t.Origin = v.Origin
	l.twins[v], l.twins[t] = t, v
	return t
}

// setLayout marks an op's results, and what its region computes, as blocked.
func setLayout(op *ir.Op) {
	for _, r := range op.Results() {
		r.Type = r.Type.WithLayout(ir.C16)
	}
	body := op.Region(ops.FusedRegion)
	if body == nil {
		return
	}
	for i, a := range body.Args {
		a.Type = op.Operand(i).Type
	}
	for inner := range body.Ops() {
		for _, r := range inner.Results() {
			r.Type = r.Type.WithLayout(ir.C16)
		}
	}
}

// wantedLayouts returns the layout in which op reads each operand where it
// works on blocks, and false where it works row-major.
func wantedLayouts(op *ir.Op) ([]ir.Layout, bool) {
	if op.NumResults() != 1 || !isF32(op.Result(0)) || op.Result(0).Type.Rank() < 3 {
		return nil, false
	}
	if _, ok := op.Result(0).Type.Dims[1].Int(); !ok {
		return nil, false
	}
	want := make([]ir.Layout, op.NumOperands())
	switch op.Name {
	case convName:
		want[0] = convInput(op)
		return want, !isPlanes(op)
	case ops.FusedName:
		if a := anchorOf(op); a != nil {
			if a.Name != convName || isPlanes(a) {
				return nil, false
			}
			for i, v := range op.Operands() {
				want[i] = pointwiseOperand(v, op.Result(0))
			}
			for _, parameter := range a.Operands()[1:] {
				if parameter != nil {
					want[parameter.Index()] = ir.Plain
				}
			}
			want[a.Operand(0).Index()] = convInput(a)
			return want, convOperands(op, a)
		}
		return pointwiseLayouts(op, want)
	case transposedName:
		want[0] = ir.C16
		return want, true
	case "MaxPool", "AveragePool", "GlobalAveragePool":
		want[0] = ir.C16
		return want, (op.Operand(0).Type.Layout == ir.C16 || worthBlocks(op)) && poolHasKernel(op)
	case "Pad", "Resize":
		want[0] = ir.C16
		return want, op.Operand(0).Type.Layout == ir.C16 && keepsChannels(op)
	case "Concat":
		return concatLayouts(op, want)
	}
	if isPointwise(op) {
		return pointwiseLayouts(op, want)
	}
	return nil, false
}

// worthBlocks reports whether a pooling op, which has kernels on blocks only,
// has channels enough to fill them.
func worthBlocks(op *ir.Op) bool {
	c, ok := op.Result(0).Type.Dims[1].Int()
	return ok && c >= rt.Lanes/2 && op.Name != "GlobalAveragePool"
}

// isPlanes reports whether a convolution works on row-major images.
func isPlanes(conv *ir.Op) bool {
	f, _ := conv.Attrs.Get("form").(string)
	return f == formPlanes
}

func convInput(conv *ir.Op) ir.Layout {
	if f, _ := conv.Attrs.Get("form").(string); f == formImage || f == formPlanes {
		return ir.Plain
	}
	return ir.C16
}

// convOperands reports whether the values that a fused convolution reads
// besides its own operands can be addressed block by block.
func convOperands(fused, conv *ir.Op) bool {
	own := map[int]bool{}
	for i := range conv.NumOperands() {
		if a := conv.Operand(i); a != nil {
			own[a.Index()] = true
		}
	}
	for i, v := range fused.Operands() {
		if !own[i] && !blockable(v, fused.Result(0)) {
			return false
		}
	}
	return true
}

// anchorOf returns the first op of a fused op's region that is no pointwise one.
func anchorOf(fused *ir.Op) *ir.Op {
	body := fused.Region(ops.FusedRegion)
	if body == nil {
		return nil
	}
	for op := range body.Ops() {
		if op.Name == convName || op.Name == gemmName || op.Name == "MatMul" || op.Name == "Gather" {
			return op
		}
	}
	return nil
}

// blockable reports whether v, read together with y block by block, can be
// addressed: it has y's shape, one value a channel (and sample), or one value.
func blockable(v, y *ir.Value) bool {
	if _, ok := scalarOf(v); ok {
		return true
	}
	r, n := y.Type.Rank(), v.Type.Rank()
	if sameDims(v, y) {
		return true
	}
	if v.Data() != nil {
		return perChannel(v, y, true)
	}
	return n == r && v.Type.Dims[1].Equal(y.Type.Dims[1]) && v.Type.Dims[0].Equal(y.Type.Dims[0]) && allOnes(v.Type.Dims[2:])
}

func allOnes(dims []ir.Dim) bool {
	for _, d := range dims {
		if !d.IsInt(1) {
			return false
		}
	}
	return true
}

func sameDims(a, b *ir.Value) bool {
	if a.Type.Rank() != b.Type.Rank() {
		return false
	}
	for i, d := range a.Type.Dims {
		if !d.Equal(b.Type.Dims[i]) {
			return false
		}
	}
	return true
}

// spread reports whether v, read together with y block by block, can be
// addressed by a program over all of y's dims: besides what is blockable, it
// may repeat along pixels, or be found to have y's shape when sizes are known.
func spread(v, y *ir.Value) bool {
	return blockable(v, y) || v.Data() == nil && v.Type.Rank() == y.Type.Rank() && v.Type.Dims[0].Equal(y.Type.Dims[0]) && v.Type.Dims[1].Equal(y.Type.Dims[1])
}

// pointwiseOperand returns the layout in which a pointwise op on blocks reads
// v: parameters stay as they are.
func pointwiseOperand(v, y *ir.Value) ir.Layout {
	if v.Data() != nil && !sameDims(v, y) {
		return ir.Plain
	}
	return ir.C16
}

// pointwiseLayouts lets a pointwise op work on blocks where one of its
// operands comes in them.
func pointwiseLayouts(op *ir.Op, want []ir.Layout) ([]ir.Layout, bool) {
	y := op.Result(0)
	blocked := false
	for i, v := range op.Operands() {
		if v == nil {
			continue
		}
		if !spread(v, y) {
			return nil, false
		}
		want[i] = pointwiseOperand(v, y)
		blocked = blocked || v.Type.Layout == ir.C16
	}
	return want, blocked
}

// concatLayouts lets a Concat of channels work on blocks: whole ones, or those
// that four lanes at a time fill.
func concatLayouts(op *ir.Op, want []ir.Layout) ([]ir.Layout, bool) {
	axis, _ := op.Attrs.Get("axis").(int64)
	if r := int64(op.Result(0).Type.Rank()); axis < 0 {
		axis += r
	}
	blocked := false
	for i, v := range op.Operands() {
		if axis == 1 {
			if n, ok := v.Type.Dims[1].Int(); !ok || n%4 != 0 && i < op.NumOperands()-1 {
				return nil, false
			}
		}
		want[i] = ir.C16
		blocked = blocked || v.Type.Layout == ir.C16
	}
	return want, blocked && axis == 1
}
