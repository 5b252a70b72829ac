package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/backends/tensorrt"
	"github.com/hone-ml/hone/backends/tensorrt/cuda"
	"github.com/hone-ml/hone/backends/tensorrt/plan"
	"github.com/hone-ml/hone/internal/mmap"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// isPlan tells whether a file is a TensorRT engine plan, by its content.
func isPlan(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, plan.HeadSize)
	n, _ := io.ReadFull(f, head)
	return plan.Is(head[:n])
}

// inspectPlan shows what a plan tells of itself.
func inspectPlan(a *app, path string, asJSON bool) error {
	f, err := mmap.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	p, err := plan.Read(f.Bytes())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if asJSON {
		return json.NewEncoder(a.out).Encode(struct {
			*plan.Plan
			Attention int `json:"attention"` // layers with a fused attention kernel
		}{p, p.AttentionKernels()})
	}
	fmt.Fprint(a.out, p)
	return nil
}

// planError says why a plan is not opened as a model.
func planError(path string) error {
	if err := needsGPU(path); err != nil {
		return err
	}
	return fmt.Errorf("%s is a TensorRT engine plan and no model: hone inspect shows what is in it, hone run runs it", path)
}

// needsGPU is the error of a plan on a machine that cannot run it.
func needsGPU(path string) error {
	if _, err := cuda.Devices(); err != nil {
		return fmt.Errorf("%s is a TensorRT engine plan, which runs on an NVIDIA GPU only: %w; "+
			"copy it to a machine that has one of the plan's compute capabilities (hone inspect %s lists them)", path, err, path)
	}
	return nil
}

// planRunner runs a plan on the GPU.
type planRunner struct {
	path string
	plan *plan.Plan
	opt  tensorrt.RunOptions
	last *tensorrt.Runs
	as   map[string]tensor.DType // what outputs are wanted in, where not in the plan's own types
}

func openPlan(path string) (*planRunner, error) {
	if err := needsGPU(path); err != nil {
		return nil, err
	}
	f, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := plan.Read(f.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &planRunner{path: path, plan: p}, nil
}

// ports lists the inputs or outputs. With usual, dims that are open have the
// usual size of the first profile.
func (r *planRunner) ports(inputs, usual bool) (list []hone.Port, err error) {
	for _, b := range r.plan.Bindings {
		if b.Input != inputs {
			continue
		}
		d, ok := tensor.ParseDType(b.Type)
		if !ok {
			return nil, fmt.Errorf("%s: %s has elements of type %s, which hone does not have", r.path, b.Name, b.Type)
		}
		dims := make([]ir.Dim, len(b.Shape))
		for i, n := range b.Shape {
			switch {
			case n >= 0:
				dims[i] = ir.Const(n)
			case usual && i < len(r.usual(b.Name)):
				dims[i] = ir.Const(r.usual(b.Name)[i])
			default:
				dims[i] = ir.Sym(fmt.Sprintf("%s.%d", b.Name, i))
			}
		}
		list = append(list, hone.Port{Name: b.Name, Type: ir.TensorOf(d, dims...)})
	}
	return list, nil
}

func (r *planRunner) usual(input string) []int64 {
	if len(r.plan.Profiles) > 0 {
		for _, p := range r.plan.Profiles[0] {
			if p.Input == input {
				return p.Opt
			}
		}
	}
	return nil
}

// size gives the inputs of the model that the plan was made of the usual sizes
// of the plan's, whose profiles may not hold others.
func (r *planRunner) size(inputs []hone.Port) {
	for i, p := range inputs {
		usual := r.usual(p.Name)
		if len(usual) != p.Type.Rank() {
			continue
		}
		dims := make([]ir.Dim, len(usual))
		for j, n := range usual {
			dims[j] = ir.Const(n)
		}
		inputs[i].Type = ir.TensorOf(p.Type.DType, dims...)
	}
}

// read makes the inputs; what is not given is random where that is allowed.
func (r *planRunner) read(ctx context.Context, a *app, in *inputFlags, random bool) (map[string]*tensor.Tensor, error) {
	ports, err := r.ports(true, random && len(in.inputs) == 0)
	if err != nil {
		return nil, err
	}
	return in.read(ctx, a, ports, nil, random)
}

// Run runs the plan on inputs of any number type, as those of the model that
// the plan was made of.
func (r *planRunner) Run(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	ports, err := r.ports(true, false)
	if err != nil {
		return nil, err
	}
	narrowed := maps.Clone(inputs)
	for _, p := range ports {
		if x := narrowed[p.Name]; x != nil {
			if narrowed[p.Name], err = ref.Cast(x, p.Type.DType, ref.CastOptions{}); err != nil {
				return nil, err
			}
		}
	}
	if r.last, err = tensorrt.Run(ctx, r.path, narrowed, r.opt); err != nil {
		return nil, err
	}
	for name, d := range r.as {
		if x := r.last.Outputs[name]; x != nil {
			if r.last.Outputs[name], err = ref.Cast(x, d, ref.CastOptions{}); err != nil {
				return nil, err
			}
		}
	}
	return r.last.Outputs, nil
}
