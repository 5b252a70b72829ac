// Package graphviz draws graphs of the DOT language with Graphviz itself, which runs as WebAssembly on wazero: no cgo,
// no program to install, and the same picture on every machine.
//
// The WebAssembly is what github.com/goccy/go-graphviz is built of (go generate takes it from there). The Go side of
// that module is not linked, because it compiles Graphviz when a program starts, whatever the program then does: 0.8 s,
// or 30 ms from a folder of machine code under /tmp whose name everybody knows. Here only a drawing pays. Each has a
// Graphviz of its own, without access to files, with bounded memory, that ends with its context; and with a stack that
// the routing of long edges does not overflow.
package graphviz

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

//go:generate go run ./gen graphviz.wasm.gz

//go:embed graphviz.wasm.gz
var compressed []byte

const (
	stackBytes = 64 << 20
	maxPages   = 2 << 30 / 65536 // of 64 KiB
	maxMessage = 4096            // bytes of what Graphviz says that an error repeats
)

// SVG lays out a directed graph in layers, as the program dot does, and writes it as a picture. The attributes of the
// graph are Graphviz's own. The first drawing of a program compiles Graphviz, which takes most of a second; the layout
// of a thousand nodes takes another. A context that ends stops it.
func SVG(ctx context.Context, w io.Writer, dot []byte) error {
	p := &program{ctx: ctx}
	picture, err := p.draw(dot, "dot", "svg")
	if p.m != nil {
		defer p.m.Close(context.Background())
	}
	if err == nil {
		_, err = w.Write(picture)
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if said := strings.TrimSpace(p.said.String()); said != "" {
		err = fmt.Errorf("%w: %s", err, said)
	}
	return fmt.Errorf("drawing with Graphviz: %w", err)
}

// compiled is Graphviz as machine code, and what runs it.
type compiled struct {
	runtime wazero.Runtime
	module  wazero.CompiledModule
}

var compile = sync.OnceValues(func() (*compiled, error) {
	ctx := context.Background()
	unzip, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, err
	}
	code, err := io.ReadAll(unzip)
	if err != nil {
		return nil, err
	}
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCloseOnContextDone(true).WithMemoryLimitPages(maxPages))
	module, err := r.CompileModule(ctx, code)
	if err != nil {
		return nil, err
	}
	// Functions that a plug-in would have: none is called.
	env := r.NewHostModuleBuilder("env")
	for _, f := range module.ImportedFunctions() {
		if from, name, _ := f.Import(); from == "env" {
			missing := api.GoFunc(func(context.Context, []uint64) { panic("there is no " + name) })
			env.NewFunctionBuilder().WithGoFunction(missing, f.ParamTypes(), f.ResultTypes()).Export(name)
		}
	}
	if _, err := env.Instantiate(ctx); err != nil {
		return nil, err
	}
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, r); err != nil {
		return nil, err
	}
	return &compiled{r, module}, nil
})

// program is a Graphviz of its own. Its functions are those of the C library, its pointers 32-bit numbers.
type program struct {
	ctx  context.Context
	m    api.Module
	said bounded
	err  error // of the first call that failed; those after it do nothing
}

func (p *program) load() error {
	c, err := compile()
	if err != nil {
		return err
	}
	p.m, err = c.runtime.InstantiateModule(p.ctx, c.module, wazero.NewModuleConfig().WithName("").WithStderr(&p.said))
	if err != nil {
		return err
	}
	stack, ok := p.m.ExportedGlobal("__stack_pointer").(api.MutableGlobal)
	if !ok {
		return errors.New("the stack is out of reach: run go generate")
	}
	if low := p.alloc(stackBytes); p.err == nil {
		stack.Set((low + stackBytes) &^ 15)
	}
	return p.err
}

// draw reads a graph, lays it out and returns it in a format.
func (p *program) draw(dot []byte, engine, format string) ([]byte, error) {
	if err := p.load(); err != nil {
		return nil, err
	}
	graph := p.call("agmemread", p.text(dot))
	if p.err == nil && graph == 0 {
		return nil, errors.New("the graph can not be read")
	}
	gvc := p.call("gvContextPlugins", p.plugins(), 0)
	if failed := p.call("gvLayout", gvc, graph, p.text([]byte(engine))); p.err == nil && failed != 0 {
		return nil, errors.New("there is no layout")
	}
	out := p.alloc(8) // where the picture is, and its length
	p.call("gvRenderData", gvc, graph, p.text([]byte(format)), out, out+4)
	return bytes.Clone(p.read(p.word(out), p.word(out+4))), p.err
}

// plugins returns the table of the plug-ins that are linked in, with the end that the module's own table lacks.
func (p *program) plugins() uint64 {
	const entry, count = 8, 3 // bytes: a name and an address
	table := append(bytes.Clone(p.read(uint32(p.m.ExportedGlobal("lt_preloaded_symbols").Get()), entry*count)), make([]byte, entry)...)
	return p.put(table)
}

func (p *program) call(name string, args ...uint64) uint64 {
	if p.err != nil {
		return 0
	}
	results, err := p.m.ExportedFunction(name).Call(p.ctx, args...)
	if err != nil {
		// The first line says why, the others where in a program without names.
		why, _, _ := strings.Cut(err.Error(), "\n")
		p.err = errors.New(why)
		return 0
	}
	if len(results) == 0 {
		return 0
	}
	return results[0]
}

func (p *program) alloc(bytes uint64) uint64 {
	at := p.call("malloc", bytes)
	if p.err == nil && at == 0 {
		p.err = errors.New("out of memory")
	}
	return at
}

// put copies bytes into the program's memory.
func (p *program) put(b []byte) uint64 {
	at := p.alloc(uint64(len(b)))
	if p.err == nil && !p.m.Memory().Write(uint32(at), b) {
		p.err = errors.New("out of memory")
	}
	return at
}

// text copies a text and the zero that ends it.
func (p *program) text(b []byte) uint64 { return p.put(append(bytes.Clone(b), 0)) }

func (p *program) word(at uint64) uint32 {
	n, ok := p.m.Memory().ReadUint32Le(uint32(at))
	if p.err == nil && !ok {
		p.err = errors.New("a pointer leads nowhere")
	}
	return n
}

func (p *program) read(at, length uint32) []byte {
	b, ok := p.m.Memory().Read(at, length)
	if p.err == nil && !ok {
		p.err = errors.New("a pointer leads nowhere")
	}
	return b
}

// bounded keeps the beginning of what is written to it.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), maxMessage-b.Len())])
	return len(p), nil
}
