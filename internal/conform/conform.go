// Package conform runs ONNX's backend tests: folders with a model.onnx and
// test_data_set_N folders of input_I.pb and output_I.pb.
package conform

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hone-ml/hone/frontend/onnx"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// Model is a loaded model: the types of its inputs and outputs, how to run it,
// and how to release what it holds.
type Model struct {
	Inputs, Outputs []ir.Type
	Run             func(ctx context.Context, ins []tensor.Value) ([]tensor.Value, error)
	Close           func() error
}

// Engine loads a model. It returns an error where it can not run it.
type Engine func(ctx context.Context, path string) (*Model, error)

// Result is the outcome of one test.
type Result struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Err     error   `json:"-"`
	Error   string  `json:"error,omitempty"` // "" for a test that passed
}

// Find returns the folders below dir that hold a test, sorted.
func Find(dir string) ([]string, error) {
	var tests []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "model.onnx" {
			tests = append(tests, filepath.Dir(path))
		}
		return err
	})
	slices.Sort(tests)
	if err == nil && len(tests) == 0 {
		err = fmt.Errorf("%s holds no tests: expected folders with model.onnx and test_data_set_0", dir)
	}
	return tests, err
}

// timeout bounds one test.
const timeout = 60 * time.Second

// Run runs one test.
func Run(ctx context.Context, dir string, engine Engine) Result {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	start := time.Now()
	err := runTest(ctx, dir, engine)
	r := Result{Name: filepath.Base(dir), Seconds: time.Since(start).Seconds(), Err: err}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

func runTest(ctx context.Context, dir string, engine Engine) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	m, err := engine(ctx, filepath.Join(dir, "model.onnx"))
	if err != nil {
		return err
	}
	defer func() {
		if e := m.Close(); err == nil {
			err = e
		}
	}()
	sets, err := filepath.Glob(filepath.Join(dir, "test_data_set_*"))
	if err != nil || len(sets) == 0 {
		return fmt.Errorf("no test_data_set in %s", dir)
	}
	slices.Sort(sets)
	for _, set := range sets {
		ins, err := readAll(set, "input", m.Inputs)
		if err != nil {
			return err
		}
		want, err := readAll(set, "output", m.Outputs)
		if err != nil {
			return err
		}
		got, err := m.Run(ctx, ins)
		if err != nil {
			return err
		}
		for i, w := range want {
			if i >= len(got) {
				return fmt.Errorf("%d outputs, expected %d", len(got), len(want))
			}
			if err := same(got[i], w); err != nil {
				return fmt.Errorf("output %d: %w", i, err)
			}
		}
	}
	return nil
}

func readAll(set, kind string, types []ir.Type) ([]tensor.Value, error) {
	var vals []tensor.Value
	for i, t := range types {
		path := filepath.Join(set, fmt.Sprintf("%s_%d.pb", kind, i))
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		v, err := onnx.ReadValue(b, t)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		vals = append(vals, v)
	}
	return vals, nil
}

// The tolerances of ONNX's own test runner.
const (
	relative = 1e-3
	absolute = 1e-7
)

// same compares values as ONNX's runner does.
func same(got, want tensor.Value) error {
	switch w := want.(type) {
	case nil:
		return nil
	case *tensor.Tensor:
		g, ok := got.(*tensor.Tensor)
		if o, is := got.(*tensor.Optional); is && o.Elem != nil {
			g, ok = o.Elem.(*tensor.Tensor)
		}
		if !ok {
			return fmt.Errorf("got %T, expected a tensor", got)
		}
		return sameTensor(g, w)
	case *tensor.Sequence:
		g, ok := got.(*tensor.Sequence)
		if o, is := got.(*tensor.Optional); is && o.Elem != nil {
			g, ok = o.Elem.(*tensor.Sequence)
		}
		if !ok || len(g.Items) != len(w.Items) {
			return fmt.Errorf("got %T, expected a sequence of %d", got, len(w.Items))
		}
		for i, item := range w.Items {
			if err := same(g.Items[i], item); err != nil {
				return fmt.Errorf("item %d: %w", i, err)
			}
		}
		return nil
	case *tensor.Optional:
		g, ok := got.(*tensor.Optional)
		if !ok {
			g = &tensor.Optional{Elem: got}
		}
		if w.Elem == nil || g.Elem == nil {
			if (w.Elem == nil) != (g.Elem == nil) {
				return fmt.Errorf("one optional is empty")
			}
			return nil
		}
		return same(g.Elem, w.Elem)
	}
	return fmt.Errorf("values of type %T can not be compared", want)
}

func sameTensor(g, w *tensor.Tensor) error {
	if g.DType != w.DType || !slices.Equal(g.Shape, w.Shape) {
		return fmt.Errorf("got %s, expected %s", g, w)
	}
	if w.DType == tensor.String {
		if !slices.Equal(g.Strings, w.Strings) {
			return fmt.Errorf("got %s, expected %s", brief(g.Strings), brief(w.Strings))
		}
		return nil
	}
	x, y := numbers(g), numbers(w)
	for i := range y {
		a, b := x[i], y[i]
		if a == b || a != a && b != b {
			continue
		}
		if !(math.Abs(a-b) <= absolute+relative*math.Abs(b)) || math.IsInf(a, 0) || math.IsInf(b, 0) {
			return fmt.Errorf("element %d is %v, expected %v", i, a, b)
		}
	}
	return nil
}

func brief(s []string) string {
	t := strings.Join(s, "|")
	return t[:min(len(t), 80)]
}

// numbers returns the elements; complex ones give two each.
func numbers(t *tensor.Tensor) []float64 {
	if !t.DType.IsComplex() {
		return ref.Float64s(t)
	}
	half := &tensor.Tensor{DType: tensor.Float32, Shape: []int{2 * t.Len()}, Data: t.Data}
	if t.DType == tensor.Complex128 {
		half.DType = tensor.Float64
	}
	return ref.Float64s(half)
}
