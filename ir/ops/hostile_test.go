package ops

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// Every operator answers any operands and attributes that its schema allows
// with results or an error: never by a panic, even one that Eval would catch.
func TestHostileOperands(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	rounds := 100
	if testenv.Full() {
		rounds = 5000
	}
	for _, name := range Names() {
		impl := Lookup(name)
		if SchemaOf(name) == nil || impl.Eval == nil || impl.Traits&Control != 0 {
			continue
		}
		for range rounds {
			op, ins, text := hostile(rnd, name)
			if large(ResultTypes(op, ins)) {
				continue // a result of gigabytes is no panic
			}
			start := time.Now()
			if _, err := Eval(op, ins, nil); err != nil {
				require.NotContains(t, err.Error(), "internal error", text)
			}
			require.Less(t, time.Since(start), 5*time.Second, text)
			m := op.Module()
			m.Main().Return(nil)
			if err := InferModule(m); err != nil {
				require.NotContains(t, err.Error(), "internal error", text)
			}
		}
	}
}

func large(types []ir.Type) bool {
	return slices.ContainsFunc(types, func(t ir.Type) bool {
		n, known := t.NumElements().Int()
		return !known || n > 1<<22
	})
}

// hostile makes an op of operands and attributes that its schema allows, with
// no regard for their sense.
func hostile(rnd *rand.Rand, name string) (*ir.Op, []tensor.Value, string) {
	s := SchemaOf(name)
	m := ir.NewModule("m", 28)
	rank := rnd.Intn(5) + 1
	pick := map[string]tensor.DType{}
	shape := func() []int {
		n := rank
		if rnd.Intn(3) == 0 {
			n = rnd.Intn(5)
		}
		dims := make([]int, n)
		for i := range dims {
			dims[i] = []int{1, 1, 2, 2, 2, 3, 4, 0}[rnd.Intn(8)]
		}
		return dims
	}
	same := shape()
	var operands []*ir.Value
	var ins []tensor.Value
	for i, p := range s.Inputs {
		if p.Optional && rnd.Intn(2) == 0 {
			operands, ins = append(operands, nil), append(ins, nil)
			continue
		}
		d, ok := pick[p.Type]
		if !ok {
			types := s.Types[p.Type]
			if types == nil {
				types = []string{p.Type}
			}
			d, _ = tensor.ParseDType(types[rnd.Intn(len(types))])
			if slices.Contains(types, "f32") && rnd.Intn(2) == 0 {
				d = tensor.Float32
			}
			pick[p.Type] = d
		}
		dims := shape()
		if rnd.Intn(2) == 0 {
			dims = same
		}
		x := tensor.New(d, dims...)
		for k := range x.Data {
			if x.Data[k] = 0; rnd.Intn(3) == 0 {
				x.Data[k] = byte(rnd.Intn(256))
			}
			if d == tensor.Bool {
				x.Data[k] &= 1
			}
			if (d == tensor.Int64 || d == tensor.Int32) && rnd.Intn(8) > 0 {
				x.Data[k] = 0
				if k%d.Size() == 0 {
					x.Data[k] = byte(rnd.Intn(5))
				}
			}
		}
		operands = append(operands, m.Main().AddInput(fmt.Sprint("i", i), ir.Static(d, dims...)))
		ins = append(ins, x)
	}
	var attrs []ir.Attr
	for _, a := range s.Attrs {
		if v := hostileAttr(rnd, a, rank); v != nil && (a.Required || rnd.Intn(3) == 0) {
			attrs = append(attrs, ir.Attr{Name: a.Name, Value: v})
		}
	}
	op := ir.AtEnd(m.Main().Body).Op(name, operands, make([]ir.Type, len(s.Outputs)), attrs...)
	text := op.Name
	for _, v := range ins {
		if v == nil {
			text += " _"
		} else {
			text += fmt.Sprint(" ", v)
		}
	}
	return op, ins, text + fmt.Sprint(" ", attrs)
}

func hostileAttr(rnd *rand.Rand, a AttrSpec, rank int) any {
	number := func() int64 {
		switch rnd.Intn(12) {
		case 0:
			return []int64{-1, -1 << 63, 1<<63 - 1, 1 << 31, 1 << 40, -5}[rnd.Intn(6)]
		case 1, 2:
			return 0
		}
		return int64(rnd.Intn(3) + 1)
	}
	switch a.Kind {
	case "int":
		return number()
	case "float":
		return []float32{0, 1, -1, 0.5, 1e30}[rnd.Intn(5)]
	case "string":
		return []string{"SAME_UPPER", "VALID", "linear", "nearest", "cubic", "reverse", "bidirectional", "zeros", "border", "reflection", "gated", "delta", "tf_crop_and_resize", "align_corners", "not_larger", "silu", "max", "circular", "x"}[rnd.Intn(19)]
	case "ints":
		n := []int{rank, max(rank-2, 0), max(2*(rank-2), 0), 2, rnd.Intn(4)}[rnd.Intn(5)]
		v := make([]int64, n)
		for i := range v {
			v[i] = number()
		}
		return v
	case "floats":
		return []float32{1, 0.5}[:rnd.Intn(3)]
	case "strings":
		return []string{"Tanh", "Relu", "Sigmoid"}[:rnd.Intn(4)]
	}
	return nil
}
