package cpu

import (
	"fmt"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
)

// conv binds a cpu.Conv; operand finds its operands outside of its region.
func (b *binder) conv(op *ir.Op, operand func(int) *ir.Value, e epilogue) ([]rt.Work, error) {
	g, err := geometryOf(op, convForms...)
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
	planes := g.form == formPlanes
	if planes != (yp.layout == ir.Plain) || xp.layout != convInput(op) || len(xp.shape) != len(yp.shape) {
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
	post, err := b.post(e, func(v *ir.Value) (rt.Operand, error) { return b.pixelOperand(v, yp, !planes) })
	if err != nil {
		return nil, err
	}
	if planes {
		c := rt.ConvPlanes{
			Set: b.kernels, Window: win, N: xp.shape[0], C: xp.shape[1], O: g.outs, X: b.ptr(x), Weights: b.ptr(w), Y: b.ptr(y),
			Bias: b.ptr(bias), R: b.ptr(e.residual), Clamp: e.clamp, Lo: e.lo, Hi: e.hi, Post: post,
		}
		return one(c.Work())
	}
	if g.form == formDepthwise {
		if e.residual != nil { // the driver has none: the whole epilogue becomes a program
			return b.depthwiseResidual(win, g, x, w, bias, y, e)
		}
		d := rt.Depthwise{
			Set: b.kernels, Window: win, N: xp.shape[0], C: g.outs, X: b.ptr(x), Weights: b.ptr(w), Y: b.ptr(y), Bias: b.ptr(bias),
			Clamp: e.clamp, Lo: e.lo, Hi: e.hi, Post: post,
		}
		return one(d.Work())
	}
	if g.form == formWinograd {
		c := rt.Winograd{
			Set: b.kernels, Window: win, N: xp.shape[0], C: xp.shape[1], O: g.outs, X: b.ptr(x), Weights: b.ptr(w), Y: b.ptr(y),
			Bias: b.ptr(bias), R: b.ptr(e.residual), Clamp: e.clamp, Lo: e.lo, Hi: e.hi, Post: post,
		}
		return one(c.Work())
	}
	c := rt.Conv{
		Set: b.kernels, Window: win, N: xp.shape[0], C: xp.shape[1], O: g.outs, Groups: g.group, Image: g.form == formImage,
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
	post, err := b.post(epilogue{prog: p.finish(r), inputs: p.inputs}, func(v *ir.Value) (rt.Operand, error) { return b.pixelOperand(v, yp, true) })
	if err != nil {
		return nil, err
	}
	d := rt.Depthwise{Set: b.kernels, Window: win, N: yp.shape[0], C: g.outs, X: b.ptr(x), Weights: b.ptr(w), Y: b.ptr(y), Bias: b.ptr(bias), Post: post}
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
		Set: b.kernels, M: m, N: n, K: k, A: b.ptr(a), LdA: k, B: b.ptr(w), C: b.ptr(y), LdC: n, Bias: b.ptr(bias),
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

// matMul binds the product of two computed stacks of matrices, either of
// which may be a permuted view, and so may be the result.
func (b *binder) matMul(op *ir.Op, operand func(int) *ir.Value, e epilogue) ([]rt.Work, error) {
	x, w := operand(0), operand(1)
	y := e.result
	if y == nil {
		y = op.Result(0)
	}
	xp, wp, yp := b.places[x], b.places[w], b.places[y]
	if !isF32(x) || !isF32(w) || len(xp.shape) < 2 || len(wp.shape) < 2 || xp.layout != ir.Plain || wp.layout != ir.Plain || yp.layout != ir.Plain {
		return nil, fmt.Errorf("only matrices of f32 have a kernel")
	}
	xs, ws, ys := xp.step(), wp.step(), yp.step()
	batch := len(yp.shape) - 2
	xr, wr := len(xs)-2, len(ws)-2
	g := rt.Gemm{
		Set: b.kernels, M: xp.shape[xr], K: xp.shape[xr+1], N: wp.shape[wr+1], A: b.ptr(x), LdA: xs[xr], B: b.ptr(w), Unpacked: true,
		C: b.ptr(y), LdC: ys[batch], R: b.ptr(e.residual), Clamp: e.clamp, Lo: e.lo, Hi: e.hi,
	}
	switch {
	case xs[xr+1] != 1 || ys[batch+1] != 1:
		return nil, fmt.Errorf("rows are not dense")
	case ws[wr+1] == 1:
		g.LdB = ws[wr]
	case ws[wr] == 1:
		g.TransB, g.LdB = true, ws[wr+1]
	default:
		return nil, fmt.Errorf("neither rows nor columns are dense")
	}
	if e.residual != nil && (yp.strides != nil || b.places[e.residual].strides != nil) {
		return nil, fmt.Errorf("the residual lies in another order")
	}
	for i, d := range yp.shape[:batch] {
		g.Batch = append(g.Batch, rt.Batch{N: d, A: batchStride(xp, xs, batch-i), B: batchStride(wp, ws, batch-i), C: ys[i]})
	}
	var err error
	g.Post, err = b.post(e, func(v *ir.Value) (rt.Operand, error) {
		p := b.places[v]
		if p.strides != nil || p.layout != ir.Plain {
			return rt.Operand{}, fmt.Errorf("an operand of the epilogue is not dense")
		}
		return rt.Operand{Ptr: b.ptr(v), Strides: broadcastStrides(p.shape, yp.shape)}, nil
	})
	if err != nil {
		return nil, err
	}
	return one(g.Work())
}

// step returns the strides of a place.
func (p *place) step() []int {
	if p.strides != nil {
		return p.strides
	}
	return rt.Dense(p.shape)
}

// batchStride returns a stack's stride along the batch dim that is n dims
// before the matrices; 0 where it has none or repeats.
func batchStride(p *place, strides []int, n int) int {
	i := len(p.shape) - 2 - n
	if i < 0 || p.shape[i] == 1 {
		return 0
	}
	return strides[i]
}

// permutedView makes the result of a Transpose a view of its operand, where
// only products of matrices and attentions read it, which take strides.
func (b *binder) permutedView(op *ir.Op, p *place) bool {
	if op.Name != "Transpose" || !isF32(op.Result(0)) || p.layout != ir.Plain {
		return false
	}
	src := b.places[op.Operand(0)]
	perm, ok := permOf(op, len(p.shape))
	if src == nil || src.strides != nil || src.layout != ir.Plain || !ok || len(perm) < 2 {
		return false
	}
	dense := rt.Dense(src.shape)
	strides := make([]int, len(perm))
	for i, a := range perm {
		strides[i] = dense[a]
	}
	n := len(perm)
	for _, u := range op.Result(0).Uses() {
		if !readsPermuted(u, strides[n-2] == 1, strides[n-1] == 1) {
			return false
		}
	}
	p.of, p.strides = src, strides
	return true
}

// cutView makes result i of a Split a view of its operand, where products of
// matrices and attentions alone read the results.
func (b *binder) cutView(op *ir.Op, i int, p *place) bool {
	src := b.places[op.Operand(0)]
	if op.Name != "Split" || src == nil || !isF32(op.Result(0)) || src.strides != nil || src.layout != ir.Plain || src.root().data != nil {
		return false
	}
	dense := rt.Dense(src.shape)
	axis, at := axisAttr(op, 0, len(src.shape)), 0
	if axis < 0 || axis >= len(src.shape) {
		return false
	}
	for j, r := range op.Results() {
		shape, ok := b.shapeOf(r.Type)
		if !ok || len(shape) != len(src.shape) {
			return false
		}
		if j < i {
			at += shape[axis] * dense[axis]
		}
		for _, u := range r.Uses() {
			if u.Op.Block() != op.Block() || !readsPermuted(u, false, true) {
				return false
			}
		}
	}
	p.of, p.at, p.strides = src, at*p.dtype.Size(), dense
	return true
}

// readsPermuted reports whether a use is an operand of a product of matrices,
// or of an attention, that can be read with these columns or rows dense.
func readsPermuted(u ir.Use, columns, rows bool) bool {
	op, index := u.Op, u.Index
	switch op.Name {
	case "Attention":
		return index < 3 && rows && plainAttention(op) == nil
	case ops.FusedName:
		a := anchorOf(op)
		if a == nil || a.Name != "MatMul" {
			return false
		}
		arg := op.Regions[0].Args[index]
		if arg.NumUses() != 1 || arg.Uses()[0].Op != a {
			return false
		}
		op, index = a, arg.Uses()[0].Index
	}
	if op.Name != "MatMul" {
		return false
	}
	return index == 0 && rows || index == 1 && (rows || columns)
}

// permutedWrite lets a product of matrices or an attention write its result as
// the Transpose behind it would leave it.
func (b *binder) permutedWrite(op *ir.Op, p *place, step int) bool {
	y := op.Result(0)
	a := op
	if op.Name == ops.FusedName {
		a = anchorOf(op)
	}
	if a == nil || a.Name != "MatMul" && (a.Name != "Attention" || op.NumResults() > 1 || plainAttention(a) != nil) || y.NumUses() != 1 || y.Uses()[0].Op.Name != "Transpose" || y.Uses()[0].Op.Block() != op.Block() {
		return false
	}
	t := y.Uses()[0].Op
	perm, ok := permOf(t, len(p.shape))
	n := len(p.shape)
	if !ok || n < 2 || perm[n-1] != n-1 {
		return false
	}
	shape, ok := b.shapeOf(t.Result(0).Type)
	if !ok {
		return false
	}
	q, err := newPlace(t.Result(0).Type, shape)
	if err != nil {
		return false
	}
	dense := rt.Dense(shape)
	strides := make([]int, n)
	for i, a := range perm {
		strides[a] = dense[i]
	}
	q.first, q.last = step, step
	b.places[t.Result(0)] = q
	p.of, p.strides = q, strides
	return true
}

// permOf returns the permutation of a Transpose.
func permOf(op *ir.Op, rank int) ([]int, bool) {
	perm := make([]int, rank)
	for i := range perm {
		perm[i] = rank - 1 - i
	}
	if v, ok := op.Attrs.Get("perm").([]int64); ok && len(v) != rank {
		return nil, false
	}
	narrow(perm, op, "perm")
	seen := make([]bool, rank)
	for _, a := range perm {
		if a < 0 || a >= rank || seen[a] {
			return nil, false
		}
		seen[a] = true
	}
	return perm, true
}
