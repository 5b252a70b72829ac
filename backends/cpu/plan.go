package cpu

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// plan is a module bound to the shapes of its inputs: a list of steps, and an
// arena in which every value of known shape has its place.
type plan struct {
	fn      *ir.Func
	steps   []step
	inputs  []*place
	arena   rt.Mem
	places  map[*ir.Value]*place
	dynamic map[*ir.Value]tensor.Value // values whose shape only the run tells
	fixed   map[*ir.Value]tensor.Value // string constants
	shapes  [][]int
	run     rt.Run
	keep    []any // memory that works point to
	bytes   int
	need    int // bytes of scratch memory
}

// step is one op: works for the pool, or an evaluation.
type step struct {
	op    *ir.Op
	works []rt.Work
	eval  *interp.Program // where no driver computes the op
	why   error           // why not
}

// binder makes a plan.
type binder struct {
	*plan
	known  *restored
	set    *rt.Set
	env    map[string]int64
	shapes *ops.Shapes
	step   int // the number of the op at hand
}

// bind makes the plan of a function with the values known ahead, for inputs of the given shapes.
func bind(m *ir.Module, known *restored, set *rt.Set, shapes [][]int) (*plan, error) {
	b := &binder{
		plan:   &plan{fn: m.Main(), places: map[*ir.Value]*place{}, dynamic: map[*ir.Value]tensor.Value{}, fixed: map[*ir.Value]tensor.Value{}},
		known:  known,
		set:    set,
		env:    map[string]int64{},
		shapes: ops.NewShapes(m),
	}
	if err := b.bindInputs(shapes); err != nil {
		return nil, err
	}
	var pending []*ir.Op
	for op := range b.fn.Body.Ops() {
		if op.Name == ir.YieldName {
			b.use(op, len(pending))
			break
		}
		done, err := b.placeResults(op, len(pending))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", ops.Describe(op), err)
		}
		if done {
			continue
		}
		b.use(op, len(pending))
		pending = append(pending, op)
	}
	var roots []*place
	seen := map[*place]bool{}
	for _, v := range b.ordered() {
		if r := b.places[v].root(); r.data == nil && !seen[r] {
			seen[r] = true
			roots = append(roots, r)
		}
	}
	b.bytes = layOut(roots)
	var err error
	if b.arena, err = rt.Alloc(b.bytes); err != nil {
		return nil, err
	}
	for i, op := range pending {
		b.step = i
		s := step{op: op}
		if s.works, s.why = b.kernel(op); s.why != nil {
			s.works, s.eval = nil, interp.ForOp(op)
		}
		for _, w := range s.works {
			b.need = max(b.need, w.Scratch)
		}
		b.steps = append(b.steps, s)
	}
	return b.plan, nil
}

// ordered returns the placed values in program order.
func (b *binder) ordered() []*ir.Value {
	var vs []*ir.Value
	add := func(v *ir.Value) {
		if b.places[v] != nil {
			vs = append(vs, v)
		}
	}
	for _, a := range b.fn.Body.Args {
		add(a)
	}
	for op := range b.fn.Body.Ops() {
		for _, r := range op.Results() {
			add(r)
		}
	}
	return vs
}

// bindInputs binds the symbols of the inputs' dims to numbers.
func (b *binder) bindInputs(shapes [][]int) error {
	for i, a := range b.fn.Body.Args {
		if !a.Type.IsTensor() || a.Type.DType == tensor.String || shapes[i] == nil {
			b.inputs = append(b.inputs, nil)
			continue
		}
		if a.Type.Ranked {
			if len(shapes[i]) != len(a.Type.Dims) {
				return fmt.Errorf("input %q has %d dims, the model takes %s", a.Name, len(shapes[i]), a.Type)
			}
			for j, d := range a.Type.Dims {
				if s := d.Symbols(); len(s) == 1 && d.Equal(ir.Sym(s[0])) {
					if _, ok := b.env[s[0]]; !ok {
						b.env[s[0]] = int64(shapes[i][j])
					}
				}
			}
		}
		p, err := newPlace(a.Type, shapes[i])
		if err != nil {
			return fmt.Errorf("input %q: %w", a.Name, err)
		}
		b.places[a] = p
		b.inputs = append(b.inputs, p)
	}
	for i, a := range b.fn.Body.Args {
		if !a.Type.Ranked || b.inputs[i] == nil {
			continue
		}
		for j, d := range a.Type.Dims {
			if n, err := d.Eval(b.env); err != nil || n != int64(shapes[i][j]) {
				return &InputError{a.Name, fmt.Sprintf("input %q has shape %v, the model takes %s: dim %d is %s", a.Name, shapes[i], a.Type, j, describeDim(d, n, err))}
			}
		}
	}
	return nil
}

func describeDim(d ir.Dim, n int64, err error) string {
	if _, ok := d.Int(); ok || err != nil {
		return d.String()
	}
	return fmt.Sprintf("%s, which other inputs make %d", d, n)
}

// shapeOf evaluates the dims of a type, false where only a run can tell them.
func (b *binder) shapeOf(t ir.Type) ([]int, bool) {
	if !t.IsTensor() || !t.Ranked || t.DType == tensor.String || t.DType == tensor.Undefined {
		return nil, false
	}
	shape := make([]int, len(t.Dims))
	for i, d := range t.Dims {
		n, err := d.Eval(b.env)
		if err != nil || n < 0 || n > 1<<40 {
			return nil, false
		}
		shape[i] = int(n)
	}
	return shape, true
}

// placeResults gives the op's results their places, and reports whether the
// op needs no step: it is a constant, its elements are known, or its result is
// its operand under another shape.
func (b *binder) placeResults(op *ir.Op, step int) (done bool, err error) {
	done = true
	for i, v := range op.Results() {
		if d := v.Data(); d != nil {
			if d.DType == tensor.String {
				t, err := d.Tensor()
				if err != nil {
					return false, err
				}
				b.fixed[v] = t
				continue
			}
			t, err := d.Tensor()
			if err != nil {
				return false, err
			}
			if err := b.placeConst(v, t); err != nil {
				return false, err
			}
			continue
		}
		if b.known.ops[op] {
			if t := b.known.values[v]; t != nil {
				if err := b.placeConst(v, t); err != nil {
					return false, err
				}
			}
			continue
		}
		shape, ok := b.shapeOf(v.Type)
		if !ok {
			done = false
			continue
		}
		if b.places[v] != nil { // the op before writes it as it is to lie
			continue
		}
		p, err := newPlace(v.Type, shape)
		if err != nil {
			return false, fmt.Errorf("result %d: %w", i, err)
		}
		b.places[v] = p
		if elems := b.elements(v, p); elems != nil {
			p.data = elems
			continue
		}
		if src := b.aliased(op, p); src != nil {
			p.of = src
			continue
		}
		if b.permutedView(op, p) || b.permutedWrite(op, p, step) {
			done = done && op.Name == "Transpose"
			continue
		}
		p.first, p.last = step, step
		done = false
	}
	return done, nil
}

func (b *binder) placeConst(v *ir.Value, t *tensor.Tensor) error {
	p, err := newPlace(v.Type.WithLayout(ir.Plain), t.Shape)
	if err != nil {
		return err
	}
	p.data = t.Data
	if p.data == nil {
		p.data = nothing[:0]
	}
	b.places[v] = p
	return nil
}

// elements returns the bytes of a small integer tensor that shape arithmetic
// knows once the symbols are bound.
func (b *binder) elements(v *ir.Value, p *place) []byte {
	if v.Type.DType != tensor.Int64 && v.Type.DType != tensor.Int32 {
		return nil
	}
	elems, ok := b.ints(v)
	if !ok {
		return nil
	}
	t := tensor.New(v.Type.DType, p.shape...)
	if t.Len() != len(elems) {
		return nil
	}
	for i, e := range elems {
		if t.DType == tensor.Int32 {
			tensor.Of[int32](t)[i] = int32(e)
		} else {
			tensor.Of[int64](t)[i] = int64(e)
		}
	}
	if t.Data == nil {
		return nothing[:0]
	}
	return t.Data
}

// ints returns the elements of an integer tensor that are known without
// running: a constant's, or what shape arithmetic makes of bound symbols.
func (b *binder) ints(v *ir.Value) ([]int, bool) {
	elems, ok := b.shapes.Contents(v)
	if !ok {
		return nil, false
	}
	out := make([]int, len(elems))
	for i, e := range elems {
		n, err := e.Eval(b.env)
		if err != nil {
			return nil, false
		}
		out[i] = int(n)
	}
	return out, true
}

// aliases are the ops whose result is their first operand's memory.
var aliases = map[string]bool{
	"Identity": true, "Reshape": true, "Flatten": true, "Squeeze": true, "Unsqueeze": true, "Dropout": true,
}

// aliased returns the place whose memory the op's result is, nil where the op
// computes something.
func (b *binder) aliased(op *ir.Op, p *place) *place {
	src := b.places[op.Operand(0)]
	if src == nil || op.NumResults() != 1 || src.bytes != p.bytes || src.dtype != p.dtype {
		return nil
	}
	switch {
	case op.Name == reorderName:
		plain, blocked := src, p
		if src.layout == ir.C16 {
			plain, blocked = p, src
		}
		_, c, px := blockedDims(plain.shape)
		if px == 1 && c%rt.Lanes == 0 || blocked.bytes == 0 {
			return src
		}
		return nil
	case op.Name == "Dropout" && (op.Operand(2) != nil):
		return nil
	case aliases[op.Name] && src.layout == p.layout:
		return src
	}
	return nil
}

// use notes that a step reads the op's operands, and what its regions see.
func (b *binder) use(op *ir.Op, step int) {
	note := func(v *ir.Value) {
		if p := b.places[v]; p != nil {
			r := p.root()
			r.last = max(r.last, step)
		}
	}
	for _, v := range op.Operands() {
		note(v)
	}
	for _, r := range op.Regions {
		r.Walk(func(inner *ir.Op) bool {
			for _, v := range inner.Operands() {
				note(v)
			}
			return true
		})
	}
}

// errNoKernel says that no driver computes the op at all.
var errNoKernel = errors.New("there is no kernel for it")

// kernel returns the works that compute op.
func (b *binder) kernel(op *ir.Op) ([]rt.Work, error) {
	f := drivers[op.Name]
	if f == nil {
		if !isPointwise(op) {
			return nil, errNoKernel
		}
		f = bindPointwise
	}
	for _, v := range op.Operands() {
		if v != nil && b.places[v] == nil {
			return nil, fmt.Errorf("the shape of an operand is known only when it runs")
		}
	}
	for _, v := range op.Results() {
		if b.places[v] == nil {
			return nil, fmt.Errorf("the shape of its result is known only when it runs")
		}
	}
	if !blockAware[op.Name] && !isPointwise(op) {
		for _, v := range append(op.Operands(), op.Results()...) {
			if v != nil && b.places[v].layout != ir.Plain {
				return nil, fmt.Errorf("it has no kernel on blocks of channels")
			}
		}
	}
	return f(b, op)
}

// blockAware are the ops whose drivers look at layouts themselves.
var blockAware = map[string]bool{
	ops.FusedName: true, convName: true, reorderName: true,
	"MaxPool": true, "AveragePool": true, "GlobalAveragePool": true, "Concat": true,
}

// ptr returns the address of a placed value, nil for an absent operand.
func (b *binder) ptr(v *ir.Value) unsafe.Pointer {
	if v == nil {
		return nil
	}
	return b.places[v].ptr(b.arena)
}

func (b *binder) shape(v *ir.Value) []int { return b.places[v].shape }
