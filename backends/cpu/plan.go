package cpu

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// plan is a function bound to the shapes of its inputs: a list of steps, and an
// arena in which every value of known shape has its place. Regions are plans
// whose arenas are parts of it; what waits for sizes that a run tells is bound
// when they are known, in the tail.
type plan struct {
	machine
	fn      *ir.Func
	kernels *rt.Set // set, once the steps are checked
	steps   []step
	inputs  []*place
	arena   rt.Mem
	owned   bool // the arena is no part of another plan's
	places  map[*ir.Value]*place
	dynamic map[*ir.Value]tensor.Value // values without a place: their shape only the run tells
	fixed   map[*ir.Value]tensor.Value // string constants
	tail    *tail
	shapes  [][]int
	run     rt.Run
	keep    []any // memory that works point to
	bytes   int
	need    int // bytes of scratch memory
}

// machine is what plans run on.
type machine struct {
	set   *rt.Set
	limit int // the most bytes of an arena, or of what the reference computes; 0 is no limit
}

// step is one op: works for the pool, plans of its regions, or an evaluation.
type step struct {
	op      *ir.Op
	works   []rt.Work
	choose  selection // plain Go selects elements
	control control
	eval    *interp.Program // where no driver computes the op
	why     error           // why not
}

// binder makes a plan.
type binder struct {
	*plan
	ahead   *restored // values that are known when a session starts
	env     map[string]int64
	shapes  *ops.Shapes
	depth   int // of plans within plans
	pending []*ir.Op
	control map[*ir.Op]control
	rooms   map[*ir.Op]*place   // memory of the plans of regions
	told    map[*ir.Value][]int // shapes that regions tell
	refused map[*ir.Op]error    // why regions have no plan
	open    map[*ir.Value]bool  // values whose shape only a run tells
	folded  int                 // bytes of results known already
	step    int                 // the number of the op at hand
}

// bind makes the plan of a module with the values known ahead, for inputs of the given shapes.
func bind(m *ir.Module, ahead *restored, on machine, shapes [][]int) (*plan, error) {
	args := make([]argument, len(shapes))
	for i, s := range shapes {
		args[i] = argument{shape: s, known: s != nil}
	}
	b, err := newBinder(m.Main(), ahead, on, args, 0)
	if err != nil {
		return nil, err
	}
	return b.plan, b.finish(nil, nil)
}

// newBinder gives the values of a function their places.
func newBinder(fn *ir.Func, ahead *restored, on machine, args []argument, depth int) (*binder, error) {
	b := &binder{
		plan:    &plan{machine: on, fn: fn, places: map[*ir.Value]*place{}, dynamic: map[*ir.Value]tensor.Value{}, fixed: map[*ir.Value]tensor.Value{}},
		ahead:   ahead,
		env:     map[string]int64{},
		shapes:  ops.NewShapes(fn.Module()),
		depth:   depth,
		control: map[*ir.Op]control{},
		rooms:   map[*ir.Op]*place{},
		told:    map[*ir.Value][]int{},
		refused: map[*ir.Op]error{},
		open:    map[*ir.Value]bool{},
	}
	if err := b.bindInputs(args); err != nil {
		return nil, err
	}
	var waiting []*ir.Op
	for op := range b.fn.Body.Ops() {
		if op.Name == ir.YieldName {
			b.use(op, len(b.pending))
			break
		}
		if b.waits(op) {
			for _, v := range op.Results() {
				b.open[v] = true
			}
			waiting = append(waiting, op)
			continue
		}
		if !b.ahead.ops[op] && b.fold(op) {
			continue
		}
		b.controlled(op)
		done, err := b.placeResults(op, len(b.pending))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", ops.Describe(op), err)
		}
		if done {
			continue
		}
		b.use(op, len(b.pending))
		b.pending = append(b.pending, op)
	}
	if len(waiting) > 0 {
		for _, op := range waiting {
			b.use(op, len(b.pending))
		}
		b.tail = b.newTail(waiting, fn.Results())
	}
	return b, nil
}

// waits reports whether op reads a value whose shape only a run tells. Its
// results then wait for the tail.
func (b *binder) waits(op *ir.Op) bool {
	isOpen := func(v *ir.Value) bool { return b.open[v] }
	return slices.ContainsFunc(op.Operands(), isOpen) || slices.ContainsFunc(captured(op), isOpen)
}

// finish lays the plan out, in memory of its own, and binds its steps. Outer
// is the plan that has the values ins, those of the last arguments.
func (b *binder) finish(outer *plan, ins []*ir.Value) error {
	b.layOut()
	if b.limit > 0 && b.bytes > b.limit {
		return fmt.Errorf("values take %d bytes, over the limit of %d for this run", b.bytes, b.limit)
	}
	arena, err := rt.Alloc(b.bytes)
	if err != nil {
		return err
	}
	b.owned = true
	b.borrow(outer, ins)
	b.link(arena)
	return nil
}

// layOut gives places their offsets in the arena.
func (b *binder) layOut() {
	var roots []*place
	seen := map[*place]bool{}
	for _, v := range b.ordered() {
		if r := b.places[v].root(); r.data == nil && !r.outside && !seen[r] {
			seen[r] = true
			roots = append(roots, r)
		}
	}
	for i, op := range b.pending {
		c := b.control[op]
		if c == nil {
			continue
		}
		room := &place{first: i, last: i}
		for _, y := range c.bodies() {
			y.layOut()
			room.bytes = max(room.bytes, y.bytes)
		}
		b.rooms[op] = room
		roots = append(roots, room)
	}
	b.bytes = layOut(roots)
}

// link binds the steps to memory.
func (b *binder) link(arena rt.Mem) {
	b.arena = arena
	check := rt.NewCheck(b.set)
	b.kernels = check.Set()
	defer check.Done()
	for i, op := range b.pending {
		b.step = i
		s := step{op: op}
		if c := b.control[op]; c != nil {
			s.control = c
			for _, y := range c.bodies() {
				y.borrow(b.plan, y.ins)
				y.link(arena.Slice(b.rooms[op].offset, y.bytes))
				b.need = max(b.need, y.need)
			}
		} else if s.works, s.why = b.checked(check, op); s.why != nil {
			if s.works, s.choose = nil, selectionOf(op); s.choose == nil {
				s.eval = interp.ForOp(op)
			}
		} else if len(s.works) == 0 {
			continue // an empty result, or one that lies in its place already
		}
		for _, w := range s.works {
			b.need = max(b.need, w.Scratch)
		}
		b.steps = append(b.steps, s)
	}
}

// knownInts returns the elements of a small tensor of integers where they are
// known without running.
func (b *binder) knownInts(v *ir.Value) *tensor.Tensor {
	if v == nil || v.Data() != nil || !v.Type.IsTensor() || v.Type.DType != tensor.Int64 && v.Type.DType != tensor.Int32 || v.Type.Rank() < 0 || v.Type.Rank() > 1 {
		return nil
	}
	elems, ok := b.ints(v)
	if !ok {
		return nil
	}
	shape := []int{len(elems)}
	if v.Type.Rank() == 0 {
		if shape = nil; len(elems) != 1 {
			return nil
		}
	}
	return intTensor(v.Type.DType, shape, elems)
}

func intTensor(d tensor.DType, shape, elems []int) *tensor.Tensor {
	t := tensor.New(d, shape...)
	for i, e := range elems {
		if d == tensor.Int32 {
			tensor.Of[int32](t)[i] = int32(e)
		} else {
			tensor.Of[int64](t)[i] = int64(e)
		}
	}
	return t
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
		if b.ahead.ops[op] {
			if t := b.ahead.values[v]; t != nil {
				if err := b.placeConst(v, t); err != nil {
					return false, err
				}
			}
			continue
		}
		shape, ok := b.told[v], b.told[v] != nil
		if !ok {
			shape, ok = b.shapeOf(v.Type)
		} else {
			b.reopen(v)
		}
		if !ok {
			done = false
			b.open[v] = b.depth < maxDepth && v.Type.IsTensor() && v.Type.DType != tensor.String
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
		if b.cutView(op, i, p) {
			continue
		}
		if b.permutedView(op, p) || b.permutedWrite(op, p, step) {
			done = done && op.Name == "Transpose"
			continue
		}
		p.first, p.last = step, step
		done = false
		if op.Name == "Concat" {
			b.joinInPlace(op, p)
		}
	}
	return done, nil
}

// reopen makes the ops behind v wait for the tail, whose types have all the
// sizes, where v's own type does not tell what is known of its shape.
func (b *binder) reopen(v *ir.Value) {
	if _, ok := b.shapeOf(v.Type); !ok {
		b.open[v] = b.depth < maxDepth
	}
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
	if product(p.shape) != len(elems) {
		return nil
	}
	if len(elems) == 0 {
		return nothing[:0]
	}
	return intTensor(v.Type.DType, p.shape, elems).Data
}

// ints returns the elements of an integer tensor that are known without
// running: a constant's, or what shape arithmetic makes of bound symbols.
func (b *binder) ints(v *ir.Value) ([]int, bool) {
	if v == nil {
		return nil, false
	}
	if t := b.dataOf(v); t != nil && t.Rank() <= 1 && (t.DType == tensor.Int64 || t.DType == tensor.Int32) {
		return intsOf(t), true
	}
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

// intsOf returns the elements of an int64 or int32 tensor.
func intsOf(t *tensor.Tensor) []int {
	out := make([]int, t.Len())
	for i := range out {
		if t.DType == tensor.Int32 {
			out[i] = int(tensor.Of[int32](t)[i])
		} else {
			out[i] = int(tensor.Of[int64](t)[i])
		}
	}
	return out
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
	if err := b.refused[op]; err != nil {
		return nil, err
	}
	f := drivers[op.Name]
	if f == nil {
		switch {
		case isPointwise(op):
			f = bindPointwise
		case isScalars(op):
			f = bindScalars
		default:
			return nil, errNoKernel
		}
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
	"MaxPool": true, "AveragePool": true, "GlobalAveragePool": true, "Concat": true, "Transpose": true, "Pad": true, "Resize": true,
}

// ptr returns the address of a placed value, nil for an absent operand.
func (b *binder) ptr(v *ir.Value) unsafe.Pointer {
	if v == nil {
		return nil
	}
	return b.places[v].ptr(b.arena)
}

func (b *binder) shape(v *ir.Value) []int { return b.places[v].shape }
