package onnxgo

import (
	"fmt"

	"github.com/owulveryck/onnx-go"
	"github.com/owulveryck/onnx-go/backend"
	"gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/simple"
	"gorgonia.org/tensor"

	"github.com/hone-ml/hone/ir"
)

// Graph is the backend. It holds one model, and one run at a time.
//
// Edges go from a value to the operands that it is computed from, the weight
// being the operand's position, as onnx-go draws them.
type Graph struct {
	edges   *simple.WeightedDirectedGraph
	values  map[string]*value
	nodes   []*Node
	ops     []operation
	pending []graph.WeightedEdge // of the operation that is being drawn
	last    *Node                // that was added

	opt      options
	err      error      // of a method that has no way to return one
	module   *ir.Module // what Unmarshal read, nil where onnx-go decoded
	inputs   []*value   // once they are known
	outputs  []*value   // that a run computes
	programs map[string]*program
	ran      bool // the inputs have been run
}

// operation is a node of the model; operands and results are in its order.
type operation struct {
	onnx.Operation
	ins, outs []*value
}

var _ backend.ComputationBackend = (*Graph)(nil)

// New returns an empty graph.
func New(opts ...Option) *Graph {
	g := &Graph{}
	for _, o := range opts {
		o(&g.opt)
	}
	g.reset()
	return g
}

// NewGraph returns an empty graph. It is New under the name that onnx-go's
// own backend has.
func NewGraph() *Graph { return New() }

func (g *Graph) reset() {
	g.forget()
	*g = Graph{opt: g.opt, edges: simple.NewWeightedDirectedGraph(0, -1), values: map[string]*value{}, programs: map[string]*program{}}
}

// firstID is the id of the first node. Ids below it are positions of inputs,
// which SetInput takes for ids.
const firstID = 1 << 32

// NewNode returns a node that is not yet in the graph.
func (g *Graph) NewNode() graph.Node {
	return &Node{id: firstID + int64(len(g.nodes)), graph: g}
}

// AddNode adds a node that NewNode returned.
func (g *Graph) AddNode(n graph.Node) {
	node, ok := n.(*Node)
	if !ok || node.graph != g {
		g.fail("a node, a %T, is not of this graph: add what NewNode returns", n)
		return
	}
	if node.id != firstID+int64(len(g.nodes)) {
		g.fail("node %d is added twice", node.id)
		return
	}
	if node.value == nil {
		node.SetName(fmt.Sprintf("node_%d", len(g.nodes)))
	}
	node.value.nodes = append(node.value.nodes, len(g.nodes))
	g.nodes = append(g.nodes, node)
	g.edges.AddNode(node)
	g.last = node
	g.changed()
}

// NewWeightedEdge returns an edge from a value to its operand of the given
// position.
func (g *Graph) NewWeightedEdge(from, to graph.Node, position float64) graph.WeightedEdge {
	return g.edges.NewWeightedEdge(from, to, position)
}

// SetWeightedEdge adds an edge. Two edges between the same nodes stand for an
// operand that is read twice.
func (g *Graph) SetWeightedEdge(e graph.WeightedEdge) {
	if e == nil {
		g.fail("an edge is nil")
		return
	}
	for _, n := range []graph.Node{e.From(), e.To()} {
		if node, ok := n.(*Node); !ok || node.graph != g || g.edges.Node(node.id) == nil {
			g.fail("an edge touches a node, a %T, that is not in this graph", n)
			return
		}
	}
	g.pending = append(g.pending, e)
	if e.From().ID() != e.To().ID() {
		g.edges.SetWeightedEdge(e)
	}
}

// ApplyOperation says what computes the given nodes from those that their
// edges lead to.
func (g *Graph) ApplyOperation(o onnx.Operation, results ...graph.Node) error {
	pending := g.pending
	g.pending = nil
	if g.err != nil {
		return g.err
	}
	if _, known := domainOf(o.Name); !known {
		return &onnx.ErrNotImplemented{Operator: o.Name, Message: "hone knows no operator of this name"}
	}
	if len(results) == 0 {
		return fmt.Errorf("operator %s computes nothing", o.Name)
	}
	op := operation{Operation: o}
	for _, r := range results {
		node, ok := r.(*Node)
		if !ok || node.graph != g || node.value == nil {
			return fmt.Errorf("a result of operator %s, a %T, is not of this graph", o.Name, r)
		}
		v := node.value
		if v.maker >= 0 {
			return fmt.Errorf("value %q is computed twice", v.name)
		}
		if v.name != "" {
			v.maker = len(g.ops)
		}
		op.outs = append(op.outs, v)
	}
	operands := map[int]*value{} // by position
	for _, e := range pending {
		if e.From().ID() == results[0].ID() {
			operands[int(e.Weight())] = e.To().(*Node).value
		}
	}
	for i := range len(operands) {
		v, ok := operands[i]
		if !ok {
			return fmt.Errorf("operator %s has %d operands, but none in position %d", o.Name, len(operands), i)
		}
		if !fakedOperand(o.Name, v) {
			op.ins = append(op.ins, v)
			v.read = true
		}
	}
	g.ops = append(g.ops, op)
	g.changed()
	return nil
}

// changed forgets what followed from the graph as it was.
func (g *Graph) changed() {
	g.inputs, g.outputs, g.ran = nil, nil, false
	g.forget()
}

// forget drops what was prepared for the graph as it was.
func (g *Graph) forget() {
	if err := g.Close(); err != nil {
		g.fail("%w", err)
	}
}

// fail keeps the first error.
func (g *Graph) fail(format string, args ...any) {
	if g.err == nil {
		g.err = fmt.Errorf(format, args...)
	}
}

// Node returns the node with the given id. Ids that are small are the
// positions of inputs: Node(0) is the first input of the model, constants not
// counted. It returns nil where there is no such node.
func (g *Graph) Node(id int64) graph.Node {
	if id < firstID {
		ins := g.modelInputs()
		if id < 0 || id >= int64(len(ins)) {
			return nil
		}
		return g.nodes[ins[id].nodes[0]]
	}
	if id-firstID >= int64(len(g.nodes)) {
		return nil
	}
	return g.nodes[id-firstID]
}

// Nodes returns all nodes.
func (g *Graph) Nodes() graph.Nodes { return g.edges.Nodes() }

// From returns the operands of a value.
func (g *Graph) From(id int64) graph.Nodes { return g.edges.From(id) }

// To returns the values that are computed from a value.
func (g *Graph) To(id int64) graph.Nodes { return g.edges.To(id) }

// HasEdgeBetween reports whether one value is an operand of the other.
func (g *Graph) HasEdgeBetween(x, y int64) bool { return g.edges.HasEdgeBetween(x, y) }

// HasEdgeFromTo reports whether v is an operand of u.
func (g *Graph) HasEdgeFromTo(u, v int64) bool { return g.edges.HasEdgeFromTo(u, v) }

// Edge returns the edge from u to v, nil where there is none.
func (g *Graph) Edge(u, v int64) graph.Edge {
	if e := g.edges.WeightedEdge(u, v); e != nil {
		return e
	}
	return nil
}

// Inputs returns the inputs of the model in its order, by name.
func (g *Graph) Inputs() []string { return names(g.modelInputs()) }

func names(vals []*value) []string {
	out := make([]string, len(vals))
	for i, v := range vals {
		out[i] = v.name
	}
	return out
}

// Value returns the tensor of that name: of an input what was set, of an
// output what the last run computed; nil where there is none.
func (g *Graph) Value(name string) tensor.Tensor {
	v := g.values[name]
	if v == nil || len(v.nodes) == 0 {
		return nil
	}
	return g.nodes[v.nodes[0]].GetTensor()
}
