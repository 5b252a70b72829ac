//go:build linux && (amd64 || arm64)

package nvinfer

import (
	"fmt"
	"path/filepath"

	"github.com/ebitengine/purego"
)

// library is a loaded TensorRT with the table of its version.
type library struct {
	version                                    int
	table                                      *slots
	createBuilder, createRuntime, createParser uintptr
}

// load loads the two libraries of the first family that folder holds.
func load(folder string) (*library, error) {
	var first error
	for _, f := range Families {
		core, err := purego.Dlopen(filepath.Join(folder, f.Core), purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		parser, err := purego.Dlopen(filepath.Join(folder, f.Parser), purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err != nil {
			return nil, fmt.Errorf("%s is there but not its ONNX parser: %w", f.Core, err)
		}
		return bind(core, parser)
	}
	return nil, fmt.Errorf("%s: %w", NotFound, first)
}

func bind(core, parser uintptr) (*library, error) {
	l := new(library)
	p, err := purego.Dlsym(core, "getInferLibVersion")
	if err != nil {
		return nil, err
	}
	var version func() int32
	purego.RegisterFunc(&version, p)
	l.version = int(version())
	if l.table, err = tableFor(l.version); err != nil {
		return nil, err
	}
	if l.createBuilder, err = purego.Dlsym(core, "createInferBuilder_INTERNAL"); err != nil {
		return nil, err
	}
	if l.createRuntime, err = purego.Dlsym(core, "createInferRuntime_INTERNAL"); err != nil {
		return nil, err
	}
	l.createParser, err = purego.Dlsym(parser, "createNvOnnxParser_INTERNAL")
	return l, err
}
