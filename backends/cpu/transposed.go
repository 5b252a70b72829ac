package cpu

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// transposedName(x, packed, bias?) is a ConvTranspose of one group with its
// weights packed by rt.PackConvTranspose. Its attributes are those of
// cpu.Conv, output_padding, and relu=1 where a Relu follows.
const transposedName = "cpu.ConvTranspose"

func init() {
	ops.Register(map[string]ops.Impl{transposedName: {Infer: inferTransposed, Eval: evalTransposed}})
	drivers[transposedName] = bindTransposed
	blockAware[transposedName] = true
}

// transposedGeometry reads what the driver computes of an ONNX ConvTranspose;
// false where it is another form.
func transposedGeometry(op *ir.Op) (g *geometry, extra [2]int, ok bool) {
	x := op.Operand(0)
	shape, known := weightShape(op.Operand(1))
	if !isF32(x) || !known || len(shape) != 4 || x.Type.Rank() != 4 {
		return nil, extra, false
	}
	if b := op.Operand(2); b != nil && (b.Data() == nil || b.Data().DType != tensor.Float32) {
		return nil, extra, false
	}
	group, _ := op.Attrs.Get("group").(int64)
	if group > 1 || op.Attrs.Has("output_shape") {
		return nil, extra, false
	}
	if auto, _ := op.Attrs.Get("auto_pad").(string); auto != "" && auto != "NOTSET" && auto != "VALID" {
		return nil, extra, false
	}
	one := [2]int{1, 1}
	g = &geometry{form: formTransposed, outs: shape[1], ins: shape[0], group: 1, strides: one, dilations: one}
	copy(g.kernel[:], shape[2:])
	narrow(g.strides[:], op, "strides")
	narrow(g.dilations[:], op, "dilations")
	narrow(extra[:], op, "output_padding")
	if !g.setPads(op, x, 0) || g.dilations != one || g.kernel[0] < g.strides[0] || g.kernel[1] < g.strides[1] || g.ins < 8 {
		return nil, extra, false
	}
	return g, extra, true
}

// lowerTransposed packs the weights of a ConvTranspose.
func lowerTransposed(c *passes.Context, op *ir.Op) (bool, error) {
	if op.Name != "ConvTranspose" {
		return false, nil
	}
	g, extra, ok := transposedGeometry(op)
	if !ok {
		return false, nil
	}
	return c.Change("pack-transposed", op, func() error {
		w, err := packedWeights(op, op.Operand(1), g)
		if err != nil {
			return err
		}
		op.SetOperand(1, w)
		if v := op.Operand(2); v != nil {
			bias, err := padded(v.Data())
			if err != nil {
				return err
			}
			op.SetOperand(2, ir.Before(op).Tensor(bias))
		}
		op.Name, op.Attrs = transposedName, nil
		for _, a := range g.attrs() {
			op.Attrs.Set(a.Name, a.Value)
		}
		op.Attrs.Set("output_padding", widen(extra[:]))
		return nil
	})
}

// absorbRelu makes a Relu the end of the cpu.ConvTranspose before it.
func absorbRelu(c *passes.Context, op *ir.Op) (bool, error) {
	x := op.Operand(0)
	if op.Name != "Relu" || x.Def() == nil || x.Def().Name != transposedName || x.NumUses() != 1 || x.Def().Attrs.Has("relu") {
		return false, nil
	}
	return c.Apply("", op, []*ir.Op{x.Def()}, func(*passes.Rewriter) []*ir.Value {
		x.Def().Attrs.Set("relu", int64(1))
		return []*ir.Value{x}
	})
}

// outputPadding reads the attribute of a cpu.ConvTranspose.
func outputPadding(op *ir.Op) (extra [2]int, err error) {
	narrow(extra[:], op, "output_padding")
	for _, n := range extra {
		if n < 0 || n > 1<<20 {
			return extra, fmt.Errorf("output_padding=%v is out of range", extra)
		}
	}
	return extra, nil
}

func inferTransposed(x *ops.Inference) error {
	g, err := geometryOf(x.Op(), formTransposed)
	if err != nil {
		return err
	}
	extra, err := outputPadding(x.Op())
	if err != nil {
		return err
	}
	t := x.In(0)
	if t.Rank() != 4 {
		return fmt.Errorf("operand 0 is %s, not an image", t)
	}
	dims := []ir.Dim{t.Dims[0], ir.Const(int64(g.outs)), {}, {}}
	for i := range 2 {
		rest := int64(g.kernel[i] - g.pads[i] - g.pads[2+i] + extra[i] - g.strides[i])
		dims[2+i] = t.Dims[2+i].Mul(ir.Const(int64(g.strides[i]))).Add(ir.Const(rest))
	}
	x.Set(0, ir.TensorOf(tensor.Float32, dims...))
	return nil
}

func evalTransposed(c *ops.Call) error {
	g, err := geometryOf(c.Op(), formTransposed)
	if err != nil {
		return err
	}
	extra, err := outputPadding(c.Op())
	if err != nil {
		return err
	}
	src := tensor.Of[float32](c.In(1))
	if len(src) != rt.PackedConvTransposeSize(g.outs, g.ins, g.kernel[0], g.kernel[1]) {
		return fmt.Errorf("packed weights are %s", c.In(1))
	}
	w := tensor.New(tensor.Float32, g.ins, g.outs, g.kernel[0], g.kernel[1])
	invert(tensor.Of[float32](w), src, func(v []float32) []float32 { return tensor.Of[float32](g.pack(v)) })
	bias := c.In(2)
	if bias != nil {
		bias = tensor.Float32s(tensor.Of[float32](bias)[:g.outs], g.outs)
	}
	y, err := ref.ConvTranspose(c.In(0), w, bias, ref.TransposeWindow{
		Window:        ref.Window{Kernel: g.kernel[:], Strides: g.strides[:], Dilations: g.dilations[:], Pads: g.pads[:]},
		OutputPadding: extra[:],
	}, 1)
	if err != nil {
		return err
	}
	if c.Op().Attrs.Has("relu") {
		for i, v := range tensor.Of[float32](y) {
			if v < 0 {
				tensor.Of[float32](y)[i] = 0
			}
		}
	}
	c.Set(0, y)
	return nil
}

func bindTransposed(b *binder, op *ir.Op) ([]rt.Work, error) {
	g, err := geometryOf(op, formTransposed)
	if err != nil {
		return nil, err
	}
	x, w, bias, y := op.Operand(0), op.Operand(1), op.Operand(2), op.Result(0)
	xp, yp := b.places[x], b.places[y]
	if xp.layout != ir.C16 || yp.layout != ir.C16 || len(xp.shape) != 4 || len(yp.shape) != 4 || xp.shape[1] != g.ins || yp.shape[1] != g.outs || xp.shape[0] != yp.shape[0] {
		return nil, fmt.Errorf("%v does not fit %v", xp.shape, yp.shape)
	}
	if b.places[w].bytes != 4*rt.PackedConvTransposeSize(g.outs, g.ins, g.kernel[0], g.kernel[1]) || bias != nil && b.places[bias].bytes != 4*blocks(g.outs)*rt.Lanes {
		return nil, fmt.Errorf("weights or bias have another size")
	}
	c := rt.ConvTranspose{
		Set: b.kernels, N: xp.shape[0], C: g.ins, O: g.outs, H: xp.shape[2], W: xp.shape[3], OH: yp.shape[2], OW: yp.shape[3],
		KH: g.kernel[0], KW: g.kernel[1], StrideH: g.strides[0], StrideW: g.strides[1], PadTop: g.pads[0], PadLeft: g.pads[1],
		X: b.ptr(x), Weights: b.ptr(w), Y: b.ptr(y), Bias: b.ptr(bias), Clamp: op.Attrs.Has("relu"), Hi: float32(math.Inf(1)),
	}
	return one(c.Work())
}

// spreadTransposed turns a ConvTranspose whose strides are its filter's size,
// and of which few channels come out, into a Conv for all places of the filter
// and a DepthToSpace: blocks of channels would be mostly padding.
func spreadTransposed(c *passes.Context, op *ir.Op) (bool, error) {
	if op.Name != "ConvTranspose" || op.Operand(1) == nil || op.Operand(1).Data() == nil {
		return false, nil
	}
	g, extra, ok := transposedGeometry(op)
	if !ok || g.kernel != g.strides || g.strides[0] != g.strides[1] || g.pads != [4]int{} || extra != [2]int{} || g.weights() > rt.Lanes*g.ins {
		return false, nil
	}
	w, err := op.Operand(1).Data().Tensor()
	if err != nil {
		return false, err
	}
	places := g.kernel[0] * g.kernel[1]
	weights := tensor.New(tensor.Float32, g.outs*places, g.ins, 1, 1)
	for i, v := range tensor.Of[float32](w) { // [ins][outs][places]
		tensor.Of[float32](weights)[i%(g.outs*places)*g.ins+i/(g.outs*places)] = v
	}
	operands := []*ir.Value{op.Operand(0), nil}
	var bias *tensor.Tensor
	if v := op.Operand(2); v != nil {
		b, err := v.Data().Tensor()
		if err != nil {
			return false, err
		}
		bias = tensor.New(tensor.Float32, g.outs*places)
		for i := range tensor.Of[float32](bias) {
			tensor.Of[float32](bias)[i] = tensor.Of[float32](b)[i/places]
		}
	}
	return c.Apply("", op, nil, func(r *passes.Rewriter) []*ir.Value {
		operands[1] = r.Tensor(weights)
		if bias != nil {
			operands = append(operands, r.Tensor(bias))
		}
		y := r.Op("Conv", operands)
		return []*ir.Value{r.Op("DepthToSpace", []*ir.Value{y}, ir.Attr{Name: "blocksize", Value: int64(g.strides[0])}, ir.Attr{Name: "mode", Value: "CRD"})}
	})
}
