package ir

import (
	"fmt"
	"strings"
)

// Verify checks the structure of a module: every operand is defined before it
// is read, in a block that the reader sees; use lists agree with operands;
// names are unique; blocks end with their only yield. Whether ops are used as
// their schemas say is checked by ops.Verify.
func Verify(m *Module) error {
	names := map[string]bool{}
	for _, f := range m.Funcs {
		if names[f.Name] {
			return fmt.Errorf("function @%s is defined twice", f.Name)
		}
		names[f.Name] = true
		v := &verifier{seen: map[*Value]bool{}}
		inputs := map[string]bool{}
		for _, a := range f.Body.Args {
			if inputs[a.Name] {
				return fmt.Errorf("@%s: two inputs are called %q", f.Name, a.Name)
			}
			inputs[a.Name] = true
		}
		if err := v.block(f.Body, nil); err != nil {
			return fmt.Errorf("@%s: %w", f.Name, err)
		}
		if n := len(f.Results()); n != len(f.Outputs) {
			return fmt.Errorf("@%s: returns %d values under %d names", f.Name, n, len(f.Outputs))
		}
	}
	return nil
}

type verifier struct{ seen map[*Value]bool }

func (v *verifier) block(b *Block, parent *Op) error {
	if b.parent != parent {
		return fmt.Errorf("region %q does not know the op that holds it", b.Name)
	}
	var defined []*Value
	define := func(x *Value) {
		v.seen[x] = true
		defined = append(defined, x)
	}
	for _, a := range b.Args {
		define(a)
	}
	n := 0
	for op := range b.Ops() {
		n++
		if err := v.op(b, op); err != nil {
			return fmt.Errorf("%s: %w", FormatOp(op), err)
		}
		for _, r := range op.results {
			define(r)
		}
	}
	if n != b.len {
		return fmt.Errorf("block counts %d ops and holds %d", b.len, n)
	}
	if b.Yield() == nil {
		return fmt.Errorf("block %q does not end with a yield", b.Name)
	}
	for _, x := range defined { // not seen outside
		delete(v.seen, x)
	}
	return nil
}

func (v *verifier) op(b *Block, op *Op) error {
	if op.block != b {
		return fmt.Errorf("op does not know the block that holds it")
	}
	if op.Name == YieldName {
		if op != b.last {
			return fmt.Errorf("yield is not the last op")
		}
		if len(op.results) > 0 || len(op.Regions) > 0 {
			return fmt.Errorf("yield has results or regions")
		}
	}
	for i, o := range op.operands {
		if o.v == nil {
			if op.Name == YieldName {
				return fmt.Errorf("result %d is absent", i)
			}
			continue
		}
		if !v.seen[o.v] {
			return fmt.Errorf("operand %d is not defined before it is read", i)
		}
		if o.pos >= len(o.v.uses) || o.v.uses[o.pos] != (Use{op, i}) {
			return fmt.Errorf("operand %d is not in the use list of its value", i)
		}
	}
	for i := 1; i < len(op.Attrs); i++ {
		if strings.Compare(op.Attrs[i-1].Name, op.Attrs[i].Name) >= 0 {
			return fmt.Errorf("attributes are not sorted: %s, %s", op.Attrs[i-1].Name, op.Attrs[i].Name)
		}
	}
	for i, r := range op.results {
		if r.def != op || r.index != i {
			return fmt.Errorf("result %d does not know its op", i)
		}
		for _, u := range r.uses {
			if u.Op.Operand(u.Index) != r {
				return fmt.Errorf("the use list of result %d names an op that does not read it", i)
			}
		}
	}
	for _, r := range op.Regions {
		if err := v.block(r, op); err != nil {
			return err
		}
	}
	return nil
}
