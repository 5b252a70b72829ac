package ops

import (
	"fmt"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// Verify checks a module's structure and that every op is used as its schema
// says: known, with as many operands and results as it takes, of types that it
// allows, with attributes of the declared kinds.
func Verify(m *ir.Module) error {
	if err := ir.Verify(m); err != nil {
		return err
	}
	var err error
	for _, f := range m.Funcs {
		f.Body.Walk(func(op *ir.Op) bool {
			if e := VerifyOp(op); e != nil {
				err = fmt.Errorf("%s: %w", Describe(op), e)
			}
			return err == nil
		})
	}
	return err
}

// VerifyOp checks one op against its schema.
func VerifyOp(op *ir.Op) error {
	if op.Name == ir.YieldName {
		return nil
	}
	if Lookup(op.Name) == nil {
		return fmt.Errorf("there is no such operator")
	}
	s := SchemaOf(op.Name)
	if s == nil {
		return nil
	}
	if err := arity("operands", op.NumOperands(), s.MinInputs(), s.Inputs); err != nil {
		return err
	}
	if err := arity("results", op.NumResults(), 0, s.Outputs); err != nil {
		return err
	}
	for i := range s.MinInputs() {
		if p := paramAt(s.Inputs, i); op.Operand(i) == nil && !p.Optional && !p.Variadic {
			return fmt.Errorf("operand %d (%s) is absent", i, p.Name)
		}
	}
	if err := verifyAttrs(op, s); err != nil {
		return err
	}
	return verifyTypes(op, s)
}

func arity(what string, n, least int, params []Param) error {
	most := len(params)
	if most > 0 && params[most-1].Variadic {
		most = max(n, most)
	}
	if n < least || n > most {
		return fmt.Errorf("%d %s, it takes %d to %d", n, what, least, most)
	}
	return nil
}

// paramAt returns the formal parameter of position i.
func paramAt(params []Param, i int) *Param {
	if len(params) == 0 {
		return &Param{}
	}
	return &params[min(i, len(params)-1)]
}

func verifyAttrs(op *ir.Op, s *Schema) error {
	for _, a := range s.Attrs {
		if a.Kind == "graph" {
			if a.Required && op.Region(a.Name) == nil {
				return fmt.Errorf("region %s is missing", a.Name)
			}
			continue
		}
		v := op.Attrs.Get(a.Name)
		if v == nil {
			if a.Required {
				return fmt.Errorf("attribute %s is missing", a.Name)
			}
			continue
		}
		if got := attrKind(v); got != a.Kind && !(a.Kind == "sparse_tensor" && got == "tensor") {
			return fmt.Errorf("attribute %s is of kind %s, expected %s", a.Name, got, a.Kind)
		}
	}
	return nil
}

// attrKind names the kind of an attribute's value as schemas do.
func attrKind(v any) string {
	switch v.(type) {
	case int64:
		return "int"
	case float32:
		return "float"
	case string:
		return "string"
	case []int64:
		return "ints"
	case []float32:
		return "floats"
	case []string:
		return "strings"
	case *ir.Data:
		return "tensor"
	case []*ir.Data:
		return "tensors"
	case ir.Type:
		return "type_proto"
	}
	return fmt.Sprintf("%T", v)
}

// verifyTypes checks that operands have types that the schema allows, and that
// those of one type variable agree.
func verifyTypes(op *ir.Op, s *Schema) error {
	vars := map[string]string{}
	for i, v := range op.Operands() {
		if v == nil {
			continue
		}
		t := TypeKey(v.Type)
		p := paramAt(s.Inputs, i)
		if t == "" {
			continue
		}
		if allowed := s.Allowed(*p); !slices.Contains(allowed, t) {
			return fmt.Errorf("operand %d (%s) is %s, it may be %v", i, p.Name, t, allowed)
		}
		if p.Heterogeneous {
			continue
		}
		if was, ok := vars[p.Type]; ok && was != t {
			return fmt.Errorf("operand %d (%s) is %s, an operand before it is %s and must have the same type", i, p.Name, t, was)
		}
		vars[p.Type] = t
	}
	return nil
}

// TypeKey spells a type without dims, as Schema.Types does; "" where it is not known
// well enough.
func TypeKey(t ir.Type) string {
	switch t.Kind {
	case ir.KindSequence, ir.KindOptional, ir.KindMap:
		if t.Elem == nil {
			return ""
		}
		e := TypeKey(*t.Elem)
		switch {
		case e == "":
			return ""
		case t.Kind == ir.KindSequence:
			return "seq(" + e + ")"
		case t.Kind == ir.KindOptional:
			return "optional(" + e + ")"
		}
		return "map(" + t.DType.String() + "," + e + ")"
	}
	if t.DType == tensor.Undefined {
		return ""
	}
	return t.DType.String()
}
