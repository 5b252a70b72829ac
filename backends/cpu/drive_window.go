package cpu

import (
	"fmt"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/ir"
)

func bindReorder(b *binder, op *ir.Op) ([]rt.Work, error) {
	x, y := op.Operand(0), op.Result(0)
	n, c, px := blockedDims(b.shape(y))
	r := rt.Reorder{Set: b.kernels, From: rt.NCHW, To: rt.NCHWc16, N: n, C: c, Pixels: px, X: b.ptr(x), Y: b.ptr(y)}
	if b.places[x].layout == ir.C16 {
		r.From, r.To = rt.NCHWc16, rt.NCHW
	}
	if b.places[x].layout == b.places[y].layout {
		return nil, fmt.Errorf("both sides have the same layout")
	}
	return one(r.Work())
}

// poolHasKernel reports whether a pooling op has a form that runs on blocks.
func poolHasKernel(op *ir.Op) bool {
	r := op.Operand(0).Type.Rank()
	if r != 3 && r != 4 || op.NumResults() != 1 || !isF32(op.Operand(0)) {
		return false
	}
	if op.Name == "GlobalAveragePool" {
		return true
	}
	auto, _ := op.Attrs.Get("auto_pad").(string)
	return auto == "" || auto == "NOTSET" || auto == "VALID" || !hasSymbol(op.Operand(0).Type.Dims[2:])
}

func hasSymbol(dims []ir.Dim) bool {
	for _, d := range dims {
		if _, ok := d.Int(); !ok {
			return true
		}
	}
	return false
}

func bindPool(b *binder, op *ir.Op) ([]rt.Work, error) {
	x, y := op.Operand(0), op.Result(0)
	xp, yp := b.places[x], b.places[y]
	if xp.layout != ir.C16 || yp.layout != ir.C16 || !poolHasKernel(op) {
		return nil, fmt.Errorf("pooling has kernels for blocks of channels only")
	}
	g := geometry{kernel: [2]int{1, 1}, strides: [2]int{1, 1}, dilations: [2]int{1, 1}}
	first := 4 - len(xp.shape)
	narrow(g.kernel[first:], op, "kernel_shape")
	narrow(g.strides[first:], op, "strides")
	narrow(g.dilations[first:], op, "dilations")
	if !g.setPads(op, x, first) {
		return nil, fmt.Errorf("padding is not known")
	}
	h, w := image(xp.shape)
	oh, ow := image(yp.shape)
	p := rt.Pooling{
		Set: b.kernels, N: xp.shape[0], C: xp.shape[1], X: b.ptr(x), Y: b.ptr(y),
		Mean: op.Name == "AveragePool", PadBottom: g.pads[2], PadRight: g.pads[3],
		Window: rt.Window{
			H: h, W: w, OH: oh, OW: ow, KH: g.kernel[0], KW: g.kernel[1],
			StrideH: g.strides[0], StrideW: g.strides[1], DilationH: g.dilations[0], DilationW: g.dilations[1],
			PadTop: g.pads[0], PadLeft: g.pads[1],
		},
	}
	if n, _ := op.Attrs.Get("count_include_pad").(int64); n != 0 {
		p.CountPad = true
	}
	return one(p.Work())
}

func bindGlobalPool(b *binder, op *ir.Op) ([]rt.Work, error) {
	x, y := op.Operand(0), op.Result(0)
	xp := b.places[x]
	if xp.layout == ir.Plain && b.places[y].layout == ir.Plain && isF32(x) && len(xp.shape) > 2 && product(xp.shape[2:]) > 0 {
		return one((&rt.Reduce{Set: b.kernels, Op: rt.ReduceSum, Mean: true, Outer: xp.shape[0] * xp.shape[1], R: product(xp.shape[2:]), Inner: 1, X: b.ptr(x), Y: b.ptr(y)}).Work())
	}
	if xp.layout != ir.C16 || b.places[y].layout != ir.C16 {
		return nil, fmt.Errorf("pooling has kernels for blocks of channels only")
	}
	h, w := image(xp.shape)
	p := rt.GlobalPooling{Set: b.kernels, N: xp.shape[0], C: xp.shape[1], H: h, W: w, Mean: true, X: b.ptr(x), Y: b.ptr(y)}
	return one(p.Work())
}
