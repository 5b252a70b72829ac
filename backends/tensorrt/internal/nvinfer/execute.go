//go:build linux && (amd64 || arm64)

package nvinfer

import (
	"fmt"
	"slices"
	"time"

	"github.com/hone-ml/hone/backends/tensorrt/cuda"
)

// Numbers of TensorIOMode and TensorLocation.
const (
	modeInput    = 1
	locationHost = 1 // of tensors whose values decide shapes
)

// execute runs the plan: inputs come from s.data, outputs go to s.plan.
func (s *session) execute(logger uintptr) error {
	engine, err := s.engine(logger)
	if err != nil {
		return err
	}
	s.crumb("opening the GPU")
	gpu, err := cuda.Open()
	if err != nil {
		return err
	}
	leave, err := gpu.Enter()
	if err != nil {
		return err
	}
	defer leave()
	s.crumb("making the engine ready")
	t := s.table
	x := object(engine.call(t.engine.createExecutionContext, 0))
	if x.null() {
		return s.failure("the engine does not run on this GPU")
	}
	if err := s.giveInputs(gpu, engine, x); err != nil {
		return err
	}
	if open := x.number(t.execution.inferShapes, 0, 0); open != 0 {
		return s.failure(fmt.Sprintf("the shapes of the inputs do not fit: %d tensors stay without one", open))
	}
	outs, err := s.placeOutputs(gpu, engine, x)
	if err != nil {
		return err
	}
	s.crumb("running")
	var times []float32
	for end := time.Now().Add(s.Run.For); len(times) < s.Run.Times || time.Now().Before(end); {
		ms, err := gpu.Time(func(stream uintptr) error {
			if !x.is(t.execution.enqueueV3, stream) {
				return s.failure("the run failed")
			}
			return nil
		})
		if err != nil {
			return err
		}
		times = append(times, ms)
	}
	offset := int64(0)
	for _, o := range outs {
		if err := gpu.Download(o.host, o.device); err != nil {
			return err
		}
		if _, err := s.plan.WriteAt(o.host, offset); err != nil {
			return fmt.Errorf("cannot hand back output %s: %w", o.name, err)
		}
		s.emit(Event{Kind: Output, Text: o.name, Shape: o.shape, Bytes: int64(len(o.host))})
		offset += int64(len(o.host))
	}
	s.emit(Event{Kind: Done, Times: times})
	return nil
}

// engine makes the plan an engine. A runtime whose table is off by one fails
// here by name.
func (s *session) engine(logger uintptr) (object, error) {
	t := s.table
	s.crumb("trying the runtime of " + t.name)
	runtime, err := s.create("runtime", s.createRuntime, logger, uintptr(s.version))
	if err != nil {
		return 0, err
	}
	threads := runtime.number(t.runtime.getMaxThreads)
	if runtime.call(t.runtime.setMaxThreads, 7); runtime.number(t.runtime.getMaxThreads) != 7 {
		return 0, fmt.Errorf("the slot table of %s does not fit this library: threads of the runtime", t.name)
	}
	runtime.call(t.runtime.setMaxThreads, uintptr(threads))
	plan, err := mapped(s.model)
	if err != nil {
		return 0, fmt.Errorf("cannot map the plan: %w", err)
	}
	s.crumb("reading the plan")
	engine := object(runtime.call(t.runtime.deserializeCudaEngine, s.bytes(plan), uintptr(len(plan))))
	if engine.null() {
		return 0, s.failure("TensorRT does not take the plan")
	}
	return engine, nil
}

// giveInputs copies the inputs to where the engine reads them, and tells it
// their shapes.
func (s *session) giveInputs(gpu *cuda.GPU, engine, x object) error {
	t := s.table
	var data []byte
	if slices.ContainsFunc(s.Run.Inputs, func(in Tensor) bool { return in.Size > 0 }) {
		var err error
		if data, err = mapped(s.data); err != nil {
			return fmt.Errorf("cannot map the inputs: %w", err)
		}
	}
	for _, in := range s.Run.Inputs {
		name := s.arena.text(in.Name)
		if engine.number(t.engine.getTensorIOMode, name) != modeInput {
			return fmt.Errorf("the plan has no input %q", in.Name)
		}
		if !x.is(t.execution.setInputShape, name, s.dims(in.Shape)) {
			return s.failure(fmt.Sprintf("input %s of shape %s refused", in.Name, shapeText(in.Shape)))
		}
		bytes := data[in.Offset : in.Offset+in.Size]
		at := s.bytes(bytes)
		if engine.number(t.engine.getTensorLocation, name) != locationHost {
			p, err := gpu.Alloc(len(bytes))
			if err != nil {
				return err
			}
			if err := gpu.Upload(p, bytes); err != nil {
				return err
			}
			at = uintptr(p)
		}
		if !x.is(t.execution.setTensorAddress, name, at) {
			return s.failure(fmt.Sprintf("the memory of input %s refused", in.Name))
		}
	}
	return nil
}

// output is where the engine writes one: on the GPU, and, in the end, here.
type output struct {
	name   string
	shape  []int64
	device uint64
	host   []byte
}

func (s *session) placeOutputs(gpu *cuda.GPU, engine, x object) (outs []output, err error) {
	t := s.table
	for _, want := range s.Run.Outputs {
		o := output{name: want.Name}
		name := s.arena.text(want.Name)
		o.shape = shapeOf(x, t.execution.getTensorShape, name)
		n := want.Size
		for _, d := range o.shape {
			if d < 0 || n > 0 && d > largestOutput/n {
				return nil, fmt.Errorf("output %s has shape %s, which hone cannot make room for", want.Name, shapeText(o.shape))
			}
			n *= d
		}
		o.host = make([]byte, n)
		if engine.number(t.engine.getTensorLocation, name) == locationHost {
			return nil, fmt.Errorf("output %s is made outside of the GPU", want.Name)
		}
		if o.device, err = gpu.Alloc(len(o.host)); err != nil {
			return nil, err
		}
		if !x.is(t.execution.setTensorAddress, name, uintptr(o.device)) {
			return nil, s.failure(fmt.Sprintf("the memory of output %s refused", want.Name))
		}
		outs = append(outs, o)
	}
	return outs, nil
}

// largestOutput bounds the bytes of an output.
const largestOutput = 16 << 30
