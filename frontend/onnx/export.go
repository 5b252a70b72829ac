package onnx

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hone-ml/hone/frontend/onnx/onnxpb"
	"github.com/hone-ml/hone/internal/atomicfile"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// ExportOptions adjust an export.
type ExportOptions struct {
	// Opset is the opset of the standard domain to write; 0 is the lowest that
	// expresses the model, and no higher than the source's where that does.
	Opset int
	// Native raises the opset, to 23 at most, to where the ops of the module
	// came with ONNX, rather than write them as graphs of older ones.
	Native bool
	// External is the size in bytes from which constants go to a file of their
	// own; 0 stands for the 2 GiB that protobuf ends at.
	External int64
}

// maxInline bounds a model with all its constants inside.
const maxInline = math.MaxInt32 - 64<<20

// smallest is the size of the constants that stay in the model.
const smallest = 1024

// Export writes m, a module of the core or fused level, as an ONNX model.
// Constants are read one at a time, when they are written.
func Export(w io.Writer, m *ir.Module, opt ExportOptions) error {
	x, p, err := export(m, opt)
	if err != nil {
		return err
	}
	if x.bytes > maxInline {
		return fmt.Errorf("the constants take %d bytes, more than one ONNX file holds: write to a file, so that they can lie beside it", x.bytes)
	}
	return p.Encode(w)
}

// WriteFile writes m to the file at path; constants of more than
// opt.External bytes in all go to path.data.
func WriteFile(ctx context.Context, path string, m *ir.Module, opt ExportOptions) error {
	x, p, err := export(m, opt)
	if err != nil {
		return err
	}
	limit := opt.External
	if limit <= 0 {
		limit = maxInline
	}
	if x.bytes > limit {
		err := atomicfile.Write(ctx, path+".data", func(f *atomicfile.File) error {
			_, err := moveData(x.tensors, f, filepath.Base(path)+".data")
			return err
		})
		if err != nil {
			return err
		}
	}
	return atomicfile.Write(ctx, path, func(f *atomicfile.File) error { return p.Encode(f) })
}

// Moved is a constant that lies beside its model: Size bytes at Offset of the data.
type Moved struct {
	Name         string
	Offset, Size int64
}

// ExportSplit writes m in two parts: to data the constants, each aligned to be
// mapped, and to w the model, which names the data as a file called location.
// What is small, and the constants of subgraphs, stay in the model. Neither
// part is ever whole in memory.
func ExportSplit(w, data io.Writer, location string, m *ir.Module, opt ExportOptions) ([]Moved, error) {
	_, p, err := export(m, opt)
	if err != nil {
		return nil, err
	}
	moved, err := moveData(p.Graph.Initializer, data, location)
	if err != nil {
		return nil, err
	}
	return moved, p.Encode(w)
}

// exporter is one export.
type exporter struct {
	names   names // of values
	vals    map[*ir.Value]string
	nodes   names
	tensors []*onnxpb.TensorProto // constants, in order
	bytes   int64                 // of all constants
	opsets  map[string]int
	version int64 // of the IR
}

func export(m *ir.Module, opt ExportOptions) (*exporter, *onnxpb.ModelProto, error) {
	if m.Level == ir.CPU {
		return nil, nil, fmt.Errorf("a module of the cpu level has no form in ONNX: export it before lowering")
	}
	if newest := ops.NewestOpset(""); opt.Opset > newest {
		return nil, nil, fmt.Errorf("opset %d is not known, the newest is %d", opt.Opset, newest)
	}
	c, opsets, err := lowest(m, opt)
	if err != nil {
		return nil, nil, err
	}
	x := &exporter{names: names{"": 1}, vals: map[*ir.Value]string{}, nodes: names{}, opsets: opsets}
	src := m.Source
	if x.version = irVersion(opsets[""]); src.IRVersion > 0 {
		x.version = min(x.version, src.IRVersion)
	}
	if x.version < 3 || x.version == 3 && src.IRVersion > 3 {
		x.version = 4
	}
	g, err := x.main(c.Main())
	if err != nil {
		return nil, nil, err
	}
	if g.Name = m.Name; g.Name == "" {
		g.Name = "graph"
	}
	p := &onnxpb.ModelProto{
		IRVersion: x.version, ProducerName: src.Producer, ProducerVersion: src.ProducerVersion, Domain: src.Domain,
		ModelVersion: src.ModelVersion, DocString: src.Doc, Graph: g,
	}
	if len(src.Unknown) > 0 {
		p.Unknown = onnxpb.Raw{src.Unknown}
	}
	for _, d := range []string{"", "ai.onnx.ml", "ai.onnx.preview.training", "ai.onnx.preview"} {
		if v := opsets[d]; v > 0 {
			p.OpsetImport = append(p.OpsetImport, &onnxpb.OperatorSetIDProto{Domain: d, Version: int64(v)})
		}
	}
	for _, kv := range m.Meta {
		p.MetadataProps = append(p.MetadataProps, &onnxpb.StringStringEntryProto{Key: kv.Key, Value: kv.Value})
	}
	if x.version < 4 { // constants were inputs with a value then
		for _, t := range g.Initializer {
			d := tensor.DType(t.DataType)
			shape := make([]int, len(t.Dims))
			for i, n := range t.Dims {
				shape[i] = int(n)
			}
			g.Input = append(g.Input, &onnxpb.ValueInfoProto{Name: t.Name, Type: typeProto(ir.Static(d, shape...))})
		}
	}
	return x, p, nil
}

// irVersion returns the IR version that came with an opset.
func irVersion(opset int) int64 {
	for _, v := range []struct {
		opset int
		ir    int64
	}{{8, 3}, {9, 4}, {10, 5}, {11, 6}, {14, 7}, {18, 8}, {20, 9}, {22, 10}, {23, 11}, {24, 12}, {26, 13}} {
		if opset <= v.opset {
			return v.ir
		}
	}
	return 14
}

// typeVersions says with which IR version an element type came.
var typeVersions = map[tensor.DType]int64{
	tensor.BFloat16: 4, tensor.Float8E4M3FN: 9, tensor.Float8E4M3FNUZ: 9, tensor.Float8E5M2: 9, tensor.Float8E5M2FNUZ: 9,
	tensor.Int4: 10, tensor.Uint4: 10, tensor.Float4E2M1: 11, tensor.Float8E8M0: 12, tensor.Int2: 13, tensor.Uint2: 13,
	tensor.Float6E2M3: 14, tensor.Float6E3M2: 14,
}

func (x *exporter) sees(t ir.Type) {
	if t.Kind != ir.KindTensor {
		x.sees(*t.Elem)
	}
	x.version = max(x.version, typeVersions[t.DType])
}

// name returns the name of a value, the one of the source where it is free.
func (x *exporter) name(v *ir.Value) string {
	if v == nil {
		return ""
	}
	if n, ok := x.vals[v]; ok {
		return n
	}
	n := v.Origin.Name
	if v.Origin.Relation != ir.Exact || n == "" {
		if n == "" && v.IsArg() {
			n = v.Name
		} else if n == "" {
			n = v.Def().Name
			if len(v.Def().Loc) > 0 {
				n = v.Def().Loc[0] + "/" + n
			}
		} else {
			n += "/" + string(v.Origin.Relation)
		}
	}
	if n == "" {
		n = "value"
	}
	n = x.names.unique(n)
	x.vals[v] = n
	return n
}

func info(name string, t ir.Type) *onnxpb.ValueInfoProto {
	v := &onnxpb.ValueInfoProto{Name: name}
	if !t.IsTensor() || t.DType != tensor.Undefined {
		v.Type = typeProto(t)
	}
	return v
}

// main writes the entry function, whose inputs and outputs keep their names.
func (x *exporter) main(f *ir.Func) (*onnxpb.GraphProto, error) {
	for _, a := range f.Body.Args {
		x.names[a.Name], x.vals[a] = 1, a.Name
	}
	for _, n := range f.Outputs {
		x.names[n] = 1
	}
	return x.graph(f.Body, f.Outputs)
}

// graph writes a block. outputs names what it yields; nil leaves it open.
func (x *exporter) graph(b *ir.Block, outputs []string) (*onnxpb.GraphProto, error) {
	g := &onnxpb.GraphProto{}
	for _, a := range b.Args {
		x.sees(a.Type)
		g.Input = append(g.Input, info(x.name(a), a.Type))
	}
	results := b.Results()
	copies := make([]bool, len(results)) // results that need an Identity
	for i, v := range results {
		_, named := x.vals[v]
		copies[i] = named || v.Def() == nil || v.Block() != b || v.Data() != nil
		if outputs != nil && !copies[i] {
			x.vals[v] = outputs[i]
		} else if !copies[i] {
			x.name(v)
		}
	}
	for op := range b.Ops() {
		if op.Name == ir.YieldName {
			break
		}
		if d := op.Result(0).Data(); d != nil {
			if op.Unused() {
				continue
			}
			if outputs == nil {
				x.version = max(x.version, 4) // constants of subgraphs
			}
			if err := x.constant(g, op.Result(0), d); err != nil {
				return nil, err
			}
			continue
		}
		n, err := x.node(op)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", ops.Describe(op), err)
		}
		g.Node = append(g.Node, n)
	}
	for i, v := range results {
		name := x.vals[v]
		if copies[i] {
			if outputs != nil {
				name = outputs[i]
			} else {
				name = x.names.unique(x.name(v) + "_out")
			}
			g.Node = append(g.Node, &onnxpb.NodeProto{OpType: "Identity", Name: x.nodes.unique("Identity/" + name), Input: []string{x.name(v)}, Output: []string{name}})
		}
		g.Output = append(g.Output, info(name, v.Type))
	}
	return g, nil
}

func (x *exporter) constant(g *onnxpb.GraphProto, v *ir.Value, d *ir.Data) error {
	t, err := protoOf(x.name(v), d)
	if err != nil {
		return fmt.Errorf("constant %q: %w", x.name(v), err)
	}
	x.sees(v.Type)
	g.Initializer = append(g.Initializer, t)
	x.tensors = append(x.tensors, t)
	x.bytes += int64(t.RawData.Size) + int64(t.StringData.Len())
	return nil
}

func (x *exporter) node(op *ir.Op) (*onnxpb.NodeProto, error) {
	domain, name, _ := ops.ONNXName(op.Name)
	n := &onnxpb.NodeProto{OpType: name, Domain: domain}
	if len(op.Loc) > 0 {
		n.Name = x.nodes.unique(strings.Join(op.Loc, "+"))
	} else {
		n.Name = x.nodes.unique(name)
	}
	for _, v := range op.Operands() {
		n.Input = append(n.Input, x.name(v))
	}
	unread := func(i int) bool { // and may be left out
		_, named := x.vals[op.Result(i)]
		return i > 0 && !named && op.Result(i).NumUses() == 0 && optionalOut(op, i)
	}
	last := op.NumResults()
	for last > 0 && unread(last-1) {
		last--
	}
	for i, v := range op.Results() {
		x.sees(v.Type)
		if i >= last {
			continue
		}
		if unread(i) {
			n.Output = append(n.Output, "")
			continue
		}
		n.Output = append(n.Output, x.name(v))
	}
	for _, a := range op.Attrs {
		p, err := attrProto(a)
		if err != nil {
			return nil, fmt.Errorf("attribute %q: %w", a.Name, err)
		}
		n.Attribute = append(n.Attribute, p)
	}
	for _, r := range op.Regions {
		g, err := x.graph(r, nil)
		if err != nil {
			return nil, err
		}
		g.Name = r.Name
		n.Attribute = append(n.Attribute, &onnxpb.AttributeProto{Name: r.Name, Type: onnxpb.AttrGraph, G: g})
	}
	return n, nil
}

func optionalOut(op *ir.Op, i int) bool {
	s := ops.SchemaOf(op.Name)
	return s != nil && i < len(s.Outputs) && s.Outputs[i].Optional
}

func attrProto(a ir.Attr) (*onnxpb.AttributeProto, error) {
	p := &onnxpb.AttributeProto{Name: a.Name}
	var err error
	switch v := a.Value.(type) {
	case int64:
		p.Type, p.I = onnxpb.AttrInt, v
	case float32:
		p.Type, p.F = onnxpb.AttrFloat, v
	case string:
		p.Type, p.S = onnxpb.AttrString, v
	case []int64:
		p.Type, p.Ints = onnxpb.AttrInts, v
	case []float32:
		p.Type, p.Floats = onnxpb.AttrFloats, v
	case []string:
		p.Type, p.Strings = onnxpb.AttrStrings, v
	case *ir.Data:
		p.Type = onnxpb.AttrTensor
		p.T, err = protoOf("", v)
	case []*ir.Data:
		p.Type, p.Lists = onnxpb.AttrTensors, &onnxpb.AttributeLists{}
		for _, d := range v {
			t, e := protoOf("", d)
			if err = e; err != nil {
				break
			}
			p.Lists.Tensors = append(p.Lists.Tensors, t)
		}
	case ir.Type:
		p.Type, p.TP = onnxpb.AttrTypeProto, typeProto(v)
	case []ir.Type:
		p.Type, p.Lists = onnxpb.AttrTypeProtos, &onnxpb.AttributeLists{}
		for _, t := range v {
			p.Lists.TypeProtos = append(p.Lists.TypeProtos, typeProto(t))
		}
	default:
		err = fmt.Errorf("a %T has no form in ONNX", v)
	}
	return p, err
}

// align is where constants start in a data file, so that they can be mapped.
const align = 64

// moveData writes constants to a file of their own, and leaves where they lie in their place.
func moveData(tensors []*onnxpb.TensorProto, to io.Writer, location string) (moved []Moved, err error) {
	w := bufio.NewWriterSize(to, 1<<20)
	at := int64(0)
	for _, t := range tensors {
		if t.RawData.Size < smallest {
			continue
		}
		b, err := t.RawData.Load()
		if err != nil {
			return nil, fmt.Errorf("constant %q: %w", t.Name, err)
		}
		pad := -at & (align - 1)
		if _, err := w.Write(make([]byte, pad)); err != nil {
			return nil, err
		}
		if _, err := w.Write(b); err != nil {
			return nil, err
		}
		at += pad
		t.DataLocation = onnxpb.External
		for _, kv := range [][2]string{{"location", location}, {"offset", strconv.FormatInt(at, 10)}, {"length", strconv.Itoa(len(b))}} {
			t.ExternalData = append(t.ExternalData, &onnxpb.StringStringEntryProto{Key: kv[0], Value: kv[1]})
		}
		t.RawData = onnxpb.Blob{}
		moved = append(moved, Moved{t.Name, at, int64(len(b))})
		at += int64(len(b))
	}
	return moved, w.Flush()
}
