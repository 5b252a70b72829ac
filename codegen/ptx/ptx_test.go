package ptx

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// exact are the functions in float64, whose own errors are far below what is measured.
var exact = map[Op]func(float64) float64{
	Sqrt: math.Sqrt, Rsqrt: func(x float64) float64 { return 1 / math.Sqrt(x) },
	Exp: math.Exp, Log: math.Log, Tanh: math.Tanh, Erf: math.Erf,
	Sigmoid: func(x float64) float64 {
		if x < 0 {
			return math.Exp(x) / (1 + math.Exp(x))
		}
		return 1 / (1 + math.Exp(-x))
	},
	Neg: func(x float64) float64 { return -x }, Abs: math.Abs,
}

// ulps is how far got is from want, in units in the last place of float32 at want.
func ulps(got float32, want float64) float64 {
	near := float32(want)
	switch {
	case math.IsNaN(want):
		if got != got {
			return 0
		}
		return math.Inf(1)
	case math.IsInf(float64(near), 0) || math.IsInf(float64(got), 0):
		if got == near {
			return 0
		}
		return math.Inf(1)
	}
	size := math.Max(math.Abs(want), 0x1p-126)
	_, e := math.Frexp(size)
	return math.Abs(float64(got)-want) / math.Ldexp(1, e-24)
}

func unary(op Op, t Type) *Kernel {
	return &Kernel{Name: "k_" + op.String(), Inputs: []Input{{t, Full}}, Body: []Instr{{Op: op, Type: t, Args: []int{0}}}, Outputs: []int{1}}
}

// Every op of one argument stays within its bound over all floats, of which so many are tried.
func TestBounds(t *testing.T) {
	step := uint64(2003)
	if testing.Short() {
		step = 20011
	}
	for op, want := range exact {
		t.Run(op.String(), func(t *testing.T) {
			p := new(program)
			in := p.fresh()
			out := unary(op, F32).lower(p, []reg{in})[0]
			r := make([]uint64, p.next)
			worst, at := 0.0, float32(0)
			try := func(bits uint32) {
				r[in] = uint64(bits)
				evaluate(p.code, r)
				x := math.Float32frombits(bits)
				if u := ulps(math.Float32frombits(uint32(r[out])), want(float64(x))); u > worst {
					worst, at = u, x
				}
			}
			for bits := uint64(0); bits < 1<<32; bits += step {
				try(uint32(bits))
			}
			for _, x := range []float64{0, math.Copysign(0, -1), 1, -1, math.Inf(1), math.Inf(-1), math.NaN(), 88.72283, 88.7229, -87.33655, -103.97208, 0.6, 0.92, 4, -4, 1e-45, 1.1754944e-38} {
				try(math.Float32bits(float32(x)))
			}
			t.Logf("%s: %.3f units in the last place at %v (%d operations)", op, worst, at, len(p.code))
			require.LessOrEqual(t, worst, op.Bound(), "at %v", at)
		})
	}
}

func TestSpecialValues(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	zero := math.Float32frombits(1 << 31)
	for _, c := range []struct {
		op   Op
		args []float32
		want float32
	}{
		{Min, []float32{nan, 1}, nan}, {Max, []float32{1, nan}, nan}, {Min, []float32{-inf, 1}, -inf},
		{Div, []float32{1, 0}, inf}, {Div, []float32{0, 0}, nan}, {Sub, []float32{inf, inf}, nan},
		{Log, []float32{0}, -inf}, {Log, []float32{-1}, nan}, {Log, []float32{inf}, inf}, {Log, []float32{1}, 0},
		{Exp, []float32{-inf}, 0}, {Exp, []float32{0}, 1}, {Tanh, []float32{inf}, 1}, {Tanh, []float32{zero}, zero},
		{Erf, []float32{-inf}, -1}, {Erf, []float32{zero}, zero}, {Sigmoid, []float32{-inf}, 0}, {Sigmoid, []float32{0}, 0.5},
		{Rsqrt, []float32{0}, inf}, {Sqrt, []float32{-1}, nan}, {Neg, []float32{0}, zero},
	} {
		k := &Kernel{Name: "k", Body: []Instr{{Op: c.op}}}
		var inputs [][]byte
		for i, a := range c.args {
			k.Inputs = append(k.Inputs, Input{F32, Scalar})
			k.Body[0].Args = append(k.Body[0].Args, i)
			inputs = append(inputs, floats(a))
		}
		k.Outputs = []int{len(c.args)}
		out, err := k.Run(Shape{N: 1, R: 1, C: 1, Inner: 1}, inputs)
		require.NoError(t, err)
		got := toFloats(out[0])[0]
		if c.want != c.want {
			require.True(t, got != got, "%s%v is %v", c.op, c.args, got)
		} else {
			require.Equal(t, math.Float32bits(c.want), math.Float32bits(got), "%s%v is %v, want %v", c.op, c.args, got, c.want)
		}
	}
}

func floats(v ...float32) (b []byte) {
	for _, f := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return b
}

func toFloats(b []byte) (v []float32) {
	for i := 0; i < len(b); i += 4 {
		v = append(v, math.Float32frombits(binary.LittleEndian.Uint32(b[i:])))
	}
	return v
}

// Broadcasts read the elements that their names say.
func TestBroadcast(t *testing.T) {
	k := &Kernel{
		Name:    "mixed",
		Inputs:  []Input{{F32, Full}, {F32, Scalar}, {F32, Row}},
		Body:    []Instr{{Op: Mul, Type: F32, Args: []int{0, 1}}, {Op: Add, Type: F32, Args: []int{3, 2}}},
		Outputs: []int{4},
	}
	x := floats(0, 1, 2, 3, 4, 5)
	out, err := k.Run(Shape{N: 6, R: 3, C: 1, Inner: 1}, [][]byte{x, floats(10), floats(0.5, 0.25, 0.125)})
	require.NoError(t, err)
	require.Equal(t, []float32{0.5, 10.25, 20.125, 30.5, 40.25, 50.125}, toFloats(out[0]))
	k.Inputs[2].Broadcast = Channel
	out, err = k.Run(Shape{N: 6, R: 1, C: 3, Inner: 2}, [][]byte{x, floats(10), floats(0.5, 0.25, 0.125)})
	require.NoError(t, err)
	require.Equal(t, []float32{0.5, 10.5, 20.25, 30.25, 40.125, 50.125}, toFloats(out[0]))
	_, err = k.Run(Shape{N: 6, R: 1, C: 3, Inner: 2}, [][]byte{x, floats(10), floats(0.5)})
	require.ErrorContains(t, err, "input 2 (f32, channel) has 4 bytes, needs 12")
}

func TestFMA(t *testing.T) {
	// (1+e)(1-e) - 1 = -e^2, which a product rounded to float32 loses.
	e := float32(0x1p-12)
	require.Equal(t, float32(-0x1p-24), fma32(1+e, 1-e, -1))
	// Rounding to float64 first would give the tie away.
	require.Equal(t, float32(0x1.000002p0), fma32(float32(0x1p-30), float32(0x1p-30), float32(0x1.000002p0)))
	require.Equal(t, float32(0x1.000002p+24), fma32(1, float32(0x1.000001p+24), float32(1.0000001)))
}

func TestDivider(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	check := func(n, d uint32) {
		m, s := divider(d)
		q := uint32(uint64(n)*uint64(m)>>32) >> s
		if d == 1 {
			q = n
		}
		require.Equal(t, n/d, q, "%d / %d", n, d)
	}
	for _, d := range []uint32{1, 2, 3, 5, 7, 64, 112 * 112, 1<<30 + 1, 1<<31 - 1} {
		for _, n := range []uint32{0, 1, d - 1, d, d + 1, 1<<31 - 1} {
			check(min(n, 1<<31-1), d)
		}
	}
	for range 100000 {
		check(rng.Uint32()>>1, max(1, rng.Uint32()>>(1+rng.IntN(31))))
	}
}

func TestLaunches(t *testing.T) {
	k := &Kernel{Name: "k", Inputs: []Input{{F32, Full}, {F32, Row}}, Outputs: []int{0}}
	require.Equal(t, []Launch{{"k_vector", 4, 0, 3}}, k.Launches(Shape{N: 12, R: 4, C: 1, Inner: 1}))
	require.Equal(t, []Launch{{"k_scalar", 1, 0, 12}}, k.Launches(Shape{N: 12, R: 3, C: 1, Inner: 1}), "a row of 3 is no whole number of lanes")
	k.Inputs[1].Broadcast = Full
	require.Equal(t, []Launch{{"k_vector", 4, 0, 3}, {"k_scalar", 1, 12, 2}}, k.Launches(Shape{N: 14, R: 1, C: 1, Inner: 1}))
	require.Empty(t, k.Launches(Shape{N: 0, R: 1, C: 1, Inner: 1}))
	require.Equal(t, 8, (&Kernel{Inputs: []Input{{F16, Full}}, Outputs: []int{0}}).Lanes())
}

func TestValidate(t *testing.T) {
	ok := Input{F32, Full}
	for want, k := range map[string]Kernel{
		"no PTX name":                               {Name: "a b", Inputs: []Input{ok}, Outputs: []int{0}},
		"want 1 output at least":                    {Name: "k"},
		"add does not take [f32 f16] to f32":        {Name: "k", Inputs: []Input{ok, {F16, Full}}, Body: []Instr{{Op: Add, Args: []int{0, 1}}}, Outputs: []int{2}},
		"argument 1 is no earlier value":            {Name: "k", Inputs: []Input{ok}, Body: []Instr{{Op: Neg, Args: []int{1}}}, Outputs: []int{0}},
		"neg: 2 arguments, want 1":                  {Name: "k", Inputs: []Input{ok}, Body: []Instr{{Op: Neg, Args: []int{0, 0}}}, Outputs: []int{0}},
		"less does not take [f32 f32] to f32":       {Name: "k", Inputs: []Input{ok}, Body: []Instr{{Op: Less, Args: []int{0, 0}}}, Outputs: []int{0}},
		"output 7 is no value":                      {Name: "k", Inputs: []Input{ok}, Outputs: []int{7}},
		"unknown op 200":                            {Name: "k", Inputs: []Input{ok}, Body: []Instr{{Op: 200}}, Outputs: []int{0}},
		"select does not take [f32 f32 f32] to f32": {Name: "k", Inputs: []Input{ok}, Body: []Instr{{Op: Select, Args: []int{0, 0, 0}}}, Outputs: []int{0}},
	} {
		require.ErrorContains(t, k.Validate(), want)
		_, err := k.Text()
		require.Error(t, err)
	}
}

// everyOp is a kernel with every operation that a type has, every broadcast and several outputs.
func everyOp(t Type) *Kernel {
	k := &Kernel{Name: "every_" + t.String(), Inputs: []Input{{t, Full}, {t, Row}, {t, Scalar}, {Bool, Full}, {t, Channel}, {t, Gap}}}
	value := 0
	add := func(op Op, result Type, args ...int) int {
		k.Body = append(k.Body, Instr{Op: op, Type: result, Args: args, Value: 0.75, Int: 3})
		return len(k.Inputs) + len(k.Body) - 1
	}
	var conditions []int
	for op := range opTable {
		switch op := Op(op); {
		case op == Const:
			value = add(op, t)
		case opTable[op].typing(t, []Type{t, t}) && opTable[op].arity == 2:
			value = add(op, t, value, 1)
		case opTable[op].typing(t, []Type{t}) && opTable[op].arity == 1 && op != Cast:
			value = add(Add, t, value, add(op, t, 0))
		case op >= Less && op <= Equal:
			conditions = append(conditions, add(op, Bool, 0, 4))
		}
	}
	c := add(And, Bool, add(Or, Bool, conditions[0], conditions[1]), add(Not, Bool, 3))
	for _, o := range conditions[2:] {
		c = add(Or, Bool, c, o)
	}
	if t != I32 && t != I64 {
		c = add(Or, Bool, c, add(IsNaN, Bool, 5))
	}
	value = add(Select, t, c, value, 2)
	value = add(Max, t, value, 5)
	value = add(Add, t, value, add(Cast, t, 3))
	k.Outputs = []int{value, c, add(Cast, F16, value), add(Cast, BF16, value), add(Cast, Bool, value), add(Cast, I32, value), add(Cast, I64, value), add(Cast, F32, 5)}
	return k
}

// Every kernel assembles for every architecture, without spills.
func TestAssemble(t *testing.T) {
	if _, err := FindPtxas(); err != nil {
		t.Skipf("%s is skipped: %v", t.Name(), err)
	}
	kernels := []*Kernel{everyOp(F32), everyOp(F16), everyOp(BF16), everyOp(I32), everyOp(I64), gelu(F32), gelu(F16), swish(BF16)}
	for op := range exact {
		kernels = append(kernels, unary(op, F32), unary(op, F16))
	}
	for _, k := range kernels {
		text, err := k.Text()
		require.NoError(t, err)
		for _, sm := range []int{80, 86, 89, 90} {
			if testing.Short() && len(k.Body) == 1 && sm != 86 {
				continue
			}
			cubin, use, err := Assemble(t.Context(), text, sm)
			require.NoError(t, err)
			require.NotEmpty(t, cubin)
			require.Len(t, use, 2)
			for _, u := range use {
				require.Positive(t, u.Registers)
				require.Zero(t, u.Spill, "%s spills on sm_%d", u.Entry, sm)
				if sm == 86 {
					t.Logf("%s: %d registers", u.Entry, u.Registers)
				}
			}
		}
	}
}

func TestAssembleError(t *testing.T) {
	if _, err := FindPtxas(); err != nil {
		t.Skipf("%s is skipped: %v", t.Name(), err)
	}
	_, _, err := Assemble(t.Context(), ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry k()\n{\n\tfoo.bar;\n}\n", 86)
	require.ErrorContains(t, err, "ptxas refuses the kernel for sm_86")
	require.Regexp(t, regexp.MustCompile(`kernel\.ptx, line 6`), err.Error())
}

// gelu is x/2 * (1 + erf(x/sqrt 2)) of x plus a bias along the last axis.
func gelu(t Type) *Kernel {
	return &Kernel{
		Name: "gelu_" + t.String(), Inputs: []Input{{t, Full}, {t, Row}},
		Body: []Instr{
			{Op: Add, Type: t, Args: []int{0, 1}}, {Op: Const, Type: t, Value: math.Sqrt2 / 2}, {Op: Mul, Type: t, Args: []int{2, 3}},
			{Op: Erf, Type: t, Args: []int{4}}, {Op: Const, Type: t, Value: 1}, {Op: Add, Type: t, Args: []int{5, 6}},
			{Op: Mul, Type: t, Args: []int{2, 7}}, {Op: Const, Type: t, Value: 0.5}, {Op: Mul, Type: t, Args: []int{8, 9}},
		},
		Outputs: []int{10},
	}
}

// swish is x * sigmoid(x).
func swish(t Type) *Kernel {
	return &Kernel{
		Name: "swish_" + t.String(), Inputs: []Input{{t, Full}},
		Body:    []Instr{{Op: Sigmoid, Type: t, Args: []int{0}}, {Op: Mul, Type: t, Args: []int{0, 1}}},
		Outputs: []int{2},
	}
}
