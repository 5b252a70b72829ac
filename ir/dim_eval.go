package ir

import (
	"errors"
	"fmt"
)

var (
	errOverflow = errors.New("does not fit into 64 bits")
	errZero     = errors.New("division by zero")
)

// Eval computes d from the values of its symbols. The error names the
// expression and what is wrong: a symbol without a value, a division by zero,
// sizes that do not broadcast, or an overflow.
func (d Dim) Eval(vals map[string]int64) (int64, error) {
	n, err := d.eval(vals)
	if err != nil {
		return 0, fmt.Errorf("dim %s: %w", d, err)
	}
	return n, nil
}

func (d Dim) eval(vals map[string]int64) (int64, error) {
	total := d.n
	if d.e == nil {
		return total, nil
	}
	for _, t := range d.e.terms {
		p, ok := t.coef, true
		for _, a := range t.atoms {
			v, err := a.eval(vals)
			if err != nil {
				return 0, err
			}
			if p, ok = mulInt(p, v); !ok {
				return 0, errOverflow
			}
		}
		if total, ok = addInt(total, p); !ok {
			return 0, errOverflow
		}
	}
	return total, nil
}

func (a *atom) eval(vals map[string]int64) (int64, error) {
	if a.kind == symbol {
		v, ok := vals[a.name]
		if !ok {
			return 0, fmt.Errorf("%s has no value", a.text)
		}
		return v, nil
	}
	args := make([]int64, len(a.args))
	for i, x := range a.args {
		v, err := x.eval(vals)
		if err != nil {
			return 0, err
		}
		args[i] = v
	}
	return a.apply(args)
}

func (a *atom) apply(args []int64) (v int64, err error) {
	v, ok := args[0], true
	for _, x := range args[1:] {
		switch a.kind {
		case floorDiv, mod:
			if x == 0 {
				return 0, errZero
			}
			q, r, fits := floorDivInt(v, x)
			if v, ok = q, fits; a.kind == mod {
				v, ok = r, true // nothing is left over where the quotient does not fit
			}
		case minimum:
			v = min(v, x)
		case maximum:
			v = max(v, x)
		case opaqueAdd:
			v, ok = addInt(v, x)
		case opaqueMul:
			v, ok = mulInt(v, x)
		case broadcast:
			switch {
			case v == 1:
				v = x
			case x != 1 && x != v:
				return 0, fmt.Errorf("%d and %d do not broadcast", v, x)
			}
		}
		if !ok {
			return 0, errOverflow
		}
	}
	return v, nil
}
