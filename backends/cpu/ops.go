package cpu

import (
	"fmt"
	"slices"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// The ops of the cpu level. Their weights are constants in packed form; what
// they compute is that of the ONNX op they come from, on logical shapes:
// layouts say how values lie in memory and mean nothing to the interpreter.
const (
	// convName(x, packed, bias?) has the attributes of Conv with pads made
	// explicit, two spatial dims (one gets a first of 1), the number of output
	// channels and the form of the packing.
	convName = "cpu.Conv"
	// gemmName(a, packed, bias?) multiplies the rows of a with a packed matrix
	// of k rows and n columns.
	gemmName = "cpu.Gemm"
	// reorderName(x) changes the layout of its operand.
	reorderName = "cpu.Reorder"
)

// The forms of packed weights, see rt.PackConv, rt.PackConvImage,
// rt.PackDepthwise, rt.PackPlanes, rt.PackWinograd, rt.PackConvTranspose and rt.PackGemmB.
const (
	formBlocked    = "blocked"
	formImage      = "image"
	formDepthwise  = "depthwise"
	formPlanes     = "planes"
	formWinograd   = "winograd"
	formTransposed = "transposed"
	formMatrix     = "matrix"
)

var convForms = []string{formBlocked, formImage, formDepthwise, formPlanes, formWinograd}

func init() {
	ops.Register(map[string]ops.Impl{
		convName: {Infer: inferConv, Eval: evalConv},
		gemmName: {Infer: inferGemm, Eval: evalGemm},
		reorderName: {
			Infer: func(x *ops.Inference) error { x.Set(0, x.In(0)); return nil },
			Eval:  func(c *ops.Call) error { c.Set(0, c.In(0)); return nil },
		},
	})
}

// geometry is what cpu.Conv's attributes say, for two spatial dims.
type geometry struct {
	form             string
	outs, ins, group int // ins a group
	kernel           [2]int
	strides          [2]int
	dilations        [2]int
	pads             [4]int // top, left, bottom, right
}

func (g *geometry) attrs() []ir.Attr {
	return []ir.Attr{
		{Name: "form", Value: g.form},
		{Name: "outs", Value: int64(g.outs)},
		{Name: "ins", Value: int64(g.ins)},
		{Name: "group", Value: int64(g.group)},
		{Name: "kernel", Value: widen(g.kernel[:])},
		{Name: "strides", Value: widen(g.strides[:])},
		{Name: "dilations", Value: widen(g.dilations[:])},
		{Name: "pads", Value: widen(g.pads[:])},
	}
}

func widen(v []int) []int64 {
	w := make([]int64, len(v))
	for i, x := range v {
		w[i] = int64(x)
	}
	return w
}

// geometryOf reads the attributes back. They may come from a file, so every
// number is checked, and that the form is one of those.
func geometryOf(op *ir.Op, forms ...string) (*geometry, error) {
	g := &geometry{}
	g.form, _ = op.Attrs.Get("form").(string)
	for _, f := range []struct {
		name string
		dst  *int
	}{{"outs", &g.outs}, {"ins", &g.ins}, {"group", &g.group}} {
		n, _ := op.Attrs.Get(f.name).(int64)
		if n < 1 || n > 1<<24 {
			return nil, fmt.Errorf("%s=%d is out of range", f.name, n)
		}
		*f.dst = int(n)
	}
	for _, f := range []struct {
		name string
		dst  []int
		min  int64
	}{{"kernel", g.kernel[:], 1}, {"strides", g.strides[:], 1}, {"dilations", g.dilations[:], 1}, {"pads", g.pads[:], 0}} {
		v, _ := op.Attrs.Get(f.name).([]int64)
		if len(v) != len(f.dst) {
			return nil, fmt.Errorf("%s has %d numbers", f.name, len(v))
		}
		for i, n := range v {
			if n < f.min || n > 1<<20 {
				return nil, fmt.Errorf("%s=%d is out of range", f.name, v)
			}
			f.dst[i] = int(n)
		}
	}
	if !slices.Contains(forms, g.form) {
		return nil, fmt.Errorf("there is no packing %q", g.form)
	}
	if n, err := tensor.NumElements([]int{g.outs, g.ins, g.kernel[0], g.kernel[1]}); err != nil || n > tensor.MaxBytes/4 {
		return nil, fmt.Errorf("%d outputs of %d inputs by a kernel of %v are too many weights", g.outs, g.ins, g.kernel)
	}
	if g.outs%g.group != 0 {
		return nil, fmt.Errorf("%d channels in %d groups", g.outs, g.group)
	}
	if g.form == formWinograd && !g.isWinograd() {
		return nil, fmt.Errorf("winograd is for one group, a 3x3 kernel, strides and dilations of 1")
	}
	if g.form == formPlanes && g.group != 1 {
		return nil, fmt.Errorf("planes are for one group")
	}
	return g, nil
}

// isWinograd reports whether rt.Winograd computes such a convolution.
func (g *geometry) isWinograd() bool {
	one := [2]int{1, 1}
	return g.group == 1 && g.kernel == [2]int{3, 3} && g.strides == one && g.dilations == one
}

// packedShape returns the shape of the packed weights.
func (g *geometry) packedShape() []int {
	o, kh, kw := blocks(g.outs), g.kernel[0], g.kernel[1]
	switch g.form {
	case formImage:
		return []int{o, g.ins, kh, kw, rt.Lanes}
	case formDepthwise:
		return []int{o, kh, kw, rt.Lanes}
	case formPlanes:
		return []int{g.ins, kh, kw, g.outs}
	case formWinograd:
		return []int{rt.PackedWinogradSize(g.outs, g.ins) / rt.Lanes, rt.Lanes}
	case formTransposed:
		return []int{rt.PackedConvTransposeSize(g.outs, g.ins, kh, kw) / rt.Lanes, rt.Lanes}
	case formMatrix:
		return []int{o, g.ins, rt.Lanes}
	}
	return []int{o, blocks(g.ins), kh, kw, rt.Lanes, rt.Lanes}
}

// blocks returns how many blocks of 16 channels hold n channels.
func blocks(n int) int { return (n + rt.Lanes - 1) / rt.Lanes }

// weights is the number of weights that are packed.
func (g *geometry) weights() int { return g.outs * g.ins * g.kernel[0] * g.kernel[1] }

// matrixGeometry is that of a product with k rows and n columns of weights.
func matrixGeometry(k, n int) *geometry {
	one := [2]int{1, 1}
	return &geometry{form: formMatrix, outs: n, ins: k, group: 1, kernel: one, strides: one, dilations: one}
}

// pack packs weights [outs][ins][kh][kw], those of a matrix or a transposed
// convolution [ins][outs][kh][kw].
func (g *geometry) pack(w []float32) *tensor.Tensor {
	t := tensor.New(tensor.Float32, g.packedShape()...)
	dst := tensor.Of[float32](t)
	kh, kw := g.kernel[0], g.kernel[1]
	switch g.form {
	case formImage:
		rt.PackConvImage(dst, w, g.outs, g.ins, kh, kw)
	case formDepthwise:
		rt.PackDepthwise(dst, w, g.outs, kh, kw)
	case formPlanes:
		rt.PackPlanes(dst, w, g.outs, g.ins, kh, kw)
	case formWinograd:
		rt.PackWinograd(dst, w, g.outs, g.ins)
	case formTransposed:
		rt.PackConvTranspose(dst, w, g.outs, g.ins, kh, kw, g.strides[0], g.strides[1])
	case formMatrix:
		rt.PackGemmB(dst, w, g.ins, g.outs, g.outs, false)
	default:
		rt.PackConv(dst, w, g.outs, g.ins, kh, kw)
	}
	return t
}

// unpack is the inverse of pack.
func (g *geometry) unpack(packed *tensor.Tensor) (*tensor.Tensor, error) {
	src := tensor.Of[float32](packed)
	if n, err := tensor.NumElements(g.packedShape()); err != nil || n != len(src) {
		return nil, fmt.Errorf("packed weights are %s, expected %v", packed, g.packedShape())
	}
	w := tensor.New(tensor.Float32, g.outs, g.ins, g.kernel[0], g.kernel[1])
	dst := tensor.Of[float32](w)
	if g.form == formWinograd {
		rt.UnpackWinograd(dst, src, g.outs, g.ins)
		return w, nil
	}
	invert(dst, src, func(v []float32) []float32 { return tensor.Of[float32](g.pack(v)) })
	return w, nil
}

// invert undoes a packing: it finds where each weight went by packing their
// numbers, so that it can not disagree with pack.
func invert(dst, packed []float32, pack func([]float32) []float32) {
	const digits = 1 << 23 // whole numbers that a float32 holds
	index := make([]float32, len(dst))
	high := make([]float32, len(dst))
	for i := range index {
		index[i], high[i] = float32((i+1)%digits), float32((i+1)/digits)
	}
	lo, hi := pack(index), pack(high)
	for i := range packed {
		if n := int(lo[i]) + digits*int(hi[i]); n > 0 {
			dst[n-1] = packed[i]
		}
	}
}

func inferConv(x *ops.Inference) error {
	g, err := geometryOf(x.Op(), convForms...)
	if err != nil {
		return err
	}
	t := x.In(0)
	r := t.Rank()
	if r != 3 && r != 4 {
		return fmt.Errorf("operand 0 is %s, not an image", t)
	}
	dims := append([]ir.Dim{t.Dims[0], ir.Const(int64(g.outs))}, t.Dims[2:]...)
	for i := range dims[2:] {
		j := 4 - r + i
		room := t.Dims[2+i].Add(ir.Const(int64(g.pads[j] + g.pads[2+j] - (g.kernel[j]-1)*g.dilations[j] - 1)))
		dims[2+i] = room.FloorDiv(ir.Const(int64(g.strides[j]))).Add(ir.Const(1))
	}
	x.Set(0, ir.TensorOf(tensor.Float32, dims...))
	return nil
}

func inferGemm(x *ops.Inference) error {
	_, n, err := gemmSize(x.Op())
	if err != nil {
		return err
	}
	t := x.In(0)
	if t.Rank() < 2 {
		return fmt.Errorf("operand 0 is %s, not a matrix", t)
	}
	x.Set(0, ir.TensorOf(tensor.Float32, append(append([]ir.Dim{}, t.Dims[:t.Rank()-1]...), ir.Const(int64(n)))...))
	return nil
}

func evalConv(c *ops.Call) error {
	g, err := geometryOf(c.Op(), convForms...)
	if err != nil {
		return err
	}
	w, err := g.unpack(c.In(1))
	if err != nil {
		return err
	}
	bias := c.In(2)
	if bias != nil {
		bias = tensor.Float32s(tensor.Of[float32](bias)[:g.outs], g.outs)
	}
	x := c.In(0)
	oneD := x.Rank() == 3
	if oneD {
		x = x.Reshaped(x.Shape[0], x.Shape[1], 1, x.Shape[2])
	}
	y, err := ref.Conv(x, w, bias, ref.Window{Kernel: g.kernel[:], Strides: g.strides[:], Dilations: g.dilations[:], Pads: g.pads[:]}, g.group)
	if err != nil {
		return err
	}
	if oneD {
		y = y.Reshaped(y.Shape[0], y.Shape[1], y.Shape[3])
	}
	c.Set(0, y)
	return nil
}

// gemmSize reads k and n of a cpu.Gemm.
func gemmSize(op *ir.Op) (k, n int, err error) {
	k64, _ := op.Attrs.Get("k").(int64)
	n64, _ := op.Attrs.Get("n").(int64)
	if k64 < 0 || n64 < 1 || k64 > 1<<30 || n64 > 1<<30 {
		return 0, 0, fmt.Errorf("k=%d, n=%d is out of range", k64, n64)
	}
	return int(k64), int(n64), nil
}

func evalGemm(c *ops.Call) error {
	k, n, err := gemmSize(c.Op())
	if err != nil {
		return err
	}
	packed := tensor.Of[float32](c.In(1))
	if len(packed) != rt.PackedGemmBSize(k, n) {
		return fmt.Errorf("packed matrix is %s, expected %d×%d", c.In(1), k, n)
	}
	x := c.In(0)
	last := x.Rank() - 1
	if last < 0 || x.Shape[last] != k {
		return fmt.Errorf("operand 0 is %s, expected rows of %d", x, k)
	}
	y := tensor.New(tensor.Float32, append(append([]int{}, x.Shape[:last]...), n)...)
	var bias []float32
	if c.In(2) != nil {
		bias = tensor.Of[float32](c.In(2))
	}
	multiplyPacked(tensor.Of[float32](y), tensor.Of[float32](x), packed, bias, k, n)
	c.Set(0, y)
	return nil
}

// multiplyPacked computes rows of x times a packed matrix plus a bias, with
// sums in float64.
func multiplyPacked(y, x, packed, bias []float32, k, n int) {
	for i := range len(y) / n {
		row := x[i*k : (i+1)*k]
		for j := 0; j < n; j += rt.Lanes {
			var acc [rt.Lanes]float64
			panel := packed[j*k:]
			for p, a := range row {
				b := panel[p*rt.Lanes : (p+1)*rt.Lanes]
				for l := range acc {
					acc[l] += float64(a) * float64(b[l])
				}
			}
			for l := range min(rt.Lanes, n-j) {
				if bias != nil {
					acc[l] += float64(bias[j+l])
				}
				y[i*n+j+l] = float32(acc[l])
			}
		}
	}
}
