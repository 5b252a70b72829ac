package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/internal/nearest"
	"github.com/hone-ml/hone/internal/npy"
	"github.com/hone-ml/hone/internal/preprocess"
	"github.com/hone-ml/hone/tensor"
)

// modelFlags are the flags of every command that reads a model.
type modelFlags struct {
	dims   []string
	splits []string
	shapes []string
	values []string
}

func (f *modelFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.dims, "dim", nil, "freeze a symbolic dim: `NAME=NUMBER`")
	c.Flags().StringArrayVar(&f.splits, "split-dim", nil, "let inputs differ in a dim that the model gives one name: `NAME`")
	c.Flags().StringArrayVar(&f.shapes, "input-shape", nil, "freeze the shape of an input: `NAME=SHAPE`, for example x=1x3x224x224")
	c.Flags().StringArrayVar(&f.values, "input-value", nil, "make a constant of an input of one element: `NAME=NUMBER`")
}

// open reads the model at path.
func (f *modelFlags) open(a *app, path string) (*hone.Model, error) {
	a.work.at("reading " + path)
	opt := hone.OpenOptions{Dims: map[string]int64{}, InputShapes: map[string][]int64{}, SplitDims: f.splits}
	for _, d := range f.dims {
		name, value, ok := strings.Cut(d, "=")
		n, err := strconv.ParseInt(value, 10, 64)
		if !ok || err != nil || n < 0 {
			return nil, usagef("--dim %s: write NAME=NUMBER, for example --dim N=1", d)
		}
		opt.Dims[name] = n
	}
	for _, s := range f.shapes {
		name, value, ok := cutLast(s, "=")
		shape, err := parseShape(value)
		if !ok || err != nil {
			return nil, usagef("--input-shape %s: write NAME=1x3x224x224", s)
		}
		opt.InputShapes[name] = shape
	}
	if isPlan(path) {
		return nil, planError(path)
	}
	m, err := hone.Open(path, opt)
	if err != nil {
		return nil, missingFile(path, err)
	}
	for _, v := range f.values {
		name, text, ok := cutLast(v, "=")
		x, err := strconv.ParseFloat(text, 64)
		if !ok || err != nil {
			return nil, usagef("--input-value %s: write NAME=NUMBER", v)
		}
		if err := m.FixInput(name, x); err != nil {
			return nil, usagef("--input-value %s: %w", v, err)
		}
	}
	return m, nil
}

// missingFile makes bad usage of an error that says that there is no file at
// path, and names the nearest one in its folder, or that there is a folder.
func missingFile(path string, err error) error {
	var at *fs.PathError
	if info, _ := os.Stat(path); info != nil && info.IsDir() && errors.As(err, &at) && at.Path == path {
		return usagef("%s is a folder: name a file", path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries, _ := os.ReadDir(filepath.Dir(path)) // none where that is missing too
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return usagef("there is no file %s%s", path, nearest.Hint(filepath.Base(path), names))
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
			return nil, fmt.Errorf("%q is no shape: write 1x3x224x224", s)
		}
		shape = append(shape, n)
	}
	return shape, nil
}

// inputFlags are the flags of every command that runs a model.
type inputFlags struct {
	inputs     []string
	preprocess string
}

func (f *inputFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.inputs, "input", nil, "an input: `NAME=VALUE`, a file (.npy, picture, sound or text), - (standard input), random[:SHAPE] or text:WORDS")
	c.Flags().StringVar(&f.preprocess, "preprocess", "", preprocessHelp)
}

// given is one --input flag.
type given struct{ name, value string }

// read makes the model's inputs. Where no flag names any, all are made at
// random if that is allowed. stored is the preprocessing that came with the
// model, if any.
func (f *inputFlags) read(ctx context.Context, a *app, ports []hone.Port, stored []byte, random bool) (map[string]*tensor.Tensor, error) {
	inputs := map[string]*tensor.Tensor{}
	var sources []preprocess.Source
	for _, flag := range f.inputs {
		g, err := parseInput(flag, ports)
		if err != nil {
			return nil, err
		}
		t, source, err := a.readInput(ctx, g, ports)
		switch {
		case err != nil:
			return nil, err
		case source != nil:
			sources = append(sources, *source)
		case inputs[g.name] != nil:
			return nil, usagef("input %q is given twice", g.name)
		default:
			inputs[g.name] = t
		}
	}
	if len(sources) > 0 {
		spec, err := chooseSpec(a, f.preprocess, ports, stored, sources[0])
		if err != nil {
			return nil, err
		}
		made, err := spec.Apply(sources...)
		if err != nil {
			return nil, err
		}
		for name, t := range made {
			if inputs[name] == nil {
				inputs[name] = t
			}
		}
	}
	for i, p := range ports {
		if inputs[p.Name] != nil {
			continue
		}
		if !random || len(f.inputs) > 0 {
			return nil, usagef("input %q is missing: it is %s, give --input %s=FILE, %s=random:SHAPE or %s=-", p.Name, p.Type, p.Name, p.Name, p.Name)
		}
		t, err := randomInput(p, "", uint64(i))
		if err != nil {
			return nil, err
		}
		inputs[p.Name] = t
	}
	return inputs, nil
}

// parseInput splits NAME=VALUE; names may hold an = themselves.
func parseInput(flag string, ports []hone.Port) (given, error) {
	for i, r := range flag {
		if r == '=' && port(ports, flag[:i]) >= 0 {
			return given{flag[:i], flag[i+1:]}, nil
		}
	}
	name, _, ok := strings.Cut(flag, "=")
	if !ok {
		return given{}, usagef("--input %s: write NAME=FILE, NAME=- or NAME=random:SHAPE", flag)
	}
	return given{}, usagef("there is no input %q%s; the model takes %s", name, nearest.Hint(name, portNames(ports)), portList(ports))
}

// readInput makes a tensor, or a source for preprocessing, of what was given.
// What a file is is told by its content.
func (a *app) readInput(ctx context.Context, g given, ports []hone.Port) (*tensor.Tensor, *preprocess.Source, error) {
	i := port(ports, g.name)
	if shape, ok := strings.CutPrefix(g.value, "random"); ok && (shape == "" || shape[0] == ':') {
		t, err := randomInput(ports[i], strings.TrimPrefix(shape, ":"), uint64(i))
		return t, nil, err
	}
	if words, ok := strings.CutPrefix(g.value, "text:"); ok {
		return nil, &preprocess.Source{Input: g.name, Text: words}, nil
	}
	name, in := "standard input", io.Reader(stoppable{ctx, a.in})
	if g.value != "-" {
		file, err := os.Open(g.value)
		if err != nil {
			return nil, nil, missingFile(g.value, err)
		}
		defer file.Close()
		name, in = g.value, file
	}
	r := bufio.NewReader(in)
	if head, err := r.Peek(6); ctx.Err() != nil {
		return nil, nil, err
	} else if string(head) != "\x93NUMPY" {
		if g.value != "-" {
			return nil, &preprocess.Source{Input: g.name, Path: g.value}, nil
		}
		return nil, &preprocess.Source{Input: g.name, Reader: r}, nil
	}
	t, err := npy.Read(r)
	if err != nil {
		return nil, nil, fmt.Errorf("input %s: %s: %w", g.name, name, err)
	}
	return t, nil, nil
}

// stoppable is a reader that an interrupt ends while it waits for bytes.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

func (s stoppable) Read(p []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	done, buf := make(chan result, 1), make([]byte, len(p))
	go func() {
		n, err := s.r.Read(buf)
		done <- result{n, err}
	}()
	select {
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	case r := <-done:
		copy(p, buf[:r.n])
		return r.n, r.err
	}
}

// port returns the index of the named port, -1 where there is none.
func port(ports []hone.Port, name string) int {
	return slices.IndexFunc(ports, func(p hone.Port) bool { return p.Name == name })
}

func portNames(ports []hone.Port) []string {
	names := make([]string, len(ports))
	for i, p := range ports {
		names[i] = p.Name
	}
	return names
}

func portList(ports []hone.Port) string {
	list := make([]string, len(ports))
	for i, p := range ports {
		list[i] = p.Name + " " + p.Type.String()
	}
	return strings.Join(list, ", ")
}
