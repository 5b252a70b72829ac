package cse

import (
	"bytes"
	"fmt"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

// sampled is how many bytes at the beginning, in the middle and at the end of
// a large constant tell it from others of its type; those that still look the
// same are compared.
const sampled = 256

// lookalikes bounds the constants that one is compared with.
const lookalikes = 4

// constant lets a large constant be one that came before it.
func (s *cse) constant(op *ir.Op, sc *scope) error {
	if op.Name != ir.ConstantName || op.NumResults() != 1 {
		return nil
	}
	d := op.Result(0).Data()
	if d == nil || d.Len() <= maxConstant || d.DType == tensor.String {
		return nil
	}
	t, err := d.Tensor()
	if err != nil {
		return nil // whoever needs the bytes will say so
	}
	n := len(t.Data)
	k := min(sampled, n/3)
	key := fmt.Sprintf("%s %x %x %x", op.Result(0).Type, t.Data[:k], t.Data[n/2:n/2+k], t.Data[n-k:])
	for i := range lookalikes {
		key := fmt.Sprint(key, i)
		twin := sc.find(key)
		if twin == nil {
			if sc.seen[key] == nil {
				sc.seen[key] = op
			}
			return nil
		}
		other, err := twin.Result(0).Data().Tensor()
		if err != nil || !bytes.Equal(other.Data, t.Data) {
			continue
		}
		ok, err := s.Apply("constant", op, nil, func(*passes.Rewriter) []*ir.Value { return twin.Results() })
		s.changed = s.changed || ok
		return err
	}
	return nil
}
