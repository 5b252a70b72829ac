package onnx

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hone-ml/hone/frontend/onnx/onnxpb"
	"github.com/hone-ml/hone/internal/mmap"
	"github.com/hone-ml/hone/internal/nearest"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
)

// Options adjust an import.
type Options struct {
	// Dims gives symbolic dims of the inputs a size, by name: {"N": 1}.
	Dims map[string]int64
	// InputShapes gives inputs a shape, by name; dims below 0 stay as they
	// are. A symbol that gets one size this way has it everywhere.
	InputShapes map[string][]int64
	// Folder is where external data is looked for; nil refuses it.
	Folder *os.Root
}

// Open imports the model in a file, which stays mapped until the module is
// closed, since constants view it: it may be replaced by renaming, but must not
// be written to.
func Open(path string, opt Options) (*ir.Module, error) {
	f, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	m, err := openIn(filepath.Dir(path), f.Bytes(), opt)
	if err != nil {
		f.Close()
		return nil, err
	}
	m.Own(f)
	return m, nil
}

// openIn imports a model whose external data lies in folder.
func openIn(folder string, b []byte, opt Options) (*ir.Module, error) {
	if opt.Folder == nil {
		root, err := os.OpenRoot(folder)
		if err != nil {
			return nil, err
		}
		defer root.Close()
		opt.Folder = root
	}
	return Import(b, opt)
}

// Import imports the model in b, which the module's constants view: it must
// neither change nor go away while the module is in use.
func Import(b []byte, opt Options) (*ir.Module, error) {
	p, err := onnxpb.DecodeModel(b)
	if err != nil {
		return nil, fmt.Errorf("not a sound ONNX file: %w", err)
	}
	return importModel(p, len(b), opt)
}

// ImportProto imports a model that was built in memory, as Import does one
// that was read.
func ImportProto(p *onnxpb.ModelProto, opt Options) (*ir.Module, error) {
	return importModel(p, p.Size(), opt)
}

func importModel(p *onnxpb.ModelProto, size int, opt Options) (*ir.Module, error) {
	if p.Graph == nil {
		return nil, fmt.Errorf("not an ONNX model: it has no graph")
	}
	im := newImporter(p, opt)
	im.opsLeft = 50_000 + size/100
	im.m.Own(im.ext)
	if err := im.run(p); err != nil {
		im.m.Close()
		return nil, err
	}
	return im.m, nil
}

// importer is one import.
type importer struct {
	m       *ir.Module
	opt     Options
	ext     *external
	shapes  *ops.Shapes
	funcs   map[funcKey]*onnxpb.FunctionProto
	names   names // of nodes
	freeze  map[string]ir.Dim
	opsLeft int // operations that the model may still expand to
}

type funcKey struct{ domain, name, overload string }

func newImporter(p *onnxpb.ModelProto, opt Options) *importer {
	m := ir.NewModule(p.Graph.Name, ops.NewestOpset(""))
	m.Source = ir.Source{
		IRVersion: p.IRVersion, ModelVersion: p.ModelVersion, Producer: p.ProducerName, ProducerVersion: p.ProducerVersion,
		Domain: p.Domain, Doc: p.DocString, Unknown: slices.Clone(p.Unknown.Bytes()), // what is no constant outlives the file
	}
	for _, o := range p.OpsetImport {
		m.Source.Opsets = append(m.Source.Opsets, ir.Opset{Domain: standard(o.Domain), Version: o.Version})
	}
	for _, kv := range p.MetadataProps {
		m.Meta = append(m.Meta, ir.KeyValue{Key: kv.Key, Value: kv.Value})
	}
	return &importer{
		m: m, opt: opt, ext: &external{root: opt.Folder}, shapes: ops.NewShapes(m),
		funcs: map[funcKey]*onnxpb.FunctionProto{}, names: names{}, freeze: map[string]ir.Dim{},
	}
}

// standard spells ONNX's own domain in one way.
func standard(domain string) string {
	if domain == "ai.onnx" {
		return ""
	}
	return domain
}

func (im *importer) run(p *onnxpb.ModelProto) error {
	opsets := map[string]int{}
	for _, o := range im.m.Source.Opsets {
		opsets[o.Domain] = int(min(o.Version, 1<<30))
		if newest := ops.NewestOpset(o.Domain); newest > 0 && o.Version > int64(newest) {
			return fmt.Errorf("the model needs opset %d of domain %q; the newest known is %d", o.Version, o.Domain, newest)
		}
	}
	if len(opsets) == 0 { // before opsets were written
		opsets[""] = 1
	}
	for _, f := range p.Functions {
		k := funcKey{standard(f.Domain), f.Name, f.Overload}
		if im.funcs[k] != nil {
			return fmt.Errorf("function %s is defined twice", k)
		}
		im.funcs[k] = f
	}
	if err := im.freezeDims(p.Graph); err != nil {
		return err
	}
	sc := &scope{im: im, block: im.m.Main().Body, vals: map[string]*ir.Value{}, opsets: opsets}
	if err := sc.graph(p.Graph, true); err != nil {
		return err
	}
	return ops.Verify(im.m)
}

func (k funcKey) String() string {
	s := k.name
	if k.domain != "" {
		s = k.domain + "." + s
	}
	if k.overload != "" {
		s += ":" + k.overload
	}
	return s
}

// freezeDims collects the sizes that the options give to symbols.
func (im *importer) freezeDims(g *onnxpb.GraphProto) error {
	known := map[string]bool{}
	inputs := map[string]*onnxpb.ValueInfoProto{}
	given := map[string][]int64{} // sizes that input shapes give a symbol
	for _, v := range g.Input {
		inputs[v.Name] = v
		if v.Type == nil || v.Type.Tensor == nil || v.Type.Tensor.Shape == nil {
			continue
		}
		want, asked := im.opt.InputShapes[v.Name]
		for i, d := range v.Type.Tensor.Shape.Dim {
			if d.Value == nil && d.Param != "" {
				known[d.Param] = true
				if asked && i < len(want) && want[i] >= 0 {
					given[d.Param] = append(given[d.Param], want[i])
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(im.opt.InputShapes)) {
		if inputs[name] == nil {
			return optionErrorf(name, slices.Sorted(maps.Keys(inputs)), "there is no input", "the inputs are")
		}
	}
	for name, sizes := range given {
		if slices.Min(sizes) == slices.Max(sizes) {
			im.freeze[name] = ir.Const(sizes[0])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(im.opt.Dims)) {
		n := im.opt.Dims[name]
		if !known[name] {
			return optionErrorf(name, slices.Sorted(maps.Keys(known)), "no input has a dim", "the symbolic dims are")
		}
		if n < 0 {
			return fmt.Errorf("dim %s can not be %d", name, n)
		}
		im.freeze[name] = ir.Const(n)
	}
	return nil
}

// OptionError says that the options name what the model does not have.
type OptionError struct{ Problem string }

func (e *OptionError) Error() string { return e.Problem }

func optionErrorf(name string, among []string, problem, there string) error {
	return &OptionError{fmt.Sprintf("%s %q%s; %s %s", problem, name, nearest.Hint(name, among), there, quoted(among))}
}

func quoted(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	for i, n := range names {
		names[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(names, ", ")
}

// inputType applies the options to the declared type of an input.
func (im *importer) inputType(name string, t ir.Type) (ir.Type, error) {
	want, asked := im.opt.InputShapes[name]
	if asked && t.IsTensor() {
		if !t.Ranked {
			for range want {
				t.Dims = append(t.Dims, im.m.FreshDim())
			}
			t.Ranked = true
		}
		if len(want) != len(t.Dims) {
			return t, fmt.Errorf("input %q is %s; a shape of %d dims was asked for", name, t, len(want))
		}
		for i, n := range want {
			if have, ok := t.Dims[i].Int(); ok && n >= 0 && have != n {
				return t, fmt.Errorf("input %q is %s; dim %d can not be %d", name, t, i, n)
			}
			if n >= 0 {
				t.Dims[i] = ir.Const(n)
			}
		}
	}
	if len(im.freeze) > 0 {
		t = t.Subst(im.freeze)
	}
	return t, nil
}

// names holds names in use, each with the suffix to try next.
type names map[string]int

// unique claims name, with a number behind it where it is taken.
func (u names) unique(name string) string {
	n, taken := u[name]
	if !taken {
		u[name] = 1
		return name
	}
	for {
		try := fmt.Sprintf("%s_%d", name, n)
		n++
		if _, taken := u[try]; !taken {
			u[name], u[try] = n, 1
			return try
		}
	}
}
