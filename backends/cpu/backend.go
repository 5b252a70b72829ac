package cpu

import (
	"context"
	"fmt"
	"strings"

	"github.com/hone-ml/hone/backends"
	"github.com/hone-ml/hone/internal/atomicfile"
	"github.com/hone-ml/hone/internal/bundle"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
)

func init() { backends.Register(backend{}) }

// backend is the CPU as hone compile --backend cpu sees it.
type backend struct{}

func (backend) Name() string             { return "cpu" }
func (backend) Help() string             { return "a bundle for any CPU that hone has kernels for" }
func (backend) Extension() string        { return ".hone" }
func (backend) Options() []passes.Option { return nil }

func (backend) Compile(c *passes.Context, m *ir.Module, path string, _ passes.Options, _ backends.Progress) (*backends.Summary, error) {
	if _, err := Pipeline().Run(c, m); err != nil {
		return nil, err
	}
	if err := WriteBundle(c, path, m); err != nil {
		return nil, err
	}
	return &backends.Summary{Rows: [][2]string{{"operators", fmt.Sprint(passes.CountOps(m))}}}, nil
}

// WriteBundle writes a module of the cpu level as a .hone file, which appears
// when it is whole.
func WriteBundle(ctx context.Context, path string, m *ir.Module, others ...bundle.Section) error {
	return atomicfile.Write(ctx, path, func(f *atomicfile.File) error { return bundle.Write(f, m, others...) })
}

// Explain lists what each op becomes at the cpu level.
func (backend) Explain(ctx context.Context, m *ir.Module, _ passes.Options) (string, error) {
	m = m.Clone()
	if _, err := Pipeline().Run(passes.NewContext(ctx), m); err != nil {
		return "", err
	}
	var b strings.Builder
	for op := range m.Main().Body.Ops() {
		if op.Name == ir.ConstantName || op.Name == ir.YieldName {
			continue
		}
		how := "kernel"
		if restores(op) {
			how = "at load"
		} else if !hasKernel(op) {
			how = "reference"
		}
		fmt.Fprintf(&b, "%-9s  %-20s  %s\n", how, op.Name, strings.Join(op.Loc, "+"))
	}
	return b.String(), nil
}
