package nvinfer

import "time"

// Job is all that a child process is told, as JSON on its standard input.
type Job struct {
	Library     string    // folder of the libraries; empty for the system's own search
	Check       bool      // load the library and try its slot table, no more
	Model       string    // path of the model, for weights kept beside it and for messages
	Weights     []Weights // those that lie beside the model, behind DataFD
	SM          []int     // compute capabilities to build for
	Profiles    []Profile // optimization profiles, in order
	Flags       []string  // builder flags by name, as TF32 or SPARSE_WEIGHTS
	Workspace   int64     // limit of the workspace memory pool in bytes; 0 for the library's own
	Threads     int       // threads of the builder; 0 for the library's own
	TimingCache string    // file of timings to start from and to write; empty for OwnTimings
	OwnTimings  string    // the same, for libraries that build for the machine's own GPU and so time kernels on it
	Verbose     bool      // send the library's information messages too
	Stop        string    // phase to cancel the build in, through the progress monitor
	Crash       string    // phase to read a bad address in: what a bug of the library does
	Run         *Run      // not to build: the model is a plan, to run
}

// Run asks for runs of a plan on the first GPU.
type Run struct {
	Inputs  []Tensor      // whose elements lie in the data
	Outputs []Tensor      // with the size of an element; those of a run come one after the other where a plan would go
	Times   int           // runs, at least
	For     time.Duration // and further ones until so much time has passed
}

// Tensor is an input or output of a run, as the plan's type has its elements.
type Tensor struct {
	Name         string
	Shape        []int64
	Offset, Size int64
}

// Weights is where an initializer of the model lies in the data beside it.
type Weights struct {
	Name         string
	Offset, Size int64
}

// Profile is one optimization profile: a range for every input that has open dimensions.
type Profile []Range

// Range is the smallest, usual and largest shape of an input. For a shape
// tensor (one whose values decide shapes) the numbers are values instead.
type Range struct {
	Input         string
	Min, Opt, Max []int64
}

// Kind says what an Event tells.
type Kind string

// The kinds of events a child sends.
const (
	Log     Kind = "log"     // a message of the library, with its Severity
	Library Kind = "library" // the library was loaded: Text is its name, Number its version
	Phase   Kind = "phase"   // a phase of the build began, with Number steps
	Step    Kind = "step"    // step Number of a phase was done
	Ended   Kind = "ended"   // a phase of the build ended
	Refusal Kind = "refusal" // the parser refuses a node
	Failed  Kind = "failed"  // the job failed, Text says how
	Output  Kind = "output"  // an output is written: Text is its name
	Done    Kind = "done"    // the job is done
)

// Event is one line from the child.
type Event struct {
	Kind     Kind
	Text     string `json:",omitempty"`
	Severity int    `json:",omitempty"`
	Number   int    `json:",omitempty"`
	Parent   string `json:",omitempty"` // of a phase
	Node     string `json:",omitempty"` // a refused node's ONNX name
	Op       string `json:",omitempty"` // its operator
	Code     int    `json:",omitempty"` // the parser's error code
	Bytes    int64  `json:",omitempty"` // size of the plan, or of an output
	Peak     int64  `json:",omitempty"` // most memory of the child so far, in bytes
	ParseMS  int64  `json:",omitempty"`
	BuildMS  int64  `json:",omitempty"`

	Shape []int64   `json:",omitempty"` // of an output
	Times []float32 `json:",omitempty"` // of runs, in milliseconds by the GPU's own clock
}

// Severities of Log events, as ILogger::Severity numbers them.
const (
	SeverityInternal = iota
	SeverityError
	SeverityWarning
	SeverityInfo
	SeverityVerbose
)
