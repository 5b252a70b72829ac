package cpu

import (
	"fmt"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/ir"
)

// conv binds a cpu.Conv; operand finds its operands outside of its region.
func (b *binder) conv(op *ir.Op, operand func(int) *ir.Value, e epilogue) ([]rt.Work, error) {
	g, err := geometryOf(op)
	if err != nil {
		return nil, err
	}
	x, w, bias := operand(0), operand(1), operand(2)
	y := e.result
	if y == nil {
		y = op.Result(0)
	}
	xp, yp := b.places[x], b.places[y]
	if n := product(g.packedShape()); b.places[w].bytes != 4*n {
		return nil, fmt.Errorf("packed weights have %d bytes, expected %d", b.places[w].bytes, 4*n)
	}
	if bias != nil && b.places[bias].bytes != 4*blocks(g.outs)*rt.Lanes {
		return nil, fmt.Errorf("the bias has %d bytes for %d channels", b.places[bias].bytes, g.outs)
	}
	if yp.layout != ir.C16 || xp.layout != convInput(op) || len(xp.shape) != len(yp.shape) {
		return nil, fmt.Errorf("layouts do not fit")
	}
	h, wd := image(xp.shape)
	oh, ow := image(yp.shape)
	win := rt.Window{
		H: h, W: wd, OH: oh, OW: ow, KH: g.kernel[0], KW: g.kernel[1],
		StrideH: g.strides[0], StrideW: g.strides[1], DilationH: g.dilations[0], DilationW: g.dilations[1],
		PadTop: g.pads[0], PadLeft: g.pads[1],
	}
	if xp.shape[0] != yp.shape[0] || yp.shape[1] != g.outs || xp.shape[1] != g.ins*g.group {
		return nil, fmt.Errorf("%d of %v channels do not fit %v", g.ins*g.group, xp.shape, yp.shape)
	}
	post, err := b.post(e, func(v *ir.Value) (rt.Operand, error) { return b.operand(v, yp, true) })
	if err != nil {
		return nil, err
	}
	if g.form == formDepthwise {
		if e.residual != nil { // the driver has none: the whole epilogue becomes a program
			return b.depthwiseResidual(win, g, x, w, bias, y, e)
		}
		d := rt.Depthwise{
			Set: b.set, Window: win, N: xp.shape[0], C: g.outs, X: b.ptr(x), Weights: b.ptr(w), Y: b.ptr(y), Bias: b.ptr(bias),
			Clamp: e.clamp, Lo: e.lo, Hi: e.hi, Post: post,
		}
		return one(d.Work())
	}
	c := rt.Conv{
		Set: b.set, Window: win, N: xp.shape[0], C: xp.shape[1], O: g.outs, Groups: g.group, Image: g.form == formImage,
		X: b.ptr(x), Weights: b.ptr(w), Y: b.ptr(y), Bias: b.ptr(bias), R: b.ptr(e.residual),
		Clamp: e.clamp, Lo: e.lo, Hi: e.hi, Post: post,
	}
	return one(c.Work())
}

// depthwiseResidual adds a residual behind a depthwise convolution by a
// program.
func (b *binder) depthwiseResidual(win rt.Window, g *geometry, x, w, bias, y *ir.Value, e epilogue) ([]rt.Work, error) {
	p := newProgBuilder()
	p.inputs = []*ir.Value{nil, e.residual}
	r := p.emit(rt.OpAdd, 0, 1)
	if e.clamp {
		r = p.param(rt.OpClamp, e.lo, e.hi, r)
	}
	yp := b.places[y]
	post, err := b.post(epilogue{prog: p.finish(r), inputs: p.inputs}, func(v *ir.Value) (rt.Operand, error) { return b.operand(v, yp, true) })
	if err != nil {
		return nil, err
	}
	d := rt.Depthwise{Set: b.set, Window: win, N: yp.shape[0], C: g.outs, X: b.ptr(x), Weights: b.ptr(w), Y: b.ptr(y), Bias: b.ptr(bias), Post: post}
	return one(d.Work())
}

// image returns height and width of [N,C,H,W] or [N,C,W].
func image(shape []int) (h, w int) {
	if len(shape) == 3 {
		return 1, shape[2]
	}
	return shape[2], shape[3]
}

func product(v []int) int {
	n := 1
	for _, x := range v {
		n *= x
	}
	return n
}

// gemm binds a cpu.Gemm.
func (b *binder) gemm(op *ir.Op, operand func(int) *ir.Value, e epilogue) ([]rt.Work, error) {
	k, n, err := gemmSize(op)
	if err != nil {
		return nil, err
	}
	a, w, bias := operand(0), operand(1), operand(2)
	y := e.result
	if y == nil {
		y = op.Result(0)
	}
	ap, yp := b.places[a], b.places[y]
	last := len(ap.shape) - 1
	if last < 1 || ap.layout != ir.Plain || yp.layout != ir.Plain || ap.shape[last] != k || yp.shape[len(yp.shape)-1] != n || b.places[w].bytes != 4*rt.PackedGemmBSize(k, n) {
		return nil, fmt.Errorf("%v by [%d,%d] does not fit %v", ap.shape, k, n, yp.shape)
	}
	if bias != nil && b.places[bias].bytes != 4*blocks(n)*rt.Lanes {
		return nil, fmt.Errorf("the bias has %d bytes for %d columns", b.places[bias].bytes, n)
	}
	m := product(ap.shape[:last])
	if product(yp.shape) != m*n {
		return nil, fmt.Errorf("%d rows do not fit %v", m, yp.shape)
	}
	g := rt.Gemm{
		Set: b.set, M: m, N: n, K: k, A: b.ptr(a), LdA: k, B: b.ptr(w), C: b.ptr(y), LdC: n, Bias: b.ptr(bias),
		R: b.ptr(e.residual), Clamp: e.clamp, Lo: e.lo, Hi: e.hi,
	}
	g.Post, err = b.post(e, func(v *ir.Value) (rt.Operand, error) {
		switch p := b.places[v]; product(p.shape) {
		case 1:
			return rt.Operand{Ptr: b.ptr(v), Strides: []int{0, 0}}, nil
		case m * n:
			return rt.Operand{Ptr: b.ptr(v), Strides: []int{n, 1}}, nil
		case n:
			return rt.Operand{Ptr: b.ptr(v), Strides: []int{0, 1}}, nil
		default:
			return rt.Operand{}, fmt.Errorf("an operand of shape %v does not fit the epilogue", p.shape)
		}
	})
	if err != nil {
		return nil, err
	}
	return one(g.Work())
}

// bindMatMul binds the product of two computed tensors.
func bindMatMul(b *binder, op *ir.Op) ([]rt.Work, error) {
	x, w, y := op.Operand(0), op.Operand(1), op.Result(0)
	xs, ws, ys := b.shape(x), b.shape(w), b.shape(y)
	if !isF32(x) || !isF32(w) || len(xs) < 2 || len(ws) < 2 {
		return nil, fmt.Errorf("only matrices of f32 have a kernel")
	}
	m, k, n := xs[len(xs)-2], xs[len(xs)-1], ws[len(ws)-1]
	g := rt.Gemm{
		Set: b.set, M: m, N: n, K: k, A: b.ptr(x), LdA: k, B: b.ptr(w), Unpacked: true, LdB: n, C: b.ptr(y), LdC: n,
	}
	batch := len(ys) - 2
	over := ys[:batch]
	sx, sw, sy := batchStrides(xs, over), batchStrides(ws, over), batchStrides(ys, over)
	for i, d := range over {
		g.Batch = append(g.Batch, rt.Batch{N: d, A: sx[i], B: sw[i], C: sy[i]})
	}
	return one(g.Work())
}

// batchStrides returns the strides of a stack of matrices over batch dims.
func batchStrides(shape, over []int) []int {
	dense := rt.Dense(shape)
	st := make([]int, len(over))
	lead := shape[:len(shape)-2]
	for i, d := range lead {
		if d != 1 {
			st[len(over)-len(lead)+i] = dense[i]
		}
	}
	return st
}
