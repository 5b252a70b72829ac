package cpu

import (
	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/fuse"
	"github.com/hone-ml/hone/tensor"
)

// table is what this target fuses.
var table = fuse.Target{
	Pointwise:   func(op *ir.Op) bool { return isPointwise(op) && !restores(op) },
	Anchor:      isAnchor,
	Lookup:      isLookup,
	Sum:         addsRows,
	Rows:        worksOnRows,
	MaxOps:      32,
	MaxOperands: 12,
}

// isAnchor reports whether a kernel with an epilogue computes op, and the
// group behind it reads nothing that the epilogue could not address: values
// of the result's shape, one value a channel, or a scalar.
func isAnchor(op *ir.Op, behind []*ir.Op) bool {
	switch op.Name {
	case "Conv":
		if _, ok := convGeometry(op, op.Operand); !ok {
			return false
		}
	case "MatMul":
		if _, _, ok := gemmWeights(op, op.Operand(1)); !ok {
			// The product of two computed stacks of matrices addresses whatever
			// broadcasts.
			return isF32(op.Result(0)) && op.Operand(0).Type.Rank() >= 2 && op.Operand(1).Type.Rank() >= 2 && op.Operand(1).Data() == nil
		}
	default:
		return false
	}
	y := op.Result(0)
	for _, p := range behind {
		for _, v := range p.Operands() {
			if v == nil || v == y || inGroup(v, behind) || v.Type.Equal(y.Type) {
				continue
			}
			if _, ok := scalarOf(v); ok {
				continue
			}
			if !perChannel(v, y, op.Name == "Conv") {
				return false
			}
		}
	}
	return true
}

func inGroup(v *ir.Value, group []*ir.Op) bool {
	for _, op := range group {
		if v.Def() == op {
			return true
		}
	}
	return false
}

// perChannel reports whether v broadcasts along all dims of y but one: the
// second where channels come first, else the last.
func perChannel(v, y *ir.Value, channelsFirst bool) bool {
	r, n := y.Type.Rank(), v.Type.Rank()
	axis := r - 1
	if channelsFirst {
		axis = 1
	}
	if n < 0 || n > r {
		return false
	}
	for i, d := range v.Type.Dims {
		j := r - n + i
		if j == axis && d.Equal(y.Type.Dims[j]) || d.IsInt(1) {
			continue
		}
		return false
	}
	return true
}

// convGeometry says how a Conv runs on a kernel, false where it does not.
// operand gives the operands as they are outside of a fused op.
func convGeometry(op *ir.Op, operand func(int) *ir.Value) (*geometry, bool) {
	x, w := operand(0), operand(1)
	shape, ok := weightShape(w)
	if !isF32(x) || !ok || len(shape) != x.Type.Rank() {
		return nil, false
	}
	if b := operand(2); b != nil && (b.Data() == nil || b.Data().DType != tensor.Float32) {
		return nil, false
	}
	spatial := len(shape) - 2
	if spatial < 1 || spatial > 2 {
		return nil, false
	}
	g := &geometry{outs: shape[0], ins: shape[1], group: 1, kernel: [2]int{1, 1}, strides: [2]int{1, 1}, dilations: [2]int{1, 1}}
	if n, ok := op.Attrs.Get("group").(int64); ok {
		g.group = int(n)
	}
	if g.group < 1 || g.outs%g.group != 0 {
		return nil, false
	}
	first := 2 - spatial // one spatial dim is the width
	copy(g.kernel[first:], shape[2:])
	narrow(g.strides[first:], op, "strides")
	narrow(g.dilations[first:], op, "dilations")
	if !g.setPads(op, x, first) {
		return nil, false
	}
	perGroup, taps := g.outs/g.group, g.kernel[0]*g.kernel[1]
	switch {
	case g.group == 1 && (g.ins < rt.Lanes/2 || g.ins == rt.Lanes/2 && taps > 1):
		g.form = formImage
	case g.group == 1 || g.ins%rt.Lanes == 0 && perGroup%rt.Lanes == 0:
		g.form = formBlocked
	case g.ins == 1 && perGroup == 1:
		g.form = formDepthwise
	default:
		return nil, false
	}
	return g, true
}

// narrow copies an ints attribute over defaults where it is there.
func narrow(dst []int, op *ir.Op, name string) {
	v, _ := op.Attrs.Get(name).([]int64)
	if len(v) != len(dst) {
		return
	}
	for i, n := range v {
		dst[i] = int(n)
	}
}

// setPads makes the padding explicit.
func (g *geometry) setPads(op *ir.Op, x *ir.Value, first int) bool {
	auto, _ := op.Attrs.Get("auto_pad").(string)
	spatial := 2 - first
	switch auto {
	case "", "NOTSET":
		v, _ := op.Attrs.Get("pads").([]int64)
		if v == nil {
			return true
		}
		if len(v) != 2*spatial {
			return false
		}
		for i, n := range v {
			if n < 0 {
				return false
			}
			g.pads[i/spatial*2+first+i%spatial] = int(n)
		}
		return true
	case "VALID":
		return true
	}
	for i := range spatial {
		k, s := (g.kernel[first+i]-1)*g.dilations[first+i]+1, g.strides[first+i]
		total := k - 1
		if s > 1 {
			in, ok := x.Type.Dims[2+i].Int()
			if !ok {
				return false
			}
			out := (int(in) + s - 1) / s
			total = max(0, (out-1)*s+k-int(in))
		}
		begin := total / 2
		if auto == "SAME_LOWER" {
			begin = total - total/2
		}
		g.pads[first+i], g.pads[2+first+i] = begin, total-begin
	}
	return true
}

// gemmWeights returns the size of a MatMul whose second operand w is a
// matrix of weights.
func gemmWeights(op *ir.Op, w *ir.Value) (k, n int, ok bool) {
	shape, ok := weightShape(w)
	if !ok || len(shape) != 2 || !isF32(op.Result(0)) || op.Operand(0).Type.Rank() < 2 {
		return 0, 0, false
	}
	return shape[0], shape[1], true
}

// lowerAnchors turns Conv and MatMul with constant weights into cpu.Conv and
// cpu.Gemm with packed ones, inside of fused ops too.
func lowerAnchors(c *passes.Context, m *ir.Module) (bool, error) {
	spare := winogradBudget
	return each(func(c *passes.Context, op *ir.Op) (bool, error) {
		changed, err := lowerAnchor(c, op, nil, &spare)
		body := op.Region(ops.FusedRegion)
		if err != nil || body == nil || op.Name != ops.FusedName {
			return changed, err
		}
		for inner := range body.Ops() {
			ok, err := lowerAnchor(c, inner, op, &spare)
			if err != nil {
				return changed, err
			}
			changed = changed || ok
		}
		return changed, nil
	})(c, m)
}

// choosePlanes changes the form of a convolution to planes of pixels where so
// few channels come out that blocks of 16 would be mostly padding. It counts
// vector instructions a pixel: products, and what moving pixels costs, as its
// neighbours work on blocks most often. An output that is known to be narrow
// would leave the lanes empty instead.
func (g *geometry) choosePlanes(y *ir.Value) {
	if g.form != formBlocked && g.form != formImage || g.group != 1 || g.outs > rt.Lanes/2 {
		return
	}
	if w, ok := y.Type.Dims[y.Type.Rank()-1].Int(); ok && w < rt.Lanes {
		return
	}
	taps := g.kernel[0] * g.kernel[1]
	const reorder = 6 // for a block of 16 channels
	planes := g.ins*taps*max(g.outs, 2)/rt.Lanes + reorder*(blocks(g.ins)+1) + g.ins/8
	if g.strides[1] > 1 { // columns are sorted one by one
		planes += g.ins * g.strides[0] * g.strides[1] * 8
	}
	other := g.ins * taps
	if g.form == formBlocked {
		other = blocks(g.ins) * rt.Lanes * taps
		if g.isWinograd() { // a quarter of the products, and transforms
			other = other/4 + 2*rt.Lanes*blocks(g.ins)
		}
	}
	if planes < other {
		g.form = formPlanes
	}
}

// Winograd packs weights into four times their bytes, which start-up and caches
// pay for: only convolutions get it whose images are large enough to win, as
// long as a model's bytes for it last.
const (
	winogradBudget  = 24 << 20 // bytes of packed weights beyond the direct form
	winogradLeast   = 12       // rows and columns of output
	winogradWeights = 256 * 256
)

// chooseWinograd changes the form of a convolution to Winograd's where it
// pays. The output's size must be known: packing can not depend on a symbol.
func (g *geometry) chooseWinograd(y *ir.Value, spare *int) {
	if g.form != formBlocked || !g.isWinograd() || g.outs*g.ins > winogradWeights || y.Type.Rank() != 4 {
		return
	}
	for _, d := range y.Type.Dims[2:] {
		if n, ok := d.Int(); !ok || n < winogradLeast {
			return
		}
	}
	extra := 4 * (rt.PackedWinogradSize(g.outs, g.ins) - rt.PackedConvSize(g.outs, g.ins, 3, 3))
	if extra <= *spare {
		*spare -= extra
		g.form = formWinograd
	}
}

func lowerAnchor(c *passes.Context, op, fused *ir.Op, spare *int) (bool, error) {
	at := op // where constants go
	operand := op.Operand
	if fused != nil {
		at = fused
		operand = func(i int) *ir.Value {
			if a := op.Operand(i); a != nil && a.IsArg() {
				return fused.Operand(a.Index())
			}
			return op.Operand(i)
		}
	}
	switch op.Name {
	case "Conv":
		g, ok := convGeometry(op, operand)
		if !ok {
			return false, nil
		}
		return c.Change("pack-conv", op, func() error {
			g.choosePlanes(op.Result(0))
			g.chooseWinograd(op.Result(0), spare)
			w, err := packedWeights(at, operand(1), g)
			if err != nil {
				return err
			}
			setOperand(op, fused, 1, w)
			if v := operand(2); v != nil {
				bias, err := padded(v.Data())
				if err != nil {
					return err
				}
				setOperand(op, fused, 2, ir.Before(at).Tensor(bias))
			}
			op.Name, op.Attrs = convName, nil
			for _, a := range g.attrs() {
				op.Attrs.Set(a.Name, a.Value)
			}
			return nil
		})
	case "MatMul":
		k, n, ok := gemmWeights(op, operand(1))
		if !ok {
			return false, nil
		}
		return c.Change("pack-gemm", op, func() error {
			w, err := packedWeights(at, operand(1), matrixGeometry(k, n))
			if err != nil {
				return err
			}
			setOperand(op, fused, 1, w)
			op.Name, op.Attrs = gemmName, nil
			op.Attrs.Set("k", int64(k))
			op.Attrs.Set("n", int64(n))
			return absorbBias(op, fused, n)
		})
	}
	return false, nil
}

// setOperand replaces operand i of an op by a value outside; in a region, the
// fused op passes it in.
func setOperand(op, fused *ir.Op, i int, v *ir.Value) {
	if fused == nil {
		op.SetOperand(i, v)
		return
	}
	a := op.Operand(i)
	if a.NumUses() > 1 {
		fused.AddOperand(v)
		op.SetOperand(i, fused.Region(ops.FusedRegion).AddArg("", v.Type))
		return
	}
	a.Type = v.Type
	fused.SetOperand(a.Index(), v)
}

// padded returns a bias padded with zeros to whole blocks.
func padded(d *ir.Data) (*tensor.Tensor, error) {
	t, err := d.Tensor()
	if err != nil {
		return nil, err
	}
	out := tensor.New(tensor.Float32, blocks(t.Len())*rt.Lanes)
	rt.PackVector(tensor.Of[float32](out), tensor.Of[float32](t))
	return out, nil
}

// absorbBias makes a constant vector that a region adds to the product the
// product's own operand.
func absorbBias(op, fused *ir.Op, n int) error {
	if fused == nil || op.Result(0).NumUses() != 1 {
		return nil
	}
	add := op.Result(0).Uses()[0].Op
	if add.Name != "Add" {
		return nil
	}
	i := 1 - op.Result(0).Uses()[0].Index
	a := add.Operand(i)
	if !a.IsArg() {
		return nil
	}
	d := fused.Operand(a.Index()).Data()
	if d == nil || d.DType != tensor.Float32 || d.Len() != n || len(d.Shape) == 0 || d.Shape[len(d.Shape)-1] != n {
		return nil
	}
	bias, err := padded(d)
	if err != nil {
		return err
	}
	if add.Result(0).Type.Rank() != op.Result(0).Type.Rank() {
		return nil
	}
	op.AddOperand(a)
	setOperand(op, fused, 2, ir.Before(fused).Tensor(bias))
	add.SetOperand(i, nil)
	add.Result(0).ReplaceAllUsesWith(op.Result(0))
	add.Erase()
	return nil
}
