package cpu

import (
	"math"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// emitter writes the instructions of one op into a program and returns the
// register that holds its result, or false where the op has a form that no
// program computes.
type emitter func(p *progBuilder, op *ir.Op, x []rt.Reg) (rt.Reg, bool)

// pointwise is the table of the ops that programs compute, on float32 values.
var pointwise = map[string]emitter{
	"Identity":    unary(rt.OpCopy),
	"Neg":         unary(rt.OpNeg),
	"Abs":         unary(rt.OpAbs),
	"Sqrt":        unary(rt.OpSqrt),
	"Reciprocal":  unary(rt.OpRcp),
	"Floor":       unary(rt.OpFloor),
	"Ceil":        unary(rt.OpCeil),
	"Round":       unary(rt.OpRound),
	"Exp":         unary(rt.OpExp),
	"Log":         unary(rt.OpLog),
	"Tanh":        unary(rt.OpTanh),
	"Sigmoid":     unary(rt.OpSigmoid),
	"Erf":         unary(rt.OpErf),
	"Softplus":    unary(rt.OpSoftplus),
	"HardSwish":   unary(rt.OpHardSwish),
	"Add":         nary(rt.OpAdd),
	"Sum":         nary(rt.OpAdd),
	"Sub":         nary(rt.OpSub),
	"Mul":         nary(rt.OpMul),
	"Div":         nary(rt.OpDiv),
	"Min":         nary(rt.OpMin),
	"Max":         nary(rt.OpMax),
	"PRelu":       nary(rt.OpPrelu),
	"Relu":        clamp(0, math.Inf(1)),
	"Clip":        emitClip,
	"Gelu":        emitGelu,
	"Swish":       emitSwish,
	"Mish":        emitMish,
	"Softsign":    emitSoftsign,
	"Pow":         emitPow,
	"HardSigmoid": emitHardSigmoid,
	"LeakyRelu":   emitLeakyRelu,
	"Elu":         emitElu,
}

// isPointwise reports whether a program computes op.
func isPointwise(op *ir.Op) bool {
	e, ok := pointwise[op.Name]
	if !ok || op.NumResults() != 1 || !isF32(op.Result(0)) || op.Result(0).Type.Rank() < 0 {
		return false
	}
	for _, v := range op.Operands() {
		if v != nil && (!isF32(v) || v.Type.Rank() < 0) {
			return false
		}
	}
	p := newProgBuilder()
	regs := make([]rt.Reg, op.NumOperands())
	for i, v := range op.Operands() {
		if v != nil {
			regs[i] = p.value(v)
		}
	}
	_, ok = e(p, op, regs)
	return ok
}

func isF32(v *ir.Value) bool { return v.Type.IsTensor() && v.Type.DType == tensor.Float32 }

func unary(o rt.VecOp) emitter {
	return func(p *progBuilder, op *ir.Op, x []rt.Reg) (rt.Reg, bool) { return p.emit(o, x[0]), true }
}

// nary folds a binary operator over any number of operands.
func nary(o rt.VecOp) emitter {
	return func(p *progBuilder, op *ir.Op, x []rt.Reg) (rt.Reg, bool) {
		if len(x) == 1 {
			return p.emit(rt.OpCopy, x[0]), true
		}
		acc := x[0]
		for _, y := range x[1:] {
			acc = p.emit(o, acc, y)
		}
		return acc, true
	}
}

func clamp(lo, hi float64) emitter {
	return func(p *progBuilder, op *ir.Op, x []rt.Reg) (rt.Reg, bool) {
		return p.param(rt.OpClamp, float32(lo), float32(hi), x[0]), true
	}
}

// scalarOf returns the value of a constant with one element.
func scalarOf(v *ir.Value) (float32, bool) {
	d := v.Data()
	if d == nil || d.DType != tensor.Float32 || d.Len() != 1 {
		return 0, false
	}
	t, err := d.Tensor()
	if err != nil {
		return 0, false
	}
	return tensor.Of[float32](t)[0], true
}

// clipBounds returns the bounds of a Relu or Clip whose bounds are constants.
func clipBounds(op *ir.Op, operand func(i int) *ir.Value) (lo, hi float32, ok bool) {
	lo, hi = float32(math.Inf(-1)), float32(math.Inf(1))
	switch op.Name {
	case "Relu":
		return 0, hi, true
	case "Clip":
		if v := operand(1); v != nil {
			if lo, ok = scalarOf(v); !ok {
				return 0, 0, false
			}
		}
		if v := operand(2); v != nil {
			if hi, ok = scalarOf(v); !ok {
				return 0, 0, false
			}
		}
		return lo, hi, true
	}
	return 0, 0, false
}

func emitClip(p *progBuilder, op *ir.Op, x []rt.Reg) (rt.Reg, bool) {
	if lo, hi, ok := clipBounds(op, func(i int) *ir.Value { return p.outer(op.Operand(i)) }); ok {
		return p.param(rt.OpClamp, lo, hi, x[0]), true
	}
	r := x[0]
	if op.Operand(1) != nil {
		r = p.emit(rt.OpMax, r, x[1])
	}
	if op.Operand(2) != nil {
		r = p.emit(rt.OpMin, r, x[2])
	}
	return r, true
}

func emitGelu(p *progBuilder, op *ir.Op, x []rt.Reg) (rt.Reg, bool) {
	if a, _ := op.Attrs.Get("approximate").(string); a == "tanh" {
		return p.emit(rt.OpGeluTanh, x[0]), true
	}
	return p.emit(rt.OpGelu, x[0]), true
}

// Swish(x) = x * sigmoid(alpha * x)
func emitSwish(p *progBuilder, op *ir.Op, x []rt.Reg) (rt.Reg, bool) {
	if a := attrFloat(op, "alpha", 1); a != 1 {
		return p.emit(rt.OpMul, x[0], p.emit(rt.OpSigmoid, p.emit(rt.OpMul, x[0], p.imm(a)))), true
	}
	return p.emit(rt.OpSilu, x[0]), true
}

// Mish(x) = x * tanh(softplus(x))
func emitMish(p *progBuilder, op *ir.Op, x []rt.Reg) (rt.Reg, bool) {
	return p.emit(rt.OpMul, x[0], p.emit(rt.OpTanh, p.emit(rt.OpSoftplus, x[0]))), true
}

// Softsign(x) = x / (1 + |x|)
func emitSoftsign(p *progBuilder, op *ir.Op, x []rt.Reg) (rt.Reg, bool) {
	return p.emit(rt.OpDiv, x[0], p.emit(rt.OpAdd, p.emit(rt.OpAbs, x[0]), p.imm(1))), true
}

// Pow with an exponent for which there is an exact short form.
func emitPow(p *progBuilder, op *ir.Op, x []rt.Reg) (rt.Reg, bool) {
	e, ok := scalarOf(p.outer(op.Operand(1)))
	if !ok {
		return 0, false
	}
	switch e {
	case 1:
		return p.emit(rt.OpCopy, x[0]), true
	case 2:
		return p.emit(rt.OpSquare, x[0]), true
	case 3:
		return p.emit(rt.OpMul, p.emit(rt.OpSquare, x[0]), x[0]), true
	case 4:
		return p.emit(rt.OpSquare, p.emit(rt.OpSquare, x[0])), true
	case 0.5:
		return p.emit(rt.OpSqrt, x[0]), true
	case -0.5:
		return p.emit(rt.OpRcp, p.emit(rt.OpSqrt, x[0])), true
	case -1:
		return p.emit(rt.OpRcp, x[0]), true
	}
	return 0, false
}

func emitHardSigmoid(p *progBuilder, op *ir.Op, x []rt.Reg) (rt.Reg, bool) {
	return p.param(rt.OpHardSigmoid, attrFloat(op, "alpha", 0.2), attrFloat(op, "beta", 0.5), x[0]), true
}

func emitLeakyRelu(p *progBuilder, op *ir.Op, x []rt.Reg) (rt.Reg, bool) {
	return p.param(rt.OpLeakyRelu, attrFloat(op, "alpha", 0.01), 0, x[0]), true
}

func emitElu(p *progBuilder, op *ir.Op, x []rt.Reg) (rt.Reg, bool) {
	return p.param(rt.OpElu, attrFloat(op, "alpha", 1), 0, x[0]), true
}

func attrFloat(op *ir.Op, name string, def float32) float32 {
	if f, ok := op.Attrs.Get(name).(float32); ok {
		return f
	}
	return def
}

// progBuilder makes an rt.Program of ops. Registers are handed out as if
// there were no bound; finish renumbers them.
type progBuilder struct {
	inputs []*ir.Value
	consts []float32
	code   []rt.Instr
	temps  int
	regs   map[*ir.Value]rt.Reg
	// args maps a region's arguments to the values outside; nil where ops
	// stand alone.
	args map[*ir.Value]*ir.Value
}

// Register spaces before finish.
const (
	constBase = 1 << 12
	tempBase  = 1 << 13
)

func newProgBuilder() *progBuilder {
	return &progBuilder{regs: map[*ir.Value]rt.Reg{}}
}

// outer returns the value outside of the region that v stands for.
func (p *progBuilder) outer(v *ir.Value) *ir.Value {
	if w := p.args[v]; w != nil {
		return w
	}
	return v
}

// value returns the register of a value: what an op before computed, an
// immediate, or a new input.
func (p *progBuilder) value(v *ir.Value) rt.Reg {
	if r, ok := p.regs[v]; ok {
		return r
	}
	o := p.outer(v)
	if f, ok := scalarOf(o); ok {
		p.regs[v] = p.imm(f)
		return p.regs[v]
	}
	for i, in := range p.inputs {
		if in == o {
			return rt.Reg(i)
		}
	}
	p.inputs = append(p.inputs, o)
	p.regs[v] = rt.Reg(len(p.inputs) - 1)
	return p.regs[v]
}

func (p *progBuilder) imm(f float32) rt.Reg {
	for i, c := range p.consts {
		if math.Float32bits(c) == math.Float32bits(f) {
			return rt.Reg(constBase + i)
		}
	}
	p.consts = append(p.consts, f)
	return rt.Reg(constBase + len(p.consts) - 1)
}

func (p *progBuilder) emit(o rt.VecOp, x ...rt.Reg) rt.Reg { return p.param(o, 0, 0, x...) }

func (p *progBuilder) param(o rt.VecOp, p0, p1 float32, x ...rt.Reg) rt.Reg {
	in := rt.Instr{Op: o, Dst: rt.Reg(tempBase + p.temps), P0: p0, P1: p1}
	p.temps++
	for i, r := range x {
		switch i {
		case 0:
			in.X = r
		case 1:
			in.Y = r
		case 2:
			in.Z = r
		}
	}
	p.code = append(p.code, in)
	return in.Dst
}

// op emits one op.
func (p *progBuilder) op(op *ir.Op) bool {
	x := make([]rt.Reg, op.NumOperands())
	for i, v := range op.Operands() {
		if v != nil {
			x[i] = p.value(v)
		}
	}
	r, ok := pointwise[op.Name](p, op, x)
	if ok {
		p.regs[op.Result(0)] = r
	}
	return ok
}

// finish assigns registers: temporaries are used again once nobody reads
// them any more, so that a chunk's values stay few.
func (p *progBuilder) finish(outs ...rt.Reg) *rt.Program {
	for i, r := range outs { // an output is always a temporary of its own
		if r < tempBase {
			outs[i] = p.emit(rt.OpCopy, r)
		}
	}
	last := map[rt.Reg]int{}
	for i, c := range p.code {
		for _, r := range []rt.Reg{c.X, c.Y, c.Z}[:c.Op.Operands()] {
			last[r] = i
		}
	}
	for _, r := range outs {
		last[r] = len(p.code)
	}
	pr := &rt.Program{In: len(p.inputs), Consts: p.consts}
	base := len(p.inputs) + len(p.consts)
	at := map[rt.Reg]rt.Reg{}
	var free []rt.Reg
	place := func(r rt.Reg) rt.Reg {
		switch {
		case r < constBase:
			return r
		case r < tempBase:
			return rt.Reg(len(p.inputs)) + r - constBase
		}
		return at[r]
	}
	for i, c := range p.code {
		n := rt.Instr{Op: c.Op, P0: c.P0, P1: c.P1}
		srcs := []rt.Reg{c.X, c.Y, c.Z}[:c.Op.Operands()]
		dsts := []*rt.Reg{&n.X, &n.Y, &n.Z}
		for k, r := range srcs {
			*dsts[k] = place(r)
		}
		for k, r := range srcs {
			if r >= tempBase && last[r] == i && !containsReg(srcs[:k], r) {
				free = append(free, at[r])
			}
		}
		if len(free) > 0 {
			n.Dst, free = free[len(free)-1], free[:len(free)-1]
		} else {
			n.Dst = rt.Reg(base + pr.Temps)
			pr.Temps++
		}
		at[c.Dst] = n.Dst
		if _, read := last[c.Dst]; !read {
			free = append(free, n.Dst)
		}
		pr.Code = append(pr.Code, n)
	}
	for _, r := range outs {
		pr.Out = append(pr.Out, place(r))
	}
	return pr
}

func containsReg(rs []rt.Reg, r rt.Reg) bool {
	for _, x := range rs {
		if x == r {
			return true
		}
	}
	return false
}

// regionProgram makes the program of a fused op's pointwise ops. acc, where it
// is not nil, is the value inside the region that a kernel leaves in input 0.
func regionProgram(fused *ir.Op, acc *ir.Value) (*rt.Program, []*ir.Value, bool) {
	body := fused.Region(ops.FusedRegion)
	p := newProgBuilder()
	p.args = map[*ir.Value]*ir.Value{}
	for i, a := range body.Args {
		p.args[a] = fused.Operand(i)
	}
	if acc != nil {
		p.inputs = append(p.inputs, nil)
		p.regs[acc] = 0
	}
	for op := range body.Ops() {
		if op.Name == ir.YieldName {
			return p.finish(p.value(op.Operand(0))), p.inputs, true
		}
		if acc != nil && op == acc.Def() {
			continue
		}
		if pointwise[op.Name] == nil || !p.op(op) {
			return nil, nil, false
		}
	}
	return nil, nil, false
}
