//go:build !(linux && (amd64 || arm64))

package tensorrt

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"github.com/hone-ml/hone/backends/tensorrt/internal/nvinfer"
)

// ChildMain returns at once: plans are built on Linux only.
func ChildMain() {}

func unavailable() error {
	return fmt.Errorf("%w: plans are built on linux/amd64 and linux/arm64, not on %s/%s; they can be read everywhere",
		errNoChild, runtime.GOOS, runtime.GOARCH)
}

func runChild(context.Context, nvinfer.Job, files, func(nvinfer.Event)) error {
	return unavailable()
}

func memoryFile(string, []byte) (*os.File, error) { return nil, unavailable() }
