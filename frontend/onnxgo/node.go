package onnxgo

import (
	"fmt"
	"reflect"

	"github.com/owulveryck/onnx-go"
	"gorgonia.org/tensor"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
)

// Node is a place in the graph that carries a value. Nodes of one name carry
// the same value, since onnx-go makes a node each time that a name is
// declared.
type Node struct {
	id       int64
	graph    *Graph
	value    *value
	declared bool // and its type is known
}

// value is a value of the model.
type value struct {
	name     string
	nodes    []int   // that carry it, by position
	maker    int     // the operation that computes it, -1 for none
	read     bool    // by an operation
	typ      ir.Type // as far as the model declares it
	tensor   tensor.Tensor
	constant bool // an initializer, for sure
	set      bool // by the program
	computed bool // by the last run
}

var (
	_ onnx.Namer       = (*Node)(nil)
	_ onnx.DataCarrier = (*Node)(nil)
)

// ID returns the node's id.
func (n *Node) ID() int64 { return n.id }

// SetName gives the node its name. The empty name is that of operands and
// results that are left out.
func (n *Node) SetName(name string) {
	v := n.graph.values[name]
	if v == nil {
		v = &value{name: name, maker: -1}
		n.graph.values[name] = v
	}
	n.value = v
}

// GetName returns the node's name.
func (n *Node) GetName() string {
	if n.value == nil {
		return ""
	}
	return n.value.name
}

// SetTensor sets an input, or replaces the value of an initializer. While
// onnx-go decodes, it also declares types and brings initializers.
func (n *Node) SetTensor(t tensor.Tensor) (err error) {
	defer guard("tensor", &err)
	v, g := n.value, n.graph
	switch {
	case v == nil:
		return fmt.Errorf("node %d has no name and is in no graph", n.id)
	case t == nil || reflect.ValueOf(t).IsNil():
		return fmt.Errorf("value %q can not be set to nothing", v.name)
	case v.maker >= 0:
		return fmt.Errorf("value %q is computed by the model: it can not be set", v.name)
	case len(g.ops) > 0 || g.module != nil: // onnx-go applies operations last
		if v.set = v.isInput(g.modelInputs()); !v.set {
			g.changed()
		}
		g.ran = false
	case n.declared || n != g.last:
		// A declaration is followed by its type at once, so this is data.
		v.constant = true
		g.inputs = nil
	default:
		// Of the shape, symbolic dims are dropped: it tells nothing.
		n.declared, v.typ = true, ir.Unranked(known[t.Dtype().Type].dtype)
	}
	v.tensor = t
	return nil
}

func (v *value) isInput(inputs []*value) bool {
	for _, in := range inputs {
		if in == v {
			return true
		}
	}
	return false
}

// GetTensor returns what an input was set to, or what the last run computed.
// Before that it is the type that the model declares, without data, and nil
// where it declares none. Values within the model are computed when they are
// first asked for, and from then on by every run.
func (n *Node) GetTensor() tensor.Tensor {
	v, g := n.value, n.graph
	if v == nil {
		return nil
	}
	if v.maker >= 0 && g.ran && !v.computed {
		g.outputs = append(g.outputs, v)
		g.forget()
		if err := g.Run(); err != nil {
			return nil
		}
	}
	return v.tensor
}

// modelInputs returns the inputs in the model's order. onnx-go does not tell
// them from initializers, but its order does: inputs are declared first, then
// what operations compute (or an input again), and what stands behind that
// and has no maker is an initializer.
func (g *Graph) modelInputs() []*value {
	if g.inputs != nil {
		return g.inputs
	}
	g.inputs = []*value{}
	for i, n := range g.nodes {
		v := n.value
		if v.maker >= 0 || v.nodes[0] != i {
			break
		}
		if !v.constant {
			g.inputs = append(g.inputs, v)
		}
	}
	return g.inputs
}

// fakedOperand tells whether v is the operand that onnx-go gives to operators
// that take none.
func fakedOperand(op string, v *value) bool {
	if v.tensor != nil || v.maker >= 0 {
		return false
	}
	domain, _ := domainOf(op)
	s, ok := ops.Latest(domain, op)
	return ok && len(s.Inputs) == 0
}
