package tensorrt

import (
	"errors"
	"os"
	"strings"

	"github.com/hone-ml/hone/backends/tensorrt/internal/nvinfer"
)

// childName is argument zero of a child, which tells it what it is.
const childName = "hone-tensorrt-builder"

// files are what a child is handed: the model, the weights that lie beside it
// (nil where none do), and where the plan goes.
type files struct{ model, data, plan *os.File }

// errNoChild: this program cannot start a builder.
var errNoChild = errors.New("TensorRT's builder cannot be started")

// failure gives a child's reason its kind.
func failure(reason string) error {
	switch {
	case strings.HasPrefix(reason, nvinfer.NotFound):
		return kind(ErrNoLibrary, reason, nvinfer.NotFound)
	case strings.HasPrefix(reason, nvinfer.UnknownVersion):
		return kind(ErrVersion, reason, nvinfer.UnknownVersion)
	}
	return errors.New(reason)
}

// kindError says what the child said and is of a kind.
type kindError struct {
	kind error
	text string
}

func (e *kindError) Error() string { return e.kind.Error() + e.text }
func (e *kindError) Unwrap() error { return e.kind }

func kind(k error, reason, prefix string) error {
	return &kindError{k, strings.TrimPrefix(reason, prefix)}
}

// cause tells what ended a child: a signal that killed it, a fault of C that
// Go's runtime turned into a message, or an exception that C++ let go.
func cause(err error, stderr string) string {
	for line := range strings.Lines(stderr) {
		for _, start := range []string{"[signal ", "SIG", "fatal error", "terminate called", "panic:"} {
			if strings.HasPrefix(line, start) {
				return strings.TrimSpace(line)
			}
		}
	}
	if err == nil {
		return "it gave no result"
	}
	return err.Error()
}
