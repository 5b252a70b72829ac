// Package report draws: a module as a graph in SVG or DOT, and everything that
// a report has to say (the graph before and after each pass, tables, facts) as
// one HTML file that needs no network. It is the project's one HTML writer. It
// knows modules and passes, and nothing of files or of who asks.
//
// SVG is Graphviz's, so that its pictures and those that others make of the DOT
// text are the same; package graphviz says how it comes into the program. The
// page has a layout of its own, which is as fast for every step of a history,
// and stays in place from one to the next.
package report

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/diff"
	"github.com/hone-ml/hone/ir/ops"
)

// Node is a box of the graph: an op, an input or an output of the module.
// Equal nodes of two graphs are the same op, unchanged.
type Node struct {
	ID      string   `json:"id"` // the name of its first result
	Op      string   `json:"op"`
	Kind    string   `json:"kind"` // how it is coloured, see kinds
	Loc     []string `json:"loc,omitempty"`
	In      []Port   `json:"in,omitempty"`
	Out     []Port   `json:"out,omitempty"`
	Attrs   []Fact   `json:"attrs,omitempty"`
	MACs    string   `json:"macs,omitempty"`    // multiply-accumulates, symbolic
	Bytes   string   `json:"bytes,omitempty"`   // of the results
	Params  int64    `json:"params,omitempty"`  // elements of constant operands
	Weights int64    `json:"weights,omitempty"` // bytes of constant operands
	cost    float64  // multiply-accumulates where every symbol is 1
}

// Port is an operand or result. Const holds the text of a constant.
type Port struct {
	Name            string `json:"name"`
	Type            string `json:"type"`
	Const           string `json:"const,omitempty"`
	elements, bytes int    // of a constant
}

// Fact is a name and a value as text.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Graph is a module's entry as nodes in program order. Edges are pairs of
// indices, from the node that computes a value to one that reads it.
type Graph struct {
	Nodes []Node
	Edges [][2]int
	At    []Point // where layout puts the nodes
	// Lanes are the places at which what a node computes passes the layers on
	// the way to its last reader; none where it is read in the next one only.
	Lanes [][]int
}

// kinds colours operators by what they are for.
var kinds = map[string]string{
	"product": "Conv ConvTranspose ConvInteger QLinearConv Gemm MatMul MatMulInteger QLinearMatMul Einsum Attention LSTM GRU RNN",
	"norm": "BatchNormalization LayerNormalization InstanceNormalization GroupNormalization RMSNormalization LpNormalization LRN " +
		"SimplifiedLayerNormalization MeanVarianceNormalization",
	"activation": "Relu LeakyRelu PRelu Sigmoid HardSigmoid HardSwish Tanh Gelu Elu Selu Celu Mish Softplus Softmax LogSoftmax Swish Clip Erf ThresholdedRelu",
	"shape": "Reshape Transpose Flatten Squeeze Unsqueeze Shape Size Slice Gather GatherND GatherElements Concat Split Expand Tile Pad Cast CastLike " +
		"Identity ConstantOfShape Range DepthToSpace SpaceToDepth Resize",
	"pool":     "MaxPool AveragePool GlobalAveragePool GlobalMaxPool ReduceMean ReduceSum ReduceMax ReduceMin LpPool GlobalLpPool",
	"quantize": "QuantizeLinear DequantizeLinear DynamicQuantizeLinear",
	"control":  "If Loop Scan SequenceMap",
}

var kindByName = func() map[string]string {
	m := map[string]string{}
	for kind, names := range kinds {
		for _, n := range strings.Fields(names) {
			m[n] = kind
		}
	}
	return m
}()

// kindOf tells what an op is for; those of the cpu level are as their models.
func kindOf(op string) string {
	return cmp.Or(kindByName[strings.TrimPrefix(op, "cpu.")], "other")
}

// maxText is the most bytes of a text form that a node carries.
const maxText = 4096

// Draw returns the graph of a module's entry, laid out. Constants are operands
// of their readers, not nodes; regions are text.
func Draw(m *ir.Module) *Graph {
	d := &drawer{g: &Graph{}, names: diff.Names(m.Main()), from: map[*ir.Value]int{}}
	main := m.Main()
	for _, a := range main.Body.Args {
		d.from[a] = len(d.g.Nodes)
		d.g.Nodes = append(d.g.Nodes, Node{ID: a.Name, Op: "input", Kind: "port", Out: []Port{{Name: a.Name, Type: a.Type.String()}}, Bytes: size(a.Type)})
	}
	for op := range main.Body.Ops() {
		if op.Name != ir.ConstantName && op.Name != ir.YieldName {
			d.op(op)
		}
	}
	for i, v := range main.Results() {
		n := len(d.g.Nodes)
		name := main.Outputs[i]
		d.g.Nodes = append(d.g.Nodes, Node{ID: "output " + name, Op: "output", Kind: "port", Loc: []string{name}, In: []Port{d.port(v)}})
		d.edge(v, n)
	}
	d.g.layout()
	return d.g
}

type drawer struct {
	g     *Graph
	names map[*ir.Value]string
	from  map[*ir.Value]int
}

func (d *drawer) edge(v *ir.Value, to int) {
	if from, ok := d.from[v]; ok {
		for i := len(d.g.Edges) - 1; i >= 0 && d.g.Edges[i][1] == to; i-- {
			if d.g.Edges[i][0] == from {
				return
			}
		}
		d.g.Edges = append(d.g.Edges, [2]int{from, to})
	}
}

func (d *drawer) port(v *ir.Value) Port {
	if v == nil {
		return Port{Name: "absent"}
	}
	p := Port{Name: d.names[v], Type: v.Type.String()}
	if c := v.Data(); c != nil {
		p.Const, p.elements, p.bytes = "constant", c.Len(), c.DType.WireSize(c.Len())
		if c.Len() <= 16 {
			if t, err := ir.FormatAttr(c); err == nil {
				p.Const = clip(t, maxText)
			}
		}
	}
	return p
}

func (d *drawer) op(op *ir.Op) {
	n := Node{Op: op.Name, Kind: kindOf(op.Name), Loc: op.Loc}
	at := len(d.g.Nodes)
	outer := map[*ir.Value]bool{}
	for _, v := range op.Operands() {
		n.In = append(n.In, d.port(v))
		if v == nil || outer[v] {
			continue
		}
		outer[v] = true
		d.edge(v, at)
		if c := v.Data(); c != nil {
			n.Params += int64(c.Len())
			n.Weights += int64(c.DType.WireSize(c.Len()))
		}
	}
	bytes := ir.Const(0)
	for _, r := range op.Results() {
		n.Out = append(n.Out, d.port(r))
		d.from[r] = at
		if r.Type.IsTensor() && r.Type.Ranked {
			bytes = bytes.Add(r.Type.NumElements().Mul(ir.Const(int64(r.Type.DType.Size()))))
		}
	}
	n.Bytes = bytes.String()
	if len(n.Out) > 0 {
		n.ID = n.Out[0].Name
	} else {
		n.ID = fmt.Sprintf("%s·%d", op.Name, at)
	}
	for _, a := range op.Attrs {
		if t, err := ir.FormatAttr(a.Value); err == nil {
			n.Attrs = append(n.Attrs, Fact{a.Name, clip(t, maxText)})
		}
	}
	macs := ops.MACs(op)
	var inside []string
	for _, r := range op.Regions {
		var text strings.Builder
		r.Walk(func(o *ir.Op) bool {
			macs = macs.Add(ops.MACs(o))
			if o.Name != ir.YieldName && o.Name != ir.ConstantName && len(inside) < 4 {
				inside = append(inside, o.Name)
			}
			if text.Len() < maxText && o.Name != ir.ConstantName {
				text.WriteString(o.Name + "(")
				for i, v := range o.Operands() {
					if i > 0 {
						text.WriteString(", ")
					}
					text.WriteString(d.port(v).Name)
				}
				text.WriteString(")\n")
			}
			for _, v := range o.Operands() {
				if v != nil && v.Block() == op.Block() {
					d.edge(v, at)
				}
			}
			return true
		})
		n.Attrs = append(n.Attrs, Fact{"region " + r.Name, clip(text.String(), maxText)})
	}
	if n.Op == ops.FusedName && len(inside) > 0 {
		n.Op, n.Kind = strings.Join(inside, "+"), kindOf(inside[0])
	}
	if !macs.IsInt(0) {
		n.MACs, n.cost = macs.String(), atOne(macs)
	}
	d.g.Nodes = append(d.g.Nodes, n)
}

func size(t ir.Type) string {
	if !t.IsTensor() || !t.Ranked {
		return ""
	}
	return t.NumElements().Mul(ir.Const(int64(t.DType.Size()))).String()
}

// clip keeps the beginning of a long text.
func clip(s string, most int) string {
	if len(s) > most {
		return strings.ToValidUTF8(s[:most-1], "") + "…"
	}
	return s
}
