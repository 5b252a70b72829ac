package ops_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// scanModule builds a Scan over %x that keeps a running sum and yields it.
func scanModule(xs ir.Type, attrs ...ir.Attr) (*ir.Module, *ir.Op) {
	m := ir.NewModule("t", 28)
	sum := m.Main().AddInput("sum", ir.Static(tensor.Float32))
	x := m.Main().AddInput("x", xs)
	attrs = append(attrs, ir.Attr{Name: "num_scan_inputs", Value: int64(1)})
	op := ir.AtEnd(m.Main().Body).Op("Scan", []*ir.Value{sum, x}, make([]ir.Type, 2), attrs...)
	addingBody(op)
	m.Main().Return([]string{"last", "sums"}, op.Results()...)
	return m, op
}

func addingBody(op *ir.Op) {
	r := op.AddRegion("body")
	s, e := r.AddArg("s", ir.Unranked(tensor.Float32)), r.AddArg("e", ir.Unranked(tensor.Float32))
	b := ir.AtEnd(r)
	add := b.Op("Add", []*ir.Value{s, e}, make([]ir.Type, 1)).Result(0)
	b.Op(ir.YieldName, []*ir.Value{add, add}, nil)
}

func run(t *testing.T, m *ir.Module, ins ...tensor.Value) []tensor.Value {
	t.Helper()
	require.NoError(t, ops.InferModule(m))
	require.NoError(t, ops.Verify(m))
	outs, err := interp.New(m).Run(context.Background(), ins, interp.Options{})
	require.NoError(t, err)
	return outs
}

func TestScanAxesAndDirections(t *testing.T) {
	x := tensor.Float32s([]float32{1, 2, 3, 10, 20, 30}, 2, 3)
	zeros := tensor.Float32s([]float32{0, 0}, 2)
	for _, c := range []struct {
		name  string
		attrs []ir.Attr
		sum   *tensor.Tensor
		want  *tensor.Tensor
		typ   string
	}{
		{"rows", nil, tensor.Float32s([]float32{0, 0, 0}, 3), tensor.Float32s([]float32{1, 2, 3, 11, 22, 33}, 2, 3), "f32[N,3]"},
		{"columns", []ir.Attr{{Name: "scan_input_axes", Value: []int64{-1}}}, zeros,
			tensor.Float32s([]float32{1, 10, 3, 30, 6, 60}, 3, 2), "f32[3,N]"},
		{"columns, kept", []ir.Attr{{Name: "scan_input_axes", Value: []int64{1}}, {Name: "scan_output_axes", Value: []int64{-1}}}, zeros,
			tensor.Float32s([]float32{1, 3, 6, 10, 30, 60}, 2, 3), "f32[N,3]"},
		{"backwards", []ir.Attr{{Name: "scan_input_axes", Value: []int64{1}}, {Name: "scan_input_directions", Value: []int64{1}}}, zeros,
			tensor.Float32s([]float32{3, 30, 5, 50, 6, 60}, 3, 2), "f32[3,N]"},
		{"prepended", []ir.Attr{{Name: "scan_input_axes", Value: []int64{1}}, {Name: "scan_output_directions", Value: []int64{1}}}, zeros,
			tensor.Float32s([]float32{6, 60, 3, 30, 1, 10}, 3, 2), "f32[3,N]"},
	} {
		m, op := scanModule(ir.TensorOf(tensor.Float32, ir.Sym("N"), ir.Const(3)), c.attrs...)
		m.Main().Body.Args[0].Type = ir.TensorOf(tensor.Float32, ir.Sym("N"))
		if c.name == "rows" {
			m.Main().Body.Args[0].Type = ir.Static(tensor.Float32, 3)
		}
		outs := run(t, m, c.sum, x)
		require.Equal(t, c.want, outs[1], c.name)
		require.Equal(t, c.typ, op.Result(1).Type.String(), c.name)
	}
}

func TestScanOverNothingKeepsItsStates(t *testing.T) {
	m, _ := scanModule(ir.TensorOf(tensor.Float32, ir.Sym("N")))
	outs := run(t, m, tensor.Scalar(tensor.Float32, float32(7)), tensor.Float32s(nil, 0))
	require.Equal(t, tensor.Scalar(tensor.Float32, float32(7)), outs[0])
	require.Equal(t, tensor.Float32s(nil, 0), outs[1])
}

// A Scan of opset 8 ran once for each member of a batch.
func TestScanOfOpset8(t *testing.T) {
	m := ir.NewModule("t", 28)
	sum := m.Main().AddInput("sum", ir.TensorOf(tensor.Float32, ir.Sym("B")))
	x := m.Main().AddInput("x", ir.TensorOf(tensor.Float32, ir.Sym("B"), ir.Sym("T")))
	op := ir.AtEnd(m.Main().Body).Op("Scan", []*ir.Value{nil, sum, x}, make([]ir.Type, 2),
		ir.Attr{Name: "num_scan_inputs", Value: int64(1)}, ir.Attr{Name: "directions", Value: []int64{1}})
	addingBody(op)
	m.Main().Return([]string{"last", "sums"}, op.Results()...)
	up := ops.Lookup("Scan").Upgrades[0]
	require.Equal(t, 9, up.To)
	require.NoError(t, up.Do(ir.Before(op), op))
	outs := run(t, m, tensor.Float32s([]float32{100, 0}, 2), tensor.Float32s([]float32{1, 2, 3, 4, 5, 6}, 2, 3))
	require.Equal(t, tensor.Float32s([]float32{106, 15}, 2), outs[0])
	require.Equal(t, tensor.Float32s([]float32{103, 105, 106, 6, 11, 15}, 2, 3), outs[1])
	require.Equal(t, "f32[B,T]", m.Main().Results()[1].Type.String())
}

// loopModule builds a Loop of trips rounds whose state doubles its length.
func loopModule() (*ir.Module, *ir.Op) {
	m := ir.NewModule("t", 28)
	trips := m.Main().AddInput("trips", ir.Static(tensor.Int64))
	v := m.Main().AddInput("v", ir.Static(tensor.Float32, 1))
	op := ir.AtEnd(m.Main().Body).Op("Loop", []*ir.Value{trips, nil, v}, make([]ir.Type, 2))
	r := op.AddRegion("body")
	i, cond, s := r.AddArg("i", ir.Type{}), r.AddArg("cond", ir.Type{}), r.AddArg("s", ir.Type{})
	b := ir.AtEnd(r)
	twice := b.Op("Concat", []*ir.Value{s, s}, make([]ir.Type, 1), ir.Attr{Name: "axis", Value: int64(0)}).Result(0)
	b.Op(ir.YieldName, []*ir.Value{cond, twice, i}, nil)
	m.Main().Return([]string{"v", "rounds"}, op.Results()...)
	return m, op
}

func TestLoopWidensTheTypesOfItsStates(t *testing.T) {
	m, op := loopModule()
	outs := run(t, m, tensor.Scalar(tensor.Int64, int64(3)), tensor.Float32s([]float32{5}, 1))
	require.Equal(t, []int{8}, outs[0].(*tensor.Tensor).Shape)
	require.Equal(t, tensor.Int64s([]int64{0, 1, 2}), outs[1])
	require.Equal(t, 1, op.Result(0).Type.Rank())
	_, known := op.Result(0).Type.Dims[0].Int()
	require.False(t, known)
	text, err := ir.Print(m)
	require.NoError(t, err)
	require.NoError(t, ops.InferModule(m))
	again, err := ir.Print(m)
	require.NoError(t, err)
	require.Equal(t, text, again)

	outs = run(t, m, tensor.Scalar(tensor.Int64, int64(-1)), tensor.Float32s([]float32{5}, 1))
	require.Equal(t, tensor.Float32s([]float32{5}, 1), outs[0])
	require.Equal(t, tensor.Int64s(nil, 0), outs[1])
}

func TestLoopStopsWithTheRun(t *testing.T) {
	m, _ := loopModule()
	require.NoError(t, ops.InferModule(m))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := interp.New(m).Run(ctx, []tensor.Value{tensor.Scalar(tensor.Int64, int64(1)<<62), tensor.Float32s(nil, 0)}, interp.Options{})
	require.ErrorIs(t, err, context.Canceled)
}

// The condition of a Loop, and its count, may be absent without a place of
// their own where no states follow.
func TestLoopWithoutStates(t *testing.T) {
	m := ir.NewModule("t", 28)
	count := ir.AtEnd(m.Main().Body).Tensor(tensor.Scalar(tensor.Int64, int64(3)))
	op := ir.AtEnd(m.Main().Body).Op("Loop", []*ir.Value{count}, make([]ir.Type, 1))
	body := op.AddRegion("body")
	i, more := body.AddArg("i", ir.Static(tensor.Int64)), body.AddArg("more", ir.Static(tensor.Bool))
	ir.AtEnd(body).Op(ir.YieldName, []*ir.Value{more, i}, nil)
	m.Main().Return([]string{"y"}, op.Result(0))
	require.Equal(t, tensor.Int64s([]int64{0, 1, 2}), run(t, m)[0])
	require.Equal(t, "i64[3]", op.Result(0).Type.String())
}

func TestIfYieldsWhatItsBranchesShare(t *testing.T) {
	m := ir.NewModule("t", 28)
	cond := m.Main().AddInput("cond", ir.Static(tensor.Bool))
	x := m.Main().AddInput("x", ir.TensorOf(tensor.Float32, ir.Sym("N"), ir.Const(2)))
	y := m.Main().AddInput("y", ir.Static(tensor.Float32, 3, 2))
	op := ir.AtEnd(m.Main().Body).Op("If", []*ir.Value{cond}, make([]ir.Type, 1))
	ir.AtEnd(op.AddRegion("then_branch")).Op(ir.YieldName, []*ir.Value{x}, nil)
	ir.AtEnd(op.AddRegion("else_branch")).Op(ir.YieldName, []*ir.Value{y}, nil)
	m.Main().Return([]string{"z"}, op.Results()...)
	a, b := tensor.Float32s([]float32{1, 2}, 1, 2), tensor.New(tensor.Float32, 3, 2)
	require.Equal(t, a, run(t, m, tensor.Scalar(tensor.Bool, true), a, b)[0])
	require.Equal(t, b, run(t, m, tensor.Scalar(tensor.Bool, false), a, b)[0])
	require.Equal(t, "2", op.Result(0).Type.Dims[1].String())
	y.Type = ir.Static(tensor.Int64)
	require.ErrorContains(t, ops.InferModule(m), "can not be the same value")
}

// The gradient of (a+b)*a, once a use of a graph's names, is ordinary ops.
func TestGradientIsWrittenOut(t *testing.T) {
	m := ir.NewModule("t", 28)
	a, b := m.Main().AddInput("a", ir.Static(tensor.Float32)), m.Main().AddInput("b", ir.Static(tensor.Float32))
	at := ir.AtEnd(m.Main().Body)
	c := at.Op("Add", []*ir.Value{a, b}, []ir.Type{a.Type}).Result(0)
	d := at.Op("Mul", []*ir.Value{c, a}, []ir.Type{a.Type}).Result(0)
	d.Origin = ir.Origin{Name: "d"}
	g := at.Op("training.Gradient", []*ir.Value{a, b}, make([]ir.Type, 2),
		ir.Attr{Name: "xs", Value: []string{"a", "b"}}, ir.Attr{Name: "y", Value: "d"})
	m.Main().Return([]string{"d", "da", "db"}, d, g.Result(0), g.Result(1))
	require.NoError(t, ops.Lookup("training.Gradient").Upgrades[0].Do(ir.Before(g), g))
	one := func(v float32) *tensor.Tensor { return tensor.Scalar(tensor.Float32, v) }
	require.Equal(t, []tensor.Value{one(14), one(9), one(2)}, run(t, m, one(2), one(5)))
}

func TestSequencesAndOptionals(t *testing.T) {
	m := ir.NewModule("t", 28)
	x := m.Main().AddInput("x", ir.TensorOf(tensor.Float32, ir.Sym("N"), ir.Const(2)))
	split := m.Main().AddInput("split", ir.TensorOf(tensor.Int64, ir.Sym("K")))
	pos := m.Main().AddInput("pos", ir.Static(tensor.Int64))
	at := ir.AtEnd(m.Main().Body)
	op := func(name string, operands []*ir.Value, attrs ...ir.Attr) *ir.Value {
		return at.Op(name, operands, make([]ir.Type, 1), attrs...).Result(0)
	}
	parts := op("SplitToSequence", []*ir.Value{x, split})
	more := op("SequenceInsert", []*ir.Value{parts, x, pos})
	fewer := op("SequenceErase", []*ir.Value{more, pos})
	joined := op("ConcatFromSequence", []*ir.Value{fewer}, ir.Attr{Name: "axis", Value: int64(0)})
	length := op("SequenceLength", []*ir.Value{more})
	last := op("SequenceAt", []*ir.Value{more, pos})
	has := op("OptionalHasElement", []*ir.Value{op("Optional", []*ir.Value{last})})
	m.Main().Return([]string{"joined", "length", "last", "has"}, joined, length, last, has)
	in := tensor.Float32s([]float32{1, 2, 3, 4, 5, 6}, 3, 2)
	outs := run(t, m, in, tensor.Int64s([]int64{1, 2}), tensor.Scalar(tensor.Int64, int64(-1)))
	require.Equal(t, tensor.Scalar(tensor.Int64, int64(3)), outs[1])
	require.Equal(t, tensor.Float32s([]float32{3, 4, 5, 6}, 2, 2), outs[2])
	require.Equal(t, []int{4, 2}, outs[0].(*tensor.Tensor).Shape)
	require.Equal(t, tensor.Scalar(tensor.Bool, true), outs[3])

	_, err := interp.New(m).Run(context.Background(), []tensor.Value{in, tensor.Int64s([]int64{1, 1}), tensor.Scalar(tensor.Int64, int64(0))}, interp.Options{})
	require.ErrorContains(t, err, "add up")
	_, err = interp.New(m).Run(context.Background(), []tensor.Value{in, tensor.Int64s([]int64{1, 2}), tensor.Scalar(tensor.Int64, int64(9))}, interp.Options{})
	require.ErrorContains(t, err, "position 9")
}

// What inference can not tell stays as it was declared, and what is computed
// from it has a rank then; what it tells counts.
func TestInferenceKeepsWhatIsDeclared(t *testing.T) {
	m, err := ir.Parse(`module @m opset=28
func @main(%x: f32[4], %s: i64[K]) -> (y: f32[2,2], z: f32[4]) {
  %0 = Reshape(%x, %s) : f32[2,2]
  %1 = Relu(%0) : f32[]
  %2 = Neg(%x) : f32[5]
  return(%1, %2)
}
`, ir.ParseOptions{})
	require.NoError(t, err)
	require.NoError(t, ops.InferModule(m))
	require.Equal(t, "f32[2,2]", m.Main().Results()[0].Type.String())
	require.Equal(t, "f32[4]", m.Main().Results()[1].Type.String())
}
