package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/internal/npy"
	"github.com/hone-ml/hone/tensor"
)

// modelFlags are the flags of every command that reads a model.
type modelFlags struct {
	dims   []string
	shapes []string
}

func (f *modelFlags) options() (hone.OpenOptions, error) {
	opt := hone.OpenOptions{Dims: map[string]int64{}, InputShapes: map[string][]int64{}}
	for _, d := range f.dims {
		name, value, ok := strings.Cut(d, "=")
		n, err := strconv.ParseInt(value, 10, 64)
		if !ok || err != nil || n < 0 {
			return opt, usagef("--dim %s: write NAME=NUMBER, for example --dim N=1", d)
		}
		opt.Dims[name] = n
	}
	for _, s := range f.shapes {
		name, value, ok := cutLast(s, "=")
		shape, err := parseShape(value)
		if !ok || err != nil {
			return opt, usagef("--input-shape %s: write NAME=1x3x224x224", s)
		}
		opt.InputShapes[name] = shape
	}
	return opt, nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func parseShape(s string) ([]int64, error) {
	if s == "" {
		return []int64{}, nil
	}
	var shape []int64
	for _, p := range strings.Split(s, "x") {
		n, err := strconv.ParseInt(p, 10, 64)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is no shape", s)
		}
		shape = append(shape, n)
	}
	return shape, nil
}

// readInputs makes the model's inputs from --input flags: NAME=FILE.npy,
// NAME=random:1x3x224x224 or NAME=random. Inputs that are not named are made
// at random where their shape is known.
func readInputs(ports []hone.Port, flags []string) (map[string]*tensor.Tensor, error) {
	given := map[string]string{}
	for _, f := range flags {
		name, value, ok := strings.Cut(f, "=")
		for ok && !hasPort(ports, name) { // names may hold an = themselves
			next, rest, more := strings.Cut(value, "=")
			if !more {
				break
			}
			name, value = name+"="+next, rest
		}
		if !ok {
			return nil, usagef("--input %s: write NAME=FILE or NAME=random:SHAPE", f)
		}
		if !hasPort(ports, name) {
			return nil, usagef("there is no input %q; the model takes %s", name, portList(ports))
		}
		given[name] = value
	}
	inputs := map[string]*tensor.Tensor{}
	for i, p := range ports {
		value, ok := given[p.Name]
		if !ok {
			value = "random"
		}
		t, err := readInput(p, value, uint64(i))
		if err != nil {
			return nil, err
		}
		inputs[p.Name] = t
	}
	return inputs, nil
}

func hasPort(ports []hone.Port, name string) bool {
	for _, p := range ports {
		if p.Name == name {
			return true
		}
	}
	return false
}

func portList(ports []hone.Port) string {
	names := make([]string, len(ports))
	for i, p := range ports {
		names[i] = p.Name + " " + p.Type.String()
	}
	return strings.Join(names, ", ")
}

func readInput(p hone.Port, value string, seed uint64) (*tensor.Tensor, error) {
	if rest, ok := strings.CutPrefix(value, "random"); ok && (rest == "" || rest[0] == ':') {
		return randomInput(p, strings.TrimPrefix(rest, ":"), seed)
	}
	f, err := os.Open(value)
	if err != nil {
		return nil, fmt.Errorf("input %s: %w", p.Name, err)
	}
	defer f.Close()
	if ext := strings.ToLower(filepath.Ext(value)); ext != ".npy" {
		return nil, usagef("input %s: %s is no .npy file", p.Name, value)
	}
	t, err := npy.Read(f)
	if err != nil {
		return nil, fmt.Errorf("input %s: %s: %w", p.Name, value, err)
	}
	if t.DType != p.Type.DType {
		return nil, usagef("input %s: %s holds %s, the model takes %s", p.Name, value, t, p.Type)
	}
	return t, nil
}

// randomInput makes normal floats, small integers, all-one masks.
func randomInput(p hone.Port, shape string, seed uint64) (*tensor.Tensor, error) {
	if !p.Type.IsTensor() {
		return nil, usagef("input %s is %s: give it a file", p.Name, p.Type)
	}
	dims, err := randomShape(p, shape)
	if err != nil {
		return nil, err
	}
	if n, err := tensor.NumElements(dims); err != nil || n > 1<<32 {
		return nil, usagef("input %s: %v has too many elements", p.Name, dims)
	}
	t := tensor.New(p.Type.DType, dims...)
	r := rand.New(rand.NewPCG(seed, 7))
	mask, segment := strings.Contains(p.Name, "mask"), strings.Contains(p.Name, "token_type")
	fill(t, func() float64 {
		switch {
		case t.DType.IsFloat():
			return r.NormFloat64()
		case segment:
			return 0
		case mask || t.DType == tensor.Bool:
			return 1
		}
		return float64(r.IntN(16))
	})
	return t, nil
}

func randomShape(p hone.Port, shape string) ([]int, error) {
	if shape != "" {
		s, err := parseShape(shape)
		if err != nil {
			return nil, usagef("input %s: %v", p.Name, err)
		}
		dims := make([]int, len(s))
		for i, n := range s {
			dims[i] = int(n)
		}
		return dims, nil
	}
	dims := make([]int, len(p.Type.Dims))
	for i, d := range p.Type.Dims {
		n, ok := d.Int()
		if !ok {
			n = 1
		}
		dims[i] = int(n)
	}
	if !p.Type.Ranked {
		return nil, usagef("input %s is %s: say its shape, --input %s=random:SHAPE", p.Name, p.Type, p.Name)
	}
	return dims, nil
}

func fill(t *tensor.Tensor, next func() float64) {
	switch t.DType {
	case tensor.Float32:
		set(tensor.Of[float32](t), next)
	case tensor.Float64:
		set(tensor.Of[float64](t), next)
	case tensor.Int64:
		set(tensor.Of[int64](t), next)
	case tensor.Int32:
		set(tensor.Of[int32](t), next)
	case tensor.Int8:
		set(tensor.Of[int8](t), next)
	case tensor.Uint8, tensor.Bool:
		set(t.Data, next)
	}
}

func set[T float32 | float64 | int64 | int32 | int8 | uint8](v []T, next func() float64) {
	for i := range v {
		v[i] = T(next())
	}
}
