package ptx

import (
	"fmt"
	"regexp"
)

// Type is the type of an element. Arithmetic on F16 and BF16 is done in float32
// and rounded after every instruction, as ONNX's reference does; that on I32 in
// 64 bits, and wrapped.
type Type uint8

// The types.
const (
	F32 Type = iota
	F16
	BF16
	Bool // one byte, 0 or 1
	I32
	I64
)

var types = [...]struct {
	name string
	size int
}{{"f32", 4}, {"f16", 2}, {"bf16", 2}, {"bool", 1}, {"i32", 4}, {"i64", 8}}

func (t Type) String() string { return types[t].name }

func (t Type) integer() bool { return t == I32 || t == I64 }

// Size is the bytes an element takes.
func (t Type) Size() int { return types[t].size }

// Broadcast says which element of an input belongs to element i of the output.
type Broadcast uint8

// The ways of broadcasting. R, C, inner and those of the gap are given at
// launch. A vector may be several axes that follow one another.
const (
	Full    Broadcast = iota // i
	Scalar                   // 0
	Row                      // i mod R: a vector along the last axis
	Channel                  // (i / inner) mod C: a vector along an axis further out
	Gap                      // ((i / gap) mod gapOuter) * gapInner + i mod gapInner: axes between two runs are left out
)

var broadcasts = [...]string{"full", "scalar", "row", "channel", "gap"}

func (b Broadcast) String() string { return broadcasts[b] }

// Input is a tensor that the kernel reads.
type Input struct {
	Type      Type
	Broadcast Broadcast
}

// Instr computes one value from earlier ones. Args are numbers of values: the
// inputs come first, then the instructions in order.
type Instr struct {
	Op    Op
	Type  Type // of the result
	Args  []int
	Value float32 // of a Const that is no integer
	Int   int64   // of one that is
}

// Kernel is a pointwise cluster.
type Kernel struct {
	Name    string
	Inputs  []Input
	Body    []Instr
	Outputs []int // values to write, each as a tensor of its own
}

// Limits of a kernel: its parameters and registers have to fit.
const (
	maxInputs = 64
	maxBody   = 4096
)

var validName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

// typeOf is the type of a value.
func (k *Kernel) typeOf(v int) Type {
	if v < len(k.Inputs) {
		return k.Inputs[v].Type
	}
	return k.Body[v-len(k.Inputs)].Type
}

// Validate checks that the kernel is well formed: every error names the instruction.
func (k *Kernel) Validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("ptx kernel %q: %s", k.Name, fmt.Sprintf(format, args...))
	}
	if !validName.MatchString(k.Name) {
		return bad("the name is no PTX name")
	}
	if len(k.Inputs)+len(k.Outputs) > maxInputs || len(k.Body) > maxBody || len(k.Outputs) == 0 {
		return bad("%d inputs, %d outputs and %d instructions; want 1 output at least, %d tensors and %d instructions at most",
			len(k.Inputs), len(k.Outputs), len(k.Body), maxInputs, maxBody)
	}
	for i, in := range k.Inputs {
		if int(in.Type) >= len(types) || int(in.Broadcast) >= len(broadcasts) {
			return bad("input %d: unknown type or broadcast", i)
		}
	}
	for i, in := range k.Body {
		if int(in.Op) >= len(opTable) {
			return bad("instruction %d: unknown op %d", i, in.Op)
		}
		row := opTable[in.Op]
		if len(in.Args) != row.arity {
			return bad("instruction %d, %s: %d arguments, want %d", i, in.Op, len(in.Args), row.arity)
		}
		if int(in.Type) >= len(types) {
			return bad("instruction %d, %s: unknown type", i, in.Op)
		}
		var args []Type
		for _, a := range in.Args {
			if a < 0 || a >= len(k.Inputs)+i {
				return bad("instruction %d, %s: argument %d is no earlier value", i, in.Op, a)
			}
			args = append(args, k.typeOf(a))
		}
		if !row.typing(in.Type, args) {
			return bad("instruction %d: %s does not take %v to %v", i, in.Op, args, in.Type)
		}
	}
	for _, o := range k.Outputs {
		if o < 0 || o >= len(k.Inputs)+len(k.Body) {
			return bad("output %d is no value", o)
		}
	}
	return nil
}
