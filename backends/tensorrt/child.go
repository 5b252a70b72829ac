package tensorrt

import (
	"errors"
	"fmt"
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
	if text, ok := strings.CutPrefix(reason, nvinfer.NotFound); ok {
		return fmt.Errorf("%w%s", ErrNoLibrary, text)
	}
	if text, ok := strings.CutPrefix(reason, nvinfer.UnknownVersion); ok {
		return fmt.Errorf("%w%s", ErrVersion, text)
	}
	return errors.New(reason)
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
