package cpu

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// driver binds one op to drivers of package rt. An error says why there is no
// kernel for this form of the op; the reference then computes it.
type driver func(b *binder, op *ir.Op) ([]rt.Work, error)

// drivers is the table of the ops that have kernels, besides the pointwise
// ones.
var drivers = map[string]driver{
	ops.FusedName: bindFused,
	convName:      func(b *binder, op *ir.Op) ([]rt.Work, error) { return b.conv(op, op.Operand, epilogue{}) },
	gemmName:      func(b *binder, op *ir.Op) ([]rt.Work, error) { return b.gemm(op, op.Operand, epilogue{}) },
	reorderName:   bindReorder,
	"Attention":   bindAttention,
	"MatMul":      func(b *binder, op *ir.Op) ([]rt.Work, error) { return b.matMul(op, op.Operand, epilogue{}) },

	"MaxPool":           bindPool,
	"AveragePool":       bindPool,
	"GlobalAveragePool": bindGlobalPool,

	"Softmax":            bindSoftmax,
	"LogSoftmax":         bindSoftmax,
	"LayerNormalization": bindNorm,
	"RMSNormalization":   bindNorm,
	"ReduceMean":         bindReduce,
	"ReduceSum":          bindReduce,
	"ReduceMax":          bindReduce,
	"ReduceMin":          bindReduce,
	"ReduceSumSquare":    bindReduce,

	"Transpose": bindTranspose,
	"Slice":     bindSlice,
	"Concat":    bindConcat,
	"Split":     bindSplit,
	"Expand":    bindExpand,
	"Gather":    bindGather,
	"GatherND":  bindGatherND,
	"Pad":       bindPad,
	"Resize":    bindResize,

	"DepthToSpace": bindPixels,
	"SpaceToDepth": bindPixels,
}

// one wraps a driver's answer.
func one(w rt.Work, err error) ([]rt.Work, error) {
	if err != nil {
		return nil, err
	}
	return []rt.Work{w}, nil
}

func bindPointwise(b *binder, op *ir.Op) ([]rt.Work, error) {
	p := newProgBuilder()
	if !p.op(op) {
		return nil, errNoKernel
	}
	return b.pointwise(op.Result(0), p.finish(p.regs[op.Result(0)]), p.inputs)
}

func bindFused(b *binder, op *ir.Op) ([]rt.Work, error) {
	a := anchorOf(op)
	if a == nil {
		prog, inputs, ok := regionProgram(op, nil)
		if !ok {
			return nil, errNoKernel
		}
		return b.pointwise(op.Result(0), prog, inputs)
	}
	if isLookup(a) {
		return b.rowSum(op)
	}
	outer := func(i int) *ir.Value {
		if v := a.Operand(i); v != nil {
			return op.Operand(v.Index())
		}
		return nil
	}
	e, err := epilogueOf(op, a)
	if err != nil {
		return nil, err
	}
	switch a.Name {
	case convName:
		return b.conv(a, outer, e)
	case gemmName:
		return b.gemm(a, outer, e)
	}
	return b.matMul(a, outer, e)
}

// epilogue is what follows an anchor in its region: the forms that kernels
// have in registers, or a program.
type epilogue struct {
	result   *ir.Value // of the fused op; nil where the anchor stands alone
	residual *ir.Value
	clamp    bool
	lo, hi   float32
	prog     *rt.Program
	inputs   []*ir.Value // of prog; the first is the anchor's result
}

func epilogueOf(fused, anchor *ir.Op) (epilogue, error) {
	e := epilogue{result: fused.Result(0)}
	outer := func(v *ir.Value) *ir.Value {
		if v != nil && v.IsArg() {
			return fused.Operand(v.Index())
		}
		return v
	}
	acc := anchor.Result(0)
	op := acc.Uses()[0].Op
	if op.Name == "Add" && acc.NumUses() == 1 {
		u := acc.Uses()[0]
		if r := outer(op.Operand(1 - u.Index)); r != nil && r.Def() != op && sameDims(r, acc) && r.Data() == nil && op.Operand(1-u.Index).IsArg() {
			e.residual, acc = r, op.Result(0)
			op = acc.Uses()[0].Op
		}
	}
	if lo, hi, ok := clipBounds(op, func(i int) *ir.Value { return outer(op.Operand(i)) }); ok && acc.NumUses() == 1 && op.Operand(0) == acc {
		e.clamp, e.lo, e.hi, acc = true, lo, hi, op.Result(0)
		op = acc.Uses()[0].Op
	}
	if op.Name == ir.YieldName && acc.NumUses() == 1 {
		return e, nil
	}
	prog, inputs, ok := regionProgram(fused, anchor.Result(0))
	if !ok {
		return e, errNoKernel
	}
	return epilogue{result: e.result, prog: prog, inputs: inputs}, nil
}

// pointwise runs a program over the elements of y.
func (b *binder) pointwise(y *ir.Value, prog *rt.Program, inputs []*ir.Value) ([]rt.Work, error) {
	m := rt.Map{Set: b.kernels, Prog: prog}
	yp := b.places[y]
	blocked := yp.layout == ir.C16
	m.Dims = yp.shape
	if blocked {
		m.Dims = append(slices.Clone(yp.shape), rt.Lanes)
		m.Dims[1] = blocks(yp.shape[1])
	}
	for _, v := range inputs {
		o, err := b.operand(v, yp, blocked)
		if err != nil {
			return nil, err
		}
		m.In = append(m.In, o)
	}
	m.Out = []rt.Operand{{Ptr: b.ptr(y), Strides: rt.Dense(m.Dims)}}
	w, err := m.Work()
	if err != nil {
		return nil, err
	}
	works := []rt.Work{w}
	if blocked {
		n, c, px := blockedDims(yp.shape)
		if c%rt.Lanes != 0 && !keepsZero(prog) {
			works = append(works, rt.ZeroPadLanes(b.ptr(y), n, c, px))
		}
	}
	return works, nil
}

// keepsZero reports whether a program surely computes 0 from zeros.
func keepsZero(p *rt.Program) bool {
	zero := map[rt.Reg]bool{}
	for i := range p.In {
		zero[rt.Reg(i)] = true
	}
	for i, c := range p.Consts {
		zero[p.Const(i)] = c == 0
	}
	for _, c := range p.Code {
		x, y := zero[c.X], zero[c.Y]
		switch c.Op {
		case rt.OpCopy, rt.OpNeg, rt.OpAbs, rt.OpSquare, rt.OpSqrt, rt.OpFloor, rt.OpCeil, rt.OpRound, rt.OpTanh, rt.OpErf,
			rt.OpGelu, rt.OpGeluTanh, rt.OpSilu, rt.OpHardSwish, rt.OpLeakyRelu, rt.OpElu, rt.OpPrelu:
			zero[c.Dst] = x
		case rt.OpClamp:
			zero[c.Dst] = x && c.P0 <= 0 && c.P1 >= 0
		case rt.OpAdd, rt.OpSub, rt.OpMin, rt.OpMax:
			zero[c.Dst] = x && y
		case rt.OpMul: // the other one could be infinite, but not in a pad lane of a parameter
			zero[c.Dst] = x && y
		default:
			zero[c.Dst] = false
		}
	}
	return zero[p.Out[0]]
}

// operand describes v as it is read over the iteration space of y: its dims,
// or where y is blocked those with blocks for channels, and lanes.
func (b *binder) operand(v *ir.Value, y *place, blocked bool) (rt.Operand, error) {
	p := b.places[v]
	if !blocked {
		if p.layout != ir.Plain {
			return rt.Operand{}, fmt.Errorf("layouts differ")
		}
		return rt.Operand{Ptr: b.ptr(v), Strides: broadcastStrides(p.shape, y.shape)}, nil
	}
	c, r := y.shape[1], len(y.shape)
	if p.layout == ir.C16 {
		if len(p.shape) != r || p.shape[1] != c {
			return rt.Operand{}, fmt.Errorf("channels differ")
		}
		st := broadcastStrides(p.shape, y.shape)
		for i := range st[2:] {
			st[2+i] *= rt.Lanes
		}
		_, _, px := blockedDims(p.shape)
		if st[1] = px * rt.Lanes; p.shape[0] != 1 {
			st[0] = blocks(c) * st[1]
		}
		return rt.Operand{Ptr: b.ptr(v), Strides: append(st, 1)}, nil
	}
	n := 1
	for _, d := range p.shape {
		n *= d
	}
	switch n {
	case 1:
		return rt.Operand{Ptr: b.ptr(v), Strides: make([]int, r+1)}, nil
	case c:
		st := make([]int, r+1)
		st[1], st[r] = rt.Lanes, 1
		return rt.Operand{Ptr: b.paddedVector(v, c), Strides: st}, nil
	}
	return rt.Operand{}, fmt.Errorf("an operand of shape %v is no vector of %d channels", p.shape, c)
}

// paddedVector returns the address of a vector of c channels in whole blocks.
func (b *binder) paddedVector(v *ir.Value, c int) unsafe.Pointer {
	if c%rt.Lanes == 0 {
		return b.ptr(v)
	}
	out := make([]float32, blocks(c)*rt.Lanes)
	rt.PackVector(out, tensor.Of[float32](b.places[v].view(b.arena)))
	b.keep = append(b.keep, out)
	return unsafe.Pointer(unsafe.SliceData(out))
}

// broadcastStrides returns the strides of a row-major tensor read over the
// dims of another one.
func broadcastStrides(shape, over []int) []int {
	st := make([]int, len(over))
	dense := rt.Dense(shape)
	for i, d := range shape {
		if d != 1 {
			st[len(over)-len(shape)+i] = dense[i]
		}
	}
	return st
}

// pixelOperand is operand over images, channels and pixels, and lanes where y
// is blocked: the space of a convolution's epilogue.
func (b *binder) pixelOperand(v *ir.Value, y *place, blocked bool) (rt.Operand, error) {
	o, err := b.operand(v, y, blocked)
	if err != nil {
		return o, err
	}
	if st := o.Strides; len(y.shape) == 4 {
		if st[2] != st[3]*y.shape[3] && y.shape[2] != 1 {
			return o, fmt.Errorf("an operand of shape %v does not fit the epilogue", b.places[v].shape)
		}
		o.Strides = slices.Delete(st, 2, 3)
	}
	return o, nil
}

// post describes an epilogue's program over a driver's space: strides gives
// those of an operand.
func (b *binder) post(e epilogue, operand func(v *ir.Value) (rt.Operand, error)) (*rt.Post, error) {
	if e.prog == nil {
		return nil, nil
	}
	post := &rt.Post{Prog: e.prog}
	for _, v := range e.inputs[1:] {
		o, err := operand(v)
		if err != nil {
			return nil, err
		}
		post.In = append(post.In, o)
	}
	return post, nil
}
