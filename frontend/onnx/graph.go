package onnx

import (
	"fmt"

	"github.com/hone-ml/hone/frontend/onnx/onnxpb"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// maxNesting bounds subgraphs within subgraphs, and functions within
// functions.
const maxNesting = 16

// scope is where the names of a graph or a function live.
type scope struct {
	im     *importer
	outer  *scope // whose names are seen too; nil for a model and a function
	block  *ir.Block
	vals   map[string]*ir.Value // nil for an absent input of a function
	makers map[string]int       // nodes of the graph by output, for errors
	nodes  []*onnxpb.NodeProto
	infos  map[string]*onnxpb.ValueInfoProto
	opsets map[string]int
	attrs  map[string]*onnxpb.AttributeProto // of the function call
	calls  []funcKey                         // functions that are being inlined
	prefix string                            // of names within a function
	depth  int
}

// graph fills the scope's block with the graph. main tells the model's own
// graph from a subgraph.
func (sc *scope) graph(g *onnxpb.GraphProto, main bool) error {
	if sc.depth > maxNesting {
		return fmt.Errorf("subgraphs are nested deeper than %d", maxNesting)
	}
	constant := map[string]bool{}
	for _, t := range g.Initializer {
		constant[t.Name] = true
	}
	for _, s := range g.SparseInitializer {
		if s.Values != nil {
			constant[s.Values.Name] = true
		}
	}
	if err := sc.inputs(g, constant, main); err != nil {
		return err
	}
	at := ir.AtEnd(sc.block)
	for i, t := range g.Initializer {
		d, err := dataOf(t, sc.im.ext)
		if err != nil {
			return fmt.Errorf("initializer %d, %q: %w", i, t.Name, err)
		}
		if err := sc.define(t.Name, at.Constant(d)); err != nil {
			return fmt.Errorf("initializer %d: %w", i, err)
		}
	}
	for i, s := range g.SparseInitializer {
		d, err := sparseData(s, sc.im.ext)
		if err != nil {
			return fmt.Errorf("sparse initializer %d: %w", i, err)
		}
		if err := sc.define(s.Values.Name, at.Constant(d)); err != nil {
			return fmt.Errorf("sparse initializer %d: %w", i, err)
		}
	}
	sc.infos = map[string]*onnxpb.ValueInfoProto{}
	for _, list := range [][]*onnxpb.ValueInfoProto{g.ValueInfo, g.Output} {
		for _, v := range list {
			sc.infos[v.Name] = v
		}
	}
	if err := sc.run(g.Node); err != nil {
		return err
	}
	return sc.outputs(g, main)
}

func (sc *scope) inputs(g *onnxpb.GraphProto, constant map[string]bool, main bool) error {
	for i, v := range g.Input {
		if main && constant[v.Name] {
			continue // the default of an input is its value
		}
		if v.Name == "" {
			return fmt.Errorf("input %d has no name", i)
		}
		t, err := typeOf(sc.im.m, v.Type)
		if err != nil {
			return fmt.Errorf("input %q: %w", v.Name, err)
		}
		if main {
			if t, err = sc.im.inputType(v.Name, t); err != nil {
				return err
			}
		} else {
			t = t.Subst(sc.im.freeze)
		}
		a := sc.block.AddArg(v.Name, t)
		if err := sc.define(v.Name, a); err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
	}
	return nil
}

func (sc *scope) outputs(g *onnxpb.GraphProto, main bool) error {
	names := make([]string, len(g.Output))
	vals := make([]*ir.Value, len(g.Output))
	seen := map[string]bool{}
	for i, v := range g.Output {
		val, ok := sc.lookup(v.Name)
		if !ok || val == nil {
			return fmt.Errorf("output %d, %q, is not computed by any node", i, v.Name)
		}
		if main && seen[v.Name] {
			return fmt.Errorf("output %q is listed twice", v.Name)
		}
		seen[v.Name] = true
		names[i], vals[i] = v.Name, val
	}
	if main {
		sc.im.m.Main().Return(names, vals...)
	} else {
		ir.AtEnd(sc.block).Op(ir.YieldName, vals, nil)
	}
	return nil
}

// define gives a value its name in the scope.
func (sc *scope) define(name string, v *ir.Value) error {
	if _, taken := sc.vals[name]; taken {
		return fmt.Errorf("value %q is defined twice", name)
	}
	sc.vals[name] = v
	if v != nil && v.Origin.Name == "" {
		v.Origin.Name = sc.prefix + name
	}
	return nil
}

// lookup finds a name here or outside.
func (sc *scope) lookup(name string) (*ir.Value, bool) {
	for s := sc; s != nil; s = s.outer {
		if v, ok := s.vals[name]; ok {
			return v, true
		}
	}
	return nil, false
}

// run imports nodes, in their order.
func (sc *scope) run(nodes []*onnxpb.NodeProto) error {
	sc.nodes, sc.makers = nodes, map[string]int{}
	for i, n := range nodes {
		for _, name := range n.Output {
			if name != "" {
				if _, twice := sc.makers[name]; !twice {
					sc.makers[name] = i
				}
			}
		}
	}
	for i, n := range nodes {
		if err := sc.node(i, n); err != nil {
			return err
		}
	}
	return nil
}

// label names a node for locations and errors.
func (sc *scope) label(i int, n *onnxpb.NodeProto) string {
	if n.Name != "" {
		return sc.prefix + n.Name
	}
	return fmt.Sprintf("%s%s_%d", sc.prefix, n.OpType, i)
}

// node imports one node.
func (sc *scope) node(i int, n *onnxpb.NodeProto) error {
	label := sc.label(i, n)
	fail := func(err error) error { return fmt.Errorf("node %q (%s): %w", label, n.OpType, err) }
	if sc.im.opsLeft--; sc.im.opsLeft < 0 {
		return fail(fmt.Errorf("functions of the model expand to too many operations"))
	}
	operands, err := sc.operands(n)
	if err != nil {
		return fail(err)
	}
	domain := standard(n.Domain)
	key := funcKey{domain, n.OpType, n.Overload}
	if f := sc.im.funcs[key]; f != nil {
		results, err := sc.call(key, f, n, operands, label)
		if err != nil {
			return fail(err)
		}
		return sc.results(n, results, fail)
	}
	loc := []string{sc.im.names.unique(label)}
	b := ir.AtEnd(sc.block)
	b.Loc = loc
	last := sc.block.Last()
	var results []*ir.Value
	if expand := foreign[domain][n.OpType]; expand != nil {
		x := &foreignNode{formula: formula{b, sc.im.shapes}, sc: sc, node: n, in: operands}
		if results, err = x.run(expand); err != nil {
			return fail(err)
		}
	} else {
		if results, err = sc.operator(b, domain, n, operands); err != nil {
			return fail(err)
		}
	}
	if err := sc.infer(last); err != nil {
		return fail(err)
	}
	return sc.results(n, results, fail)
}

// operands looks the node's inputs up.
func (sc *scope) operands(n *onnxpb.NodeProto) ([]*ir.Value, error) {
	vals := make([]*ir.Value, len(n.Input))
	for k, name := range n.Input {
		if name == "" {
			continue
		}
		v, ok := sc.lookup(name)
		if ok {
			vals[k] = v
			continue
		}
		for s := sc; s != nil; s = s.outer {
			if j, later := s.makers[name]; later {
				return nil, fmt.Errorf("input %d, %q, comes from node %q, which is not computed yet: the nodes are out of order or form a cycle",
					k, name, s.label(j, s.nodes[j]))
			}
		}
		return nil, fmt.Errorf("input %d, %q, is not defined: it is no input, initializer or output of a node", k, name)
	}
	for len(vals) > 0 && vals[len(vals)-1] == nil {
		vals = vals[:len(vals)-1]
	}
	return vals, nil
}

// results gives the values of a node their names.
func (sc *scope) results(n *onnxpb.NodeProto, vals []*ir.Value, fail func(error) error) error {
	for k, name := range n.Output {
		if name == "" {
			continue
		}
		if k >= len(vals) {
			return fail(fmt.Errorf("output %d, %q: the operator has %d outputs", k, name, len(vals)))
		}
		if vals[k] == nil {
			return fail(fmt.Errorf("output %d, %q, is not computed", k, name))
		}
		if err := sc.define(name, vals[k]); err != nil {
			return fail(err)
		}
		sc.claim(name, vals[k])
	}
	return nil
}

// claim takes a declared type where inference found no element type or rank.
func (sc *scope) claim(name string, v *ir.Value) {
	t := v.Type
	if !t.IsTensor() || t.DType != tensor.Undefined && t.Ranked {
		return
	}
	info := sc.infos[name]
	if info == nil {
		return
	}
	said, err := typeOf(sc.im.m, info.Type)
	if err != nil || t.DType != tensor.Undefined && (!said.IsTensor() || said.DType != t.DType) {
		return
	}
	if said.IsTensor() && said.DType == tensor.Undefined {
		return
	}
	v.Type = said.Subst(sc.im.freeze)
}

// infer sets the types of everything behind last.
func (sc *scope) infer(last *ir.Op) error {
	op := sc.block.First()
	if last != nil {
		op = last.Next()
	}
	for ; op != nil; op = op.Next() {
		if err := sc.im.shapes.Op(op); err != nil {
			return err
		}
	}
	return nil
}

// operator builds an op of ONNX's own domains and upgrades it.
func (sc *scope) operator(b *ir.Builder, domain string, n *onnxpb.NodeProto, operands []*ir.Value) ([]*ir.Value, error) {
	name, ok := ops.IRName(domain, n.OpType)
	if !ok {
		return nil, fmt.Errorf("operator %s of domain %q is not known", n.OpType, domain)
	}
	version, ok := sc.opsets[domain]
	if !ok {
		version, ok = sc.opsets[""]
		if !ok || domain != "" {
			return nil, fmt.Errorf("the model does not import an opset of domain %q", domain)
		}
	}
	schema, ok := ops.SchemaAt(domain, n.OpType, version)
	if !ok && name == "LayerNormalization" {
		// onnxruntime had it in ONNX's domain before ONNX did, and writes it
		// into the models of any opset that it optimizes.
		version = ops.Versions(domain, n.OpType)[0]
		schema, ok = ops.SchemaAt(domain, n.OpType, version)
	}
	switch {
	case len(ops.Versions(domain, n.OpType)) == 0:
		return nil, fmt.Errorf("there is no operator %q in domain %q", n.OpType, domain)
	case !ok:
		return nil, fmt.Errorf("operator %s came with opset %d; the model has %d", n.OpType, ops.Versions(domain, n.OpType)[0], version)
	case ops.Lookup(name) == nil:
		return nil, fmt.Errorf("operator %s is not supported", name)
	}
	if least := schema.MinInputs(); len(operands) < least {
		return nil, fmt.Errorf("%d inputs, the operator takes %d at least", len(operands), least)
	}
	op := b.Op(name, operands, make([]ir.Type, max(len(n.Output), 1)))
	if err := sc.attributes(op, n); err != nil {
		return nil, err
	}
	if name == ir.ConstantName {
		if err := plainConstant(op); err != nil {
			return nil, err
		}
	}
	return upgrade(op, version)
}

// upgrade brings an op to the newest opset and returns its results, which may
// be those of other ops by then.
func upgrade(op *ir.Op, version int) ([]*ir.Value, error) {
	// Upgrades replace uses; a reader that only they see keeps the results.
	reader := ir.AtEnd(op.Block()).Op(ir.YieldName, op.Results(), nil)
	defer reader.Erase()
	at := version
	for op.Block() != nil {
		impl := ops.Lookup(op.Name)
		if impl == nil {
			break
		}
		next := -1
		for k, u := range impl.Upgrades {
			if u.To > at {
				next = k
				break
			}
		}
		if next < 0 {
			break
		}
		u := impl.Upgrades[next]
		if err := u.Do(ir.Before(op), op); err != nil {
			return nil, fmt.Errorf("from opset %d to %d: %w", version, u.To, err)
		}
		at = u.To
	}
	return reader.Operands(), nil
}
