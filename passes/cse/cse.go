// Package cse lets equal ops be computed once.
package cse

import (
	"fmt"
	"strings"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
)

// maxConstant is the largest constant, in elements, whose text is its key.
// Larger ones are compared in constants.go.
const maxConstant = 1 << 14

func init() {
	passes.Register(passes.Spec{
		Name: "cse",
		Help: "compute equal ops once, equal constants too; operands of commutative ops may stand in any order",
		Options: []passes.Option{{
			Name: "only-constants", Default: "false", Type: passes.Bool, Help: "let equal large constants be one, and nothing else",
		}},
		Example: `func @main(%x: f32[N], %y: f32[N]) -> (z: f32[N]) {
  %0 = Add(%x, %y) : f32[N]
  %1 = Add(%y, %x) : f32[N]
  %2 = Mul(%0, %1) : f32[N]
  return(%2)
}
`,
		New: func(o passes.Options) (passes.Pass, error) {
			return passes.Func("cse", func(c *passes.Context, m *ir.Module) (bool, error) {
				s := &cse{Context: c, ids: map[*ir.Value]int{}, constants: o.Bool("only-constants")}
				for _, f := range m.Funcs {
					if err := s.block(f.Body, nil); err != nil {
						return s.changed, err
					}
				}
				return s.changed, nil
			}), nil
		},
	})
}

type cse struct {
	*passes.Context
	ids       map[*ir.Value]int
	constants bool // and nothing else
	changed   bool
}

// scope is what a block sees: its own ops and those of the blocks around it.
type scope struct {
	outer *scope
	seen  map[string]*ir.Op
}

func (s *scope) find(key string) *ir.Op {
	for ; s != nil; s = s.outer {
		if op := s.seen[key]; op != nil {
			return op
		}
	}
	return nil
}

func (s *cse) block(b *ir.Block, outer *scope) error {
	sc := &scope{outer, map[string]*ir.Op{}}
	for op := range b.Ops() {
		for _, r := range op.Regions {
			if err := s.block(r, sc); err != nil {
				return err
			}
		}
		key, ok := s.key(op)
		if !ok || s.constants {
			if err := s.constant(op, sc); err != nil {
				return err
			}
			continue
		}
		twin := sc.find(key)
		if twin == nil {
			sc.seen[key] = op
			continue
		}
		ok, err := s.Apply("", op, nil, func(*passes.Rewriter) []*ir.Value { return twin.Results() })
		if err != nil {
			return err
		}
		s.changed = s.changed || ok
	}
	return nil
}

// commutative ops may swap their two operands.
var commutative = map[string]bool{
	"Add": true, "Mul": true, "And": true, "Or": true, "Xor": true, "Equal": true,
	"BitwiseAnd": true, "BitwiseOr": true, "BitwiseXor": true,
}

// key says in text what an op computes, false where it must stay as it is.
func (s *cse) key(op *ir.Op) (string, bool) {
	impl := ops.Lookup(op.Name)
	if impl == nil || impl.Traits != 0 || len(op.Regions) > 0 || op.Name == ir.YieldName {
		return "", false
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%d(", op.Name, op.NumResults())
	operands := op.Operands()
	if commutative[op.Name] && len(operands) == 2 && s.id(operands[0]) > s.id(operands[1]) {
		operands[0], operands[1] = operands[1], operands[0]
	}
	for _, v := range operands {
		fmt.Fprintf(&b, "%d,", s.id(v))
	}
	for _, a := range op.Attrs {
		if d, ok := a.Value.(*ir.Data); ok && d.Len() > maxConstant {
			return "", false
		}
		text, err := ir.FormatAttr(a.Value)
		if err != nil {
			return "", false
		}
		fmt.Fprintf(&b, "%s=%s;", a.Name, text)
	}
	return b.String(), true
}

func (s *cse) id(v *ir.Value) int {
	if v == nil {
		return -1
	}
	id, ok := s.ids[v]
	if !ok {
		id = len(s.ids)
		s.ids[v] = id
	}
	return id
}
