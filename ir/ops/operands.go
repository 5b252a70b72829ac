package ops

import (
	"fmt"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// What many families read of attributes and operands.

// intsOf converts a list of ints; nil stays nil.
func intsOf(v []int64) []int {
	if v == nil {
		return nil
	}
	out := make([]int, len(v))
	for i, n := range v {
		out[i] = int(n)
	}
	return out
}

// floatsOf widens a list of floats.
func floatsOf(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, f := range v {
		out[i] = float64(f)
	}
	return out
}

// intsIn returns the elements of a numeric tensor as ints, nil where it is
// absent.
func intsIn(t *tensor.Tensor) []int {
	if t == nil {
		return nil
	}
	if t.DType == tensor.String || t.DType.IsComplex() {
		panic(failure{fmt.Errorf("%s holds no sizes or positions", t)})
	}
	return ref.Ints(t)
}

// sizes returns the elements of operand i, a list of sizes.
func (c *Call) sizes(i int) ([]int, error) {
	if t := c.In(i); t != nil && t.Rank() > 1 {
		return nil, fmt.Errorf("operand %d is %s, want a list of sizes", i, t)
	}
	return intsIn(c.In(i)), nil
}

// floatScalar returns the only element of a real tensor, or the default where
// it is absent or empty.
func floatScalar(t *tensor.Tensor, standard float64) (float64, error) {
	if t == nil || t.Len() == 0 {
		return standard, nil
	}
	if t.Len() != 1 {
		return 0, fmt.Errorf("a scalar is needed, not %s", t)
	}
	return ref.Float64s(t)[0], nil
}

func constDims(v []int) []ir.Dim {
	dims := make([]ir.Dim, len(v))
	for i, n := range v {
		dims[i] = ir.Const(int64(n))
	}
	return dims
}

// agree reports an error where two dims are known and differ.
func agree(what string, a, b ir.Dim) error {
	m, ok := a.Int()
	n, also := b.Int()
	if ok && also && m != n {
		return fmt.Errorf("%s: %d is not %d", what, m, n)
	}
	return nil
}

// asFirst gives the first result the type of the first operand.
func asFirst(x *Inference) error {
	x.Set(0, x.In(0))
	return nil
}

func allAxes(rank int) []int {
	axes := make([]int, rank)
	for i := range axes {
		axes[i] = i
	}
	return axes
}

// axisIn returns the axis attribute as an index into rank dims.
func (a attrs) axisIn(rank int) (int, error) {
	axis := int(a.Int("axis"))
	if axis < -rank || axis >= rank {
		return 0, fmt.Errorf("axis %d is out of range for rank %d", axis, rank)
	}
	if axis < 0 {
		axis += rank
	}
	return axis, nil
}
