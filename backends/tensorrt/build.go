package tensorrt

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/hone-ml/hone/backends/tensorrt/internal/nvinfer"
	"github.com/hone-ml/hone/backends/tensorrt/plan"
	"github.com/hone-ml/hone/internal/atomicfile"
)

// Report tells of a build that succeeded.
type Report struct {
	Library  string        // as "TensorRT for RTX 1.7.1"
	Folder   string        // where it lies; empty where the system found it
	Bytes    int64         // size of the plan
	Parse    time.Duration // in NVIDIA's ONNX parser
	Build    time.Duration // in its builder
	PeakRSS  int64         // most memory of the builder process in bytes
	Warnings []string      // what the library warned of, each once
	Table    Table         // what became of each op; of Compile only
	Accuracy []Accuracy    // of the outputs, where Options ask for it; of Compile only
}

// Build builds a plan from an ONNX model.
//
// Errors: ErrNoLibrary, ErrVersion, *RefusedError, *DiedError, the context's
// own where it ended the build, and others in plain words.
func Build(ctx context.Context, onnx []byte, o Options) (engine []byte, rep *Report, err error) {
	in, err := memoryFile("model", onnx)
	if err != nil {
		return nil, nil, err
	}
	defer in.Close()
	path := ""
	if o.Dir != "" {
		path = filepath.Join(o.Dir, "model.onnx")
	}
	return inMemory(func(out *os.File) (*Report, error) {
		return build(ctx, files{model: in, plan: out}, nvinfer.Job{Model: path}, o)
	})
}

// inMemory returns the plan that write writes to a file.
func inMemory(write func(out *os.File) (*Report, error)) (engine []byte, rep *Report, err error) {
	out, err := memoryFile("plan", nil)
	if err != nil {
		return nil, nil, err
	}
	defer out.Close()
	if rep, err = write(out); err != nil {
		return nil, nil, err
	}
	engine = make([]byte, rep.Bytes)
	if _, err := out.ReadAt(engine, 0); err != nil {
		return nil, nil, fmt.Errorf("reading the plan back: %w", err)
	}
	return engine, rep, nil
}

// BuildFile builds a plan from a model in a file, which is not read into this
// process. The plan appears at planPath when it is whole, or not at all.
func BuildFile(ctx context.Context, modelPath, planPath string, o Options) (rep *Report, err error) {
	in, err := os.Open(modelPath)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	abs, err := filepath.Abs(modelPath)
	if err != nil {
		return nil, err
	}
	if o.Dir != "" {
		abs = filepath.Join(o.Dir, filepath.Base(abs))
	}
	err = atomicfile.Write(ctx, planPath, func(out *atomicfile.File) (err error) {
		rep, err = build(ctx, files{model: in, plan: out.OS()}, nvinfer.Job{Model: abs}, o)
		return err
	})
	return rep, err
}

// build runs one job, that says where the model's weights are, in a child.
func build(ctx context.Context, f files, j nvinfer.Job, o Options) (rep *Report, err error) {
	j.SM, j.Profiles, j.Flags, j.Workspace, j.Threads, j.TimingCache = o.SM, o.Profiles, o.Flags, o.Workspace, o.Threads, o.TimingCache
	if dir, err := CacheDir(); err == nil && os.MkdirAll(dir, 0o755) == nil {
		j.OwnTimings = filepath.Join(dir, "timings.cache")
	}
	j.Verbose, j.Stop, j.Crash = o.Verbose, o.stop, o.crash
	var w *watcher
	err = eachFolder(ctx, o.Library, func(dir string) error {
		w = &watcher{o: o, rep: &Report{Folder: dir}}
		j.Library = dir
		return runChild(ctx, j, f, w.event)
	})
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("TensorRT build stopped: %w", context.Cause(ctx))
	case err != nil && len(w.refusals) > 0:
		return nil, &RefusedError{Nodes: w.refusals}
	case err != nil:
		return nil, err
	}
	return w.rep, nil
}

// watcher makes a report of a child's events.
type watcher struct {
	o        Options
	rep      *Report
	refusals []Refusal
	phases   map[string]Progress
	done     float64
	warned   map[string]bool
}

// sourceLine is where in NVIDIA's parser a message was written.
var sourceLine = regexp.MustCompile(`^\w+\.cpp:\d+: `)

var severities = []string{"internal error", "error", "warning", "info", "verbose"}

func (w *watcher) event(e nvinfer.Event) {
	switch e.Kind {
	case nvinfer.Library:
		w.rep.Library = e.Text
	case nvinfer.Log:
		e.Text = sourceLine.ReplaceAllString(e.Text, "")
		if e.Severity == nvinfer.SeverityWarning && !w.warned[e.Text] {
			w.rep.Warnings = append(w.rep.Warnings, e.Text)
			if w.warned == nil {
				w.warned = map[string]bool{}
			}
			w.warned[e.Text] = true
		}
		if w.o.Log != nil && e.Severity >= 0 && e.Severity < len(severities) {
			w.o.Log(severities[e.Severity], e.Text)
		}
	case nvinfer.Refusal:
		w.refusals = append(w.refusals, Refusal{Index: e.Number, Name: e.Node, Op: e.Op, Reason: reason(e.Code, e.Text)})
	case nvinfer.Phase, nvinfer.Step, nvinfer.Ended:
		w.progress(e)
	case nvinfer.Done:
		w.rep.Bytes, w.rep.PeakRSS = e.Bytes, e.Peak
		w.rep.Parse = time.Duration(e.ParseMS) * time.Millisecond
		w.rep.Build = time.Duration(e.BuildMS) * time.Millisecond
	}
}

func (w *watcher) progress(e nvinfer.Event) {
	if w.o.Progress == nil {
		return
	}
	if w.phases == nil {
		w.phases = map[string]Progress{}
	}
	p := w.phases[e.Text]
	switch e.Kind {
	case nvinfer.Phase:
		p = Progress{Phase: e.Text, Parent: e.Parent, Steps: e.Number}
	case nvinfer.Step:
		p.Step = e.Number + 1
	case nvinfer.Ended:
		p.Step, p.Ended = p.Steps, true
	}
	w.phases[e.Text] = p
	// Phases come again for parts of a model: what was done stays done.
	w.done = max(w.done, w.part(p, 8))
	p.Done = w.done
	w.o.Progress(p)
}

// part is which part of the build is done when a phase is where it is: its
// share of the step of its parent, and so on up, at most depth times.
func (w *watcher) part(p Progress, depth int) float64 {
	done := 0.0
	for range depth {
		switch {
		case p.Ended:
			done = 1
		case p.Steps > 0:
			done = min(1, (float64(p.Step)+done)/float64(p.Steps))
		}
		parent, ok := w.phases[p.Parent]
		if !ok {
			break
		}
		p = parent
	}
	return done
}

// Plan is what a plan tells of itself; see package plan.
type Plan = plan.Plan

// ReadPlan reads a plan without NVIDIA's library.
func ReadPlan(data []byte) (*Plan, error) { return plan.Read(data) }
