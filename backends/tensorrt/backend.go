package tensorrt

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hone-ml/hone/backends"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/precision"
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
		{Name: "precision", Default: "fp32", Help: "fp32, fp16 or bf16; int8, fp8 or int4 for layers with constant weights, all else fp32, or as int8+fp16"},
		{Name: "calibrate", Help: "calibration data as for hone quantize: int8 and fp8 need it; int4 rounds with less loss; with fp16 and bf16, ops that overflow stay in float32"},
		{Name: "keep", Help: "ops to keep in float32: names or operators, | between them, * for any text"},
		{Name: "keep-worst", Default: "0", Help: "so many of the ops that lose most to fp16 or bf16 stay in float32, by measure"},
		{Name: "keep-under", Default: "0", Help: "ops whose own signal-to-noise ratio is under so many dB stay in float32, by measure"},
		{Name: "accuracy", Default: "auto", Help: "on, off, or auto: say what the precision costs, by the interpreter; auto where it is not fp32"},
		{Name: "profile", Help: "ranges of open dims, INPUT=MIN..OPT..MAX, several parted by ;"},
		{Name: "workspace", Help: "limit of the memory that a layer may use while it runs, in MiB (default: the library's own)"},
		{Name: "builder-flags", Help: "flags of NVIDIA's builder, parted by ,: SPARSE_WEIGHTS, STRICT_NANS, WEIGHT_STREAMING, ..."},
		{Name: "timing-cache", Help: "file of kernel timings to start from and to update (default: one in hone's cache; TensorRT for RTX times nothing)"},
		{Name: "library", Help: "folder of the TensorRT libraries (default: where hone doctor finds them)"},
	}
}

// parse reads the options of the command line.
func parse(o passes.Options) (Options, error) {
	opt, err := parseOptions(o)
	if err != nil {
		err = &backends.OptionError{Err: err}
	}
	return opt, err
}

func parseOptions(o passes.Options) (Options, error) {
	opt := Options{Precision: o["precision"], Library: o["library"], Calibrate: o["calibrate"], TimingCache: o["timing-cache"],
		Flags: list(o["builder-flags"], ","), Keep: strings.ReplaceAll(o["keep"], ";", "|")}
	var err error
	if opt.Choice, err = precision.ParseChoice(o["keep-worst"], o["keep-under"]); err != nil {
		return opt, fmt.Errorf("--keep-worst and --keep-under: %w", err)
	}
	switch o["accuracy"] {
	case "on":
		opt.Accuracy = true
	case "auto":
		opt.Accuracy = opt.Precision != "fp32"
	case "off":
	default:
		return opt, fmt.Errorf("accuracy %q: on, off or auto", o["accuracy"])
	}
	if o["workspace"] != "" {
		n, err := strconv.ParseInt(o["workspace"], 10, 32)
		if err != nil || n <= 0 {
			return opt, fmt.Errorf("--workspace %s: write a number of MiB", o["workspace"])
		}
		opt.Workspace = n << 20
	}
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
	opt.spend = true
	opt.Progress = func(p Progress) { tell(p.Phase, p.Done) }
	var notes []string
	opt.Note = func(n string) { notes = append(notes, n) }
	r, err := CompileFile(c, m, path, opt)
	if err != nil {
		return nil, err
	}
	rows := [][2]string{
		{"library", r.Library},
		{"size", fmt.Sprintf("%.1f MB", float64(r.Bytes)/1e6)},
		{"operators", fmt.Sprint(len(r.Table))},
	}
	for _, a := range r.Accuracy {
		rows = append(rows, [2]string{"accuracy", a.Output + " " + a.String()})
	}
	rows = append(rows,
		[2]string{"built in", fmt.Sprintf("%.1f s, %.1f s of them in the parser", (r.Parse + r.Build).Round(100*time.Millisecond).Seconds(), r.Parse.Seconds())},
		[2]string{"peak memory", fmt.Sprintf("%.0f MB in the builder's process", float64(r.PeakRSS)/1e6)})
	return &backends.Summary{Rows: rows, Warnings: r.Warnings, Notes: notes}, nil
}

func (backend) Explain(ctx context.Context, m *ir.Module, o passes.Options) (string, error) {
	opt, err := parse(o)
	if err != nil {
		return "", err
	}
	var notes strings.Builder
	opt.Note = func(n string) { notes.WriteString(n + "\n") }
	t, err := Explain(ctx, m, opt)
	return notes.String() + t.String(), err
}
