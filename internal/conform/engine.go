package conform

import (
	"context"
	"errors"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

// Engines are the names that EngineOf knows.
var Engines = []string{"interp", "cpu"}

// EngineOf returns the engine of that name: "interp" runs a model on the
// reference interpreter, "cpu" compiles it. A pipeline of passes runs first. It
// returns nil for another name.
func EngineOf(name, pipeline string) Engine {
	switch name {
	case "interp":
		return func(ctx context.Context, path string) (*Model, error) { return interpreted(ctx, path, pipeline) }
	case "cpu":
		return func(ctx context.Context, path string) (*Model, error) { return compiled(ctx, path, pipeline) }
	}
	return nil
}

// memoryLimit bounds the values that a test has alive at once: ONNX's own need less than a tenth of it.
const memoryLimit = 2 << 30

func interpreted(ctx context.Context, path, pipeline string) (*Model, error) {
	m, err := hone.Open(path)
	if err != nil {
		return nil, err
	}
	if pipeline != "" {
		c := passes.NewContext(ctx)
		c.VerifyEach = true
		if err := m.Optimize(c, pipeline); err != nil {
			return nil, errors.Join(err, m.Close())
		}
	}
	p := interp.New(m.Module())
	c := modelOf(m)
	c.Run = func(ctx context.Context, ins []tensor.Value) ([]tensor.Value, error) {
		return p.Run(ctx, ins, interp.Options{MemoryLimit: memoryLimit})
	}
	return c, nil
}

func compiled(ctx context.Context, path, pipeline string) (*Model, error) {
	m, err := hone.Open(path)
	if err != nil {
		return nil, err
	}
	lowered, err := hone.Compile(ctx, m, hone.CompileOptions{Pipeline: pipeline})
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	s, err := lowered.Session(hone.SessionOptions{Threads: 1, MemoryLimit: memoryLimit})
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	c := modelOf(m)
	c.Run = s.RunValues
	c.Close = func() error { return errors.Join(s.Close(), m.Close()) }
	return c, nil
}

func modelOf(m *hone.Model) *Model {
	c := &Model{Close: m.Close}
	for _, p := range hone.Inputs(m.Module()) {
		c.Inputs = append(c.Inputs, p.Type)
	}
	for _, p := range hone.Outputs(m.Module()) {
		c.Outputs = append(c.Outputs, p.Type)
	}
	return c
}
