package tensorrt

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hone-ml/hone/backends/tensorrt/cuda"
	"github.com/hone-ml/hone/backends/tensorrt/internal/nvinfer"
	"github.com/hone-ml/hone/backends/tensorrt/plan"
	"github.com/hone-ml/hone/internal/mmap"
	"github.com/hone-ml/hone/tensor"
)

// RunOptions adjust Run.
type RunOptions struct {
	Library string        // folder of NVIDIA's library; empty for where it is usually found
	Times   int           // runs at least; 0 means one
	For     time.Duration // and further ones until so much time has passed
}

// Runs is the answer of Run.
type Runs struct {
	Outputs map[string]*tensor.Tensor // of the last run
	Times   []time.Duration           // of each run, by the GPU's own clock: without copies to the GPU and back
	Library string                    // as "TensorRT for RTX 1.7.1"
	Device  cuda.Device
}

// Run runs the plan in a file on the first GPU, in a child process. Inputs have
// the types of the plan's bindings, which ReadPlan tells, and their shapes where
// those are open.
//
// Errors: cuda.ErrNoGPU, ErrNoLibrary, ErrVersion, *DiedError, the context's own
// where it ended the run, and others in plain words.
func Run(ctx context.Context, path string, inputs map[string]*tensor.Tensor, o RunOptions) (*Runs, error) {
	devices, err := cuda.Devices()
	if err != nil {
		return nil, err
	}
	file, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	p, err := plan.Read(file.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if gpu := devices[0]; !slices.Contains(p.Capabilities, gpu.Capability) {
		return nil, fmt.Errorf("%s was built for compute capabilities %v, and this GPU is another one: %s; build it with --sm %d", path, p.Capabilities, gpu, gpu.Capability)
	}
	job, types, data, err := runJob(p, inputs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	job.Run.Times, job.Run.For = max(o.Times, 1), o.For
	r, err := execute(ctx, path, job, types, data, o.Library)
	if err != nil {
		return nil, err
	}
	r.Device = devices[0]
	return r, nil
}

// runJob lays the inputs behind one another, and checks them against the
// bindings.
func runJob(p *Plan, inputs map[string]*tensor.Tensor) (j nvinfer.Job, types map[string]tensor.DType, data []byte, err error) {
	j.Run, types = new(nvinfer.Run), map[string]tensor.DType{}
	known := 0
	for _, b := range p.Bindings {
		d, ok := tensor.ParseDType(b.Type)
		if !ok || d.Size() == 0 || d.IsSubByte() {
			return j, nil, nil, fmt.Errorf("binding %q has elements of type %s, which are not handed over", b.Name, b.Type)
		}
		if !b.Input {
			types[b.Name] = d
			j.Run.Outputs = append(j.Run.Outputs, nvinfer.Tensor{Name: b.Name, Size: int64(d.Size())})
			continue
		}
		x := inputs[b.Name]
		switch {
		case x == nil:
			return j, nil, nil, fmt.Errorf("input %q is missing: it is %s", b.Name, b)
		case x.DType != d || !fitsShape(x.Shape, b.Shape):
			return j, nil, nil, fmt.Errorf("input %q is %s%v, and the plan reads %s", b.Name, x.DType, x.Shape, b)
		}
		known++
		in := nvinfer.Tensor{Name: b.Name, Offset: int64(len(data)), Size: int64(len(x.Data))}
		for _, n := range x.Shape {
			in.Shape = append(in.Shape, int64(n))
		}
		data = append(data, x.Data...)
		data = append(data, make([]byte, -len(data)&63)...) // elements are aligned
		j.Run.Inputs = append(j.Run.Inputs, in)
	}
	if known < len(inputs) {
		var names []string
		for _, in := range j.Run.Inputs {
			names = append(names, in.Name)
		}
		return j, nil, nil, fmt.Errorf("%d inputs given; the plan reads %s", len(inputs), strings.Join(names, ", "))
	}
	return j, types, data, nil
}

func fitsShape(have []int, want []int64) bool {
	return slices.EqualFunc(have, want, func(h int, w int64) bool { return w < 0 || int64(h) == w })
}

// execute does the job in a child, and reads back what it computes.
func execute(ctx context.Context, path string, j nvinfer.Job, types map[string]tensor.DType, data []byte, library string) (*Runs, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in, err := memoryFile("inputs", data)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	out, err := memoryFile("outputs", nil)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	r := new(Runs)
	var outputs []nvinfer.Event
	err = eachFolder(ctx, library, func(dir string) error {
		j.Library, outputs = dir, nil
		return runChild(ctx, j, files{model: f, data: in, plan: out}, func(e nvinfer.Event) {
			switch e.Kind {
			case nvinfer.Library:
				r.Library = e.Text
			case nvinfer.Output:
				outputs = append(outputs, e)
			case nvinfer.Done:
				for _, ms := range e.Times {
					r.Times = append(r.Times, time.Duration(float64(ms)*1e6))
				}
			}
		})
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r.Outputs = map[string]*tensor.Tensor{}
	offset := int64(0)
	for _, e := range outputs {
		t := &tensor.Tensor{DType: types[e.Text], Data: make([]byte, e.Bytes)}
		for _, d := range e.Shape {
			t.Shape = append(t.Shape, int(d))
		}
		if _, err := out.ReadAt(t.Data, offset); err != nil {
			return nil, fmt.Errorf("reading output %s back: %w", e.Text, err)
		}
		offset += e.Bytes
		r.Outputs[e.Text] = t
	}
	return r, nil
}
