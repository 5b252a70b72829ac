// Package calibrate runs a model on sample inputs and measures the values
// inside of it: their ranges, and where a quantizer should cut them off.
//
// It reads .npy files and drives the interpreter; what the figures are used
// for is the business of the passes.
package calibrate

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/hone-ml/hone/internal/npy"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// Batch is one set of inputs in the order of the model's signature.
type Batch []tensor.Value

// Load reads the batches at path for a function with the arguments args. Path is
//
//   - a .npy file: one batch for a model with one input
//   - a folder: each .npy file in it is a batch for a model with one input;
//     each folder in it is a batch with a file INPUT.npy for every input
//   - a text file that lists such files and folders, one a line, relative to itself
//
// Batches come in the order of their names, or as listed. Inputs that are not
// of the model's type, or not finite, are errors that name the file.
func Load(path string, args []*ir.Value) ([]Batch, error) {
	if path == "" {
		return nil, fmt.Errorf("calibration data is needed: name a folder of .npy inputs")
	}
	items, err := list(path)
	if err != nil {
		return nil, fmt.Errorf("calibration data: %w", err)
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("calibration data: %s holds no .npy files and no folders with them", path)
	}
	var batches []Batch
	for _, item := range items {
		b, err := batch(item, args)
		if err != nil {
			return nil, fmt.Errorf("calibration data: %w", err)
		}
		batches = append(batches, b)
	}
	return batches, nil
}

func list(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	var items []string
	switch {
	case info.IsDir():
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.IsDir() || isNpy(e.Name()) {
				items = append(items, filepath.Join(path, e.Name()))
			}
		}
	case isNpy(path):
		items = []string{path}
	default:
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		s := bufio.NewScanner(f)
		for s.Scan() {
			line := strings.TrimSpace(s.Text())
			if line == "" || line[0] == '#' {
				continue
			}
			if !filepath.IsAbs(line) {
				line = filepath.Join(filepath.Dir(path), line)
			}
			items = append(items, line)
		}
		if err := s.Err(); err != nil {
			return nil, fmt.Errorf("%s is neither a folder, a .npy file nor a list of them: %w", path, err)
		}
	}
	return items, nil
}

func isNpy(name string) bool { return strings.EqualFold(filepath.Ext(name), ".npy") }

func batch(item string, args []*ir.Value) (Batch, error) {
	info, err := os.Stat(item)
	if err != nil {
		return nil, err
	}
	b := make(Batch, len(args))
	for i, a := range args {
		file := item
		if info.IsDir() {
			file = filepath.Join(item, a.Name+".npy")
		} else if len(args) > 1 {
			return nil, fmt.Errorf("%s: the model takes %d inputs: give a folder with a file INPUT.npy for each", item, len(args))
		}
		t, err := npy.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("input %q: %s: %w", a.Name, file, err)
		}
		if err := fits(t, a.Type); err != nil {
			return nil, fmt.Errorf("input %q: %s: %w", a.Name, file, err)
		}
		b[i] = t
	}
	return b, nil
}

func fits(t *tensor.Tensor, want ir.Type) error {
	ok := want.IsTensor() && t.DType == want.DType && (!want.Ranked || len(want.Dims) == t.Rank())
	for i := 0; ok && want.Ranked && i < t.Rank(); i++ {
		n, fixed := want.Dims[i].Int()
		ok = !fixed || int(n) == t.Shape[i]
	}
	if !ok {
		return fmt.Errorf("holds %s, the model takes %s", t, want)
	}
	if t.Len() == 0 {
		return fmt.Errorf("%s has no elements", t)
	}
	if t.DType.IsFloat() {
		for i, x := range ref.Float64s(t) {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return fmt.Errorf("element %d is %v: calibration needs finite inputs", i, x)
			}
		}
	}
	return nil
}
