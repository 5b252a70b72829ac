package rt

// A kernel's name is FAMILY[_OP]_f32[_MRxNR]_TIER, for example gemm_f32_14x32_avx512, vec_exp_f32_avx2, reduce_max_f32_generic.

// Kernel is one registry row: a function of one tier with what a caller must know of it.
type Kernel[A any] struct {
	Name string
	Tier Tier
	// Tile is rows and panels of a gemm or planes kernel; operands of a vec kernel; whether a reduce kernel writes Dst;
	// 1 for winoout; else zero.
	Tile [2]int
	Fn   func(*A)
}

// Set is every kernel that one tier offers. Tiers fall back family by family on the tiers they include, at last on Generic,
// so no field is ever empty.
type Set struct {
	Tier      Tier
	Gemm      []Kernel[GemmArgs]   // several tile sizes
	Planes    []Kernel[PlanesArgs] // several tile sizes
	Depthwise Kernel[TapArgs]
	MaxPool   Kernel[TapArgs]
	SumPool   Kernel[TapArgs]
	Blend     Kernel[BlendArgs]
	Vec       [NumVecOps]Kernel[VecArgs]
	Reduce    [NumReduceOps]Kernel[ReduceArgs]
	Transpose Kernel[TransposeArgs]
	WinoIn    Kernel[WinoArgs]
	WinoOut   Kernel[WinoArgs]

	plan   gemmPlan // filled by Seal
	planes planesPlan
}

// Seal prepares a filled set for use and returns it.
func (s *Set) Seal() *Set {
	s.plan = newGemmPlan(s.Gemm)
	s.planes = newPlanesPlan(s.Planes)
	return s
}

// VecOp is an elementwise operator of the "vec" family. Comparisons give 1 and 0, and a value is true unless it is 0.
type VecOp uint8

const (
	OpCopy        VecOp = iota // x
	OpNeg                      // -x
	OpAbs                      // |x|
	OpSquare                   // x·x
	OpSqrt                     // square root
	OpRcp                      // 1/x
	OpFloor                    // toward -inf
	OpCeil                     // toward +inf
	OpRound                    // to nearest, ties to even
	OpClamp                    // min(max(x, P0), P1); NaN stays
	OpExp                      // e^x
	OpLog                      // natural logarithm
	OpTanh                     // hyperbolic tangent
	OpSigmoid                  // 1/(1+e^-x)
	OpErf                      // error function
	OpGelu                     // x/2·(1+erf(x/√2))
	OpGeluTanh                 // x/2·(1+tanh(√(2/π)·(x+0.044715·x³)))
	OpSilu                     // x·sigmoid(x)
	OpSoftplus                 // log(1+e^x)
	OpHardSigmoid              // clamp(P0·x+P1, 0, 1)
	OpHardSwish                // x·clamp(x/6+1/2, 0, 1)
	OpLeakyRelu                // x<0 ? P0·x : x
	OpElu                      // x<0 ? P0·(e^x-1) : x
	OpNot                      // x = 0
	OpAdd                      // x+y
	OpSub                      // x-y
	OpMul                      // x·y
	OpDiv                      // x/y
	OpMin                      // NaN if either is
	OpMax                      // NaN if either is
	OpEqual                    // x = y
	OpLess                     // x < y
	OpLessEqual                // x <= y
	OpPrelu                    // x<0 ? y·x : x
	OpFma                      // x·y+z, rounded once
	OpSelect                   // x ? y : z
	NumVecOps
)

var vecOps = [NumVecOps]struct {
	name     string
	operands int
}{
	OpCopy: {"copy", 1}, OpNeg: {"neg", 1}, OpAbs: {"abs", 1}, OpSquare: {"square", 1}, OpSqrt: {"sqrt", 1}, OpRcp: {"rcp", 1},
	OpFloor: {"floor", 1}, OpCeil: {"ceil", 1}, OpRound: {"round", 1}, OpClamp: {"clamp", 1}, OpExp: {"exp", 1}, OpLog: {"log", 1},
	OpTanh: {"tanh", 1}, OpSigmoid: {"sigmoid", 1}, OpErf: {"erf", 1}, OpGelu: {"gelu", 1}, OpGeluTanh: {"gelutanh", 1},
	OpSilu: {"silu", 1}, OpSoftplus: {"softplus", 1}, OpHardSigmoid: {"hardsigmoid", 1}, OpHardSwish: {"hardswish", 1},
	OpLeakyRelu: {"leakyrelu", 1}, OpElu: {"elu", 1}, OpNot: {"not", 1},
	OpAdd: {"add", 2}, OpSub: {"sub", 2}, OpMul: {"mul", 2}, OpDiv: {"div", 2}, OpMin: {"min", 2}, OpMax: {"max", 2},
	OpEqual: {"equal", 2}, OpLess: {"less", 2}, OpLessEqual: {"lessequal", 2}, OpPrelu: {"prelu", 2},
	OpFma: {"fma", 3}, OpSelect: {"select", 3},
}

func (o VecOp) String() string { return vecOps[o].name }

// Operands is how many operands the operator reads: 1 (X), 2 (X, Y) or 3.
func (o VecOp) Operands() int { return vecOps[o].operands }

// ReduceOp is an operator of the "reduce" family: contiguous values to one.
type ReduceOp uint8

const (
	ReduceMax    ReduceOp = iota // Out = max of X, NaN if any is
	ReduceMin                    // Out = min of X, NaN if any is
	ReduceSum                    // Out = sum of X
	ReduceSumSq                  // Out = sum of (X-P0)²
	ReduceSumExp                 // Dst = e^(X-P0), Out = sum of Dst
	NumReduceOps
)

var reduceOps = [NumReduceOps]struct {
	name   string
	writes int
}{{"max", 0}, {"min", 0}, {"sum", 0}, {"sumsq", 0}, {"sumexp", 1}}

func (o ReduceOp) String() string { return reduceOps[o].name }

// Writes is 1 if the operator fills Dst, else 0.
func (o ReduceOp) Writes() int { return reduceOps[o].writes }
