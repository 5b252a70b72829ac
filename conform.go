package hone

import (
	"context"

	"github.com/hone-ml/hone/internal/conform"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

// conformMemory bounds the values that a test on the interpreter has alive at
// once: ONNX's own need less than a tenth of it.
const conformMemory = 2 << 30

// ConformEngine returns what loads a model for ONNX's backend tests: "interp"
// runs it on the reference interpreter, "cpu" compiles it. A pipeline of passes
// runs first. It returns nil for an engine of another name.
func ConformEngine(engine, pipeline string) conform.Engine {
	switch engine {
	case "interp":
		return func(ctx context.Context, path string) (*conform.Model, error) {
			m, err := Open(path)
			if err != nil {
				return nil, err
			}
			if pipeline != "" {
				c := passes.NewContext(ctx)
				c.VerifyEach = true
				if err := m.Optimize(c, pipeline); err != nil {
					return nil, err
				}
			}
			p := interp.New(m.module)
			return conformModel(m.module, func(ctx context.Context, ins []tensor.Value) ([]tensor.Value, error) {
				return p.Run(ctx, ins, interp.Options{MemoryLimit: conformMemory})
			}), nil
		}
	case "cpu":
		return func(ctx context.Context, path string) (*conform.Model, error) {
			m, err := Open(path)
			if err != nil {
				return nil, err
			}
			c, err := Compile(ctx, m, CompileOptions{Pipeline: pipeline})
			if err != nil {
				return nil, err
			}
			s, err := c.Session(SessionOptions{Threads: 1})
			if err != nil {
				return nil, err
			}
			return conformModel(m.module, s.RunValues), nil
		}
	}
	return nil
}

func conformModel(m *ir.Module, run func(context.Context, []tensor.Value) ([]tensor.Value, error)) *conform.Model {
	c := &conform.Model{Run: run}
	for _, p := range Inputs(m) {
		c.Inputs = append(c.Inputs, p.Type)
	}
	for _, p := range Outputs(m) {
		c.Outputs = append(c.Outputs, p.Type)
	}
	return c
}
