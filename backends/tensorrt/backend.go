package tensorrt

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hone-ml/hone/backends"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
)

func init() { backends.Register(backend{}) }

// backend is TensorRT as hone compile --backend tensorrt sees it.
type backend struct{}

func (backend) Name() string      { return "tensorrt" }
func (backend) Help() string      { return "an engine plan for NVIDIA GPUs, by NVIDIA's own builder" }
func (backend) Extension() string { return ".plan" }

func (backend) Options() []passes.Option {
	return []passes.Option{
		{Name: "sm", Help: "compute capabilities to build for: 86,89"},
		{Name: "precision", Default: "fp32", Help: "fp32, fp16 or bf16"},
		{Name: "profile", Help: "ranges of open dims, INPUT=MIN..OPT..MAX, several parted by ;"},
		{Name: "keep-op", Help: "operators to keep in float32, parted by ,"},
		{Name: "keep-name", Help: "patterns of ONNX nodes to keep in float32, parted by ,"},
		{Name: "library", Help: "folder of the TensorRT libraries (default: where hone doctor finds them)"},
	}
}

// parse reads the options of the command line.
func parse(o passes.Options) (Options, error) {
	opt := Options{Precision: o["precision"], Library: o["library"], KeepOps: list(o["keep-op"], ","), KeepNames: list(o["keep-name"], ",")}
	var err error
	if o["sm"] != "" {
		if opt.SM, err = ParseSM(o["sm"]); err != nil {
			return opt, err
		}
	}
	var p Profile
	for _, text := range list(o["profile"], ";") {
		r, err := ParseRange(text)
		if err != nil {
			return opt, err
		}
		p = append(p, r)
	}
	if p != nil {
		opt.Profiles = []Profile{p}
	}
	return opt, nil
}

func list(text, sep string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, sep)
}

func (backend) Compile(c *passes.Context, m *ir.Module, path string, o passes.Options, tell backends.Progress) (*backends.Summary, error) {
	opt, err := parse(o)
	if err != nil {
		return nil, err
	}
	opt.Progress = func(p Progress) { tell(p.Phase, p.Done) }
	r, err := CompileFile(c, m, path, opt)
	if err != nil {
		return nil, err
	}
	return &backends.Summary{
		Rows: [][2]string{
			{"library", r.Library},
			{"size", fmt.Sprintf("%.1f MB", float64(r.Bytes)/1e6)},
			{"operators", fmt.Sprint(len(r.Table))},
			{"built in", fmt.Sprintf("%.1f s, %.1f s of them in the parser", (r.Parse + r.Build).Round(100*time.Millisecond).Seconds(), r.Parse.Seconds())},
			{"peak memory", fmt.Sprintf("%.0f MB in the builder's process", float64(r.PeakRSS)/1e6)},
		},
		Warnings: r.Warnings,
	}, nil
}

func (backend) Explain(ctx context.Context, m *ir.Module, o passes.Options) (string, error) {
	opt, err := parse(o)
	if err != nil {
		return "", err
	}
	t, err := Explain(ctx, m, opt)
	return t.String(), err
}
