package cpu_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/backends/cpu"
	"github.com/hone-ml/hone/internal/compare"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// graph grows a random module of ops that move, choose and quantize elements
// and a few that compute, on values of known shape but for the batch N.
type graph struct {
	*rand.Rand
	*ir.Builder
	vals        []*ir.Value
	scale, zero *ir.Value
}

// quantized reports whether v holds codes.
func quantized(v *ir.Value) bool { return v.Type.DType == tensor.Uint8 }

// grow is a way to go on from x; it returns the operands behind x and the
// attributes, false where the op does not take x.
type grow func(g *graph, x *ir.Value) (operands []*ir.Value, attrs []ir.Attr, ok bool)

func attr(name string, v any) ir.Attr { return ir.Attr{Name: name, Value: v} }

// axis draws an axis of x with n positions at least, which are known; -1 where
// there is none.
func (g *graph) axis(x *ir.Value, n int64) int {
	for _, i := range g.Perm(x.Type.Rank()) {
		if d, ok := x.Type.Dims[i].Int(); ok && d >= n {
			return i
		}
	}
	return -1
}

// steps are the ways to go on; most take numbers and codes alike.
var steps = []struct {
	op   string
	grow grow
}{
	{"Transpose", func(g *graph, x *ir.Value) ([]*ir.Value, []ir.Attr, bool) {
		p := make([]int64, x.Type.Rank())
		for i, n := range g.Perm(len(p)) {
			p[i] = int64(n)
		}
		return nil, []ir.Attr{attr("perm", p)}, len(p) > 1
	}},
	{"Transpose", func(_ *graph, x *ir.Value) ([]*ir.Value, []ir.Attr, bool) {
		return nil, []ir.Attr{attr("perm", []int64{0, 2, 3, 1})}, x.Type.Rank() == 4
	}},
	{"Transpose", func(_ *graph, x *ir.Value) ([]*ir.Value, []ir.Attr, bool) {
		return nil, []ir.Attr{attr("perm", []int64{0, 3, 1, 2})}, x.Type.Rank() == 4
	}},
	{"QuantizeLinear", func(g *graph, x *ir.Value) ([]*ir.Value, []ir.Attr, bool) {
		return []*ir.Value{g.scale, g.zero}, nil, !quantized(x)
	}},
	{"DequantizeLinear", func(g *graph, x *ir.Value) ([]*ir.Value, []ir.Attr, bool) {
		return []*ir.Value{g.scale, g.zero}, nil, quantized(x)
	}},
	{"Relu", func(_ *graph, x *ir.Value) ([]*ir.Value, []ir.Attr, bool) { return nil, nil, !quantized(x) }},
	{"Add", func(g *graph, x *ir.Value) ([]*ir.Value, []ir.Attr, bool) {
		return []*ir.Value{g.like(x)}, nil, !quantized(x)
	}},
	{"Concat", func(g *graph, x *ir.Value) ([]*ir.Value, []ir.Attr, bool) {
		a := g.axis(x, 1)
		return []*ir.Value{g.like(x)}, []ir.Attr{attr("axis", int64(a))}, a >= 0
	}},
	{"MaxPool", func(_ *graph, x *ir.Value) ([]*ir.Value, []ir.Attr, bool) {
		if x.Type.Rank() != 4 {
			return nil, nil, false
		}
		h, ok1 := x.Type.Dims[2].Int()
		w, ok2 := x.Type.Dims[3].Int()
		return nil, []ir.Attr{attr("kernel_shape", []int64{2, 2})}, ok1 && ok2 && h > 1 && w > 1
	}},
	{"Slice", func(g *graph, x *ir.Value) ([]*ir.Value, []ir.Attr, bool) {
		a := g.axis(x, 2)
		return []*ir.Value{g.Int64s(1), g.Int64s(99), g.Int64s(int64(a))}, nil, a >= 0
	}},
	{"Pad", func(g *graph, x *ir.Value) ([]*ir.Value, []ir.Attr, bool) {
		pads := make([]int64, 2*x.Type.Rank())
		for i := range pads {
			pads[i] = g.Int64N(2)
		}
		if quantized(x) {
			return []*ir.Value{g.Int64s(pads...), g.zero}, nil, true
		}
		return []*ir.Value{g.Int64s(pads...)}, nil, len(pads) > 0
	}},
	{"Gather", func(g *graph, x *ir.Value) ([]*ir.Value, []ir.Attr, bool) {
		a := g.axis(x, 2)
		return []*ir.Value{g.Int64s(1, 0)}, []ir.Attr{attr("axis", int64(a))}, a >= 0
	}},
	{"ReduceMean", reduceSome}, {"ReduceMax", reduceSome}, {"ReduceL2", reduceSome}, {"ReduceLogSumExp", reduceSome},
	{"Softmax", func(g *graph, x *ir.Value) ([]*ir.Value, []ir.Attr, bool) {
		a := g.axis(x, 1)
		return nil, []ir.Attr{attr("axis", int64(a))}, a >= 0 && !quantized(x)
	}},
}

func reduceSome(g *graph, x *ir.Value) ([]*ir.Value, []ir.Attr, bool) {
	a := g.axis(x, 1)
	return []*ir.Value{g.Int64s(int64(a))}, []ir.Attr{attr("keepdims", g.Int64N(2))}, a >= 0 && !quantized(x)
}

// like draws a value of x's type, x itself where there is no other.
func (g *graph) like(x *ir.Value) *ir.Value {
	for _, i := range g.Perm(len(g.vals)) {
		if g.vals[i].Type.Equal(x.Type) {
			return g.vals[i]
		}
	}
	return x
}

// randomModule makes a module of up to n ops, whose last values are its results.
func randomModule(t *testing.T, seed uint64, n int) *ir.Module {
	m := ir.NewModule("random", ops.NewestOpset(""))
	x := m.Main().AddInput("x", ir.TensorOf(tensor.Float32, ir.Sym("N"), ir.Const(4), ir.Const(6), ir.Const(6)))
	g := &graph{Rand: rand.New(rand.NewPCG(seed, 3)), Builder: ir.AtEnd(m.Main().Body), vals: []*ir.Value{x}}
	g.scale, g.zero = g.Tensor(tensor.Scalar(tensor.Float32, float32(0.05))), g.Tensor(tensor.Scalar(tensor.Uint8, uint8(117)))
	for range n {
		x := g.vals[len(g.vals)-1-g.IntN(min(4, len(g.vals)))]
		s := steps[g.IntN(len(steps))]
		operands, attrs, ok := s.grow(g, x)
		if size, known := x.Type.NumElements().Eval(map[string]int64{"N": 3}); !ok || known != nil || size > 1<<13 {
			continue
		}
		op, err := ops.Build(g.Builder, s.op, append([]*ir.Value{x}, operands...), attrs...)
		require.NoError(t, err, "%s of %s", s.op, x.Type)
		g.vals = append(g.vals, op.Result(0))
	}
	var names []string
	var results []*ir.Value
	for _, v := range g.vals {
		if v.NumUses() == 0 {
			names, results = append(names, string(rune('a'+len(names)))), append(results, v)
		}
	}
	m.Main().Return(names, results...)
	require.NoError(t, ops.Verify(m))
	return m
}

// Random graphs answer after -O2, and lowered, as they are: codes to the bit.
func TestRandomGraphsAnswerLikeTheInterpreter(t *testing.T) {
	for seed := range uint64(150) {
		m := randomModule(t, seed, 14)
		low := lower(t, m)
		text, err := ir.Print(m)
		require.NoError(t, err)
		s, err := cpu.NewSession(low, cpu.Options{Threads: 1})
		require.NoError(t, err)
		for _, n := range []int64{1, 3} {
			ins := values(m, n, 0, seed)
			want, err := interp.New(m).Run(t.Context(), ins, interp.Options{})
			require.NoError(t, err, text)
			viaInterp, err := interp.New(low).Run(t.Context(), ins, interp.Options{})
			require.NoError(t, err, text)
			got, err := s.Run(t.Context(), ins)
			require.NoError(t, err, text)
			for i := range want {
				for _, v := range []tensor.Value{viaInterp[i], got[i]} {
					d, err := compare.Tensors(v.(*tensor.Tensor), want[i].(*tensor.Tensor))
					require.NoError(t, err, "seed %d: %s", seed, text)
					require.True(t, d.Within(2e-5), "seed %d, result %d: %+v\n%s", seed, i, d, text)
				}
			}
		}
	}
}
