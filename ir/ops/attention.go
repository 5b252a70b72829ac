package ops

import (
	"fmt"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	add(map[string]Impl{
		"Attention":             {Infer: inferAttention, Eval: evalAttention},
		"preview.FlexAttention": {Infer: inferFlexAttention, Eval: evalFlexAttention},
		"LinearAttention":       {Infer: inferLinearAttention, Eval: evalLinearAttention},
		"RotaryEmbedding":       {Infer: asFirst, Eval: evalRotaryEmbedding},
		"TensorScatter":         {Infer: asFirst, Eval: evalTensorScatter},
	})
}

// heads is a tensor of attention as [batch,heads,seq,size], where known.
type heads struct{ batch, heads, seq, size ir.Dim }

// byHead reads the type of Q, K or V; false where its rank is unknown.
func byHead(t ir.Type, n int64) (heads, bool, error) {
	switch t.Rank() {
	case -1:
		return heads{}, false, nil
	case 4:
		return heads{t.Dims[0], t.Dims[1], t.Dims[2], t.Dims[3]}, true, nil
	case 3:
		if n < 1 {
			return heads{}, false, fmt.Errorf("%s needs a number of heads", t)
		}
		return heads{t.Dims[0], ir.Const(n), t.Dims[1], t.Dims[2].FloorDiv(ir.Const(n))}, true, nil
	}
	return heads{}, false, fmt.Errorf("%s must have 3 or 4 dims", t)
}

func inferAttention(x *Inference) error {
	d, dv := x.In(0).DType, x.In(2).DType
	for i, t := range []tensor.DType{d, x.In(1).DType, dv, d} {
		x.Set(i, ir.Unranked(t))
	}
	q, okQ, err := byHead(x.In(0), x.Int("q_num_heads"))
	if err != nil {
		return err
	}
	k, okK, err := byHead(x.In(1), x.Int("kv_num_heads"))
	if err != nil {
		return err
	}
	v, okV, err := byHead(x.In(2), x.Int("kv_num_heads"))
	if err != nil || !okQ || !okK || !okV {
		return err
	}
	total := k.seq
	if x.HasIn(4) {
		if past := x.In(4); past.Rank() == 4 {
			total = past.Dims[2].Add(k.seq)
		} else {
			total = x.Fresh()
		}
	}
	y := []ir.Dim{q.batch, q.heads, q.seq, v.size}
	if x.In(0).Rank() == 3 {
		y = []ir.Dim{q.batch, q.seq, q.heads.Mul(v.size)}
	}
	x.Set(0, ir.TensorOf(d, y...))
	x.Set(1, ir.TensorOf(x.In(1).DType, q.batch, k.heads, total, k.size))
	x.Set(2, ir.TensorOf(dv, q.batch, v.heads, total, v.size))
	x.Set(3, ir.TensorOf(d, q.batch, q.heads, q.seq, total))
	return nil
}

func evalAttention(c *Call) error {
	got, err := ref.Attention(ref.Heads{
		Q: c.In(0), K: c.In(1), V: c.In(2), Mask: c.In(3), PastK: c.In(4), PastV: c.In(5), Valid: c.In(6),
		QHeads: int(c.Int("q_num_heads")), KVHeads: int(c.Int("kv_num_heads")),
	}, ref.Attending{
		Scale:      float64(c.Float("scale")),
		Softcap:    float64(c.Float("softcap")),
		Causal:     c.Bool("is_causal"),
		Left:       int(c.Int("left_window_size")),
		Right:      int(c.Int("right_window_size")),
		Precision:  tensor.DType(c.Int("softmax_precision")),
		ScoresMode: int(c.Int("qk_matmul_output_mode")),
	})
	if err != nil {
		return err
	}
	c.Set(0, got.Y)
	c.Set(1, got.PresentK)
	c.Set(2, got.PresentV)
	c.Set(3, got.Scores)
	return nil
}

func inferFlexAttention(x *Inference) error {
	q, k, v := x.In(0), x.In(1), x.In(2)
	x.Set(0, ir.Unranked(v.DType))
	if q.Rank() != 4 {
		return nil
	}
	size := ir.Dim{}
	if v.Rank() == 4 {
		size = v.Dims[3]
	} else {
		size = x.Fresh()
	}
	x.Set(0, ir.TensorOf(v.DType, q.Dims[0], q.Dims[1], q.Dims[2], size))
	keys := x.Fresh()
	if k.Rank() == 4 {
		keys = k.Dims[2]
	}
	scores := ir.TensorOf(x.softmaxPrecision(q.DType), q.Dims[0], q.Dims[1], q.Dims[2], keys)
	for _, region := range flexRegions {
		if x.op.Region(region) == nil {
			continue
		}
		if _, err := x.Region(region, scores); err != nil {
			return err
		}
	}
	return nil
}

var flexRegions = []string{"score_mod", "prob_mod"}

// softmaxPrecision is the type that FlexAttention's functions see.
func (a attrs) softmaxPrecision(d tensor.DType) tensor.DType {
	switch p := tensor.DType(a.Int("softmax_precision")); {
	case p != tensor.Undefined:
		return p
	case d == tensor.Float64:
		return d
	}
	return tensor.Float32
}

func evalFlexAttention(c *Call) error {
	through := func(region string) func(*tensor.Tensor) (*tensor.Tensor, error) {
		if c.Region(region) == nil {
			return nil
		}
		return func(t *tensor.Tensor) (*tensor.Tensor, error) {
			out, err := c.Run(region, t)
			if err != nil {
				return nil, err
			}
			if len(out) == 1 {
				if t, ok := out[0].(*tensor.Tensor); ok {
					return t, nil
				}
			}
			return nil, c.Errorf("%s must give one tensor", region)
		}
	}
	return c.done(ref.FlexAttention(c.In(0), c.In(1), c.In(2), float64(c.Float("scale")), c.softmaxPrecision(c.In(0).DType), through("score_mod"), through("prob_mod")))
}

func inferLinearAttention(x *Inference) error {
	d, state := x.In(0).DType, x.In(0).DType
	if x.HasIn(3) {
		state = x.In(3).DType
	}
	x.Set(0, ir.Unranked(d))
	x.Set(1, ir.Unranked(state))
	qHeads, kvHeads := x.Int("q_num_heads"), x.Int("kv_num_heads")
	q, okQ, err := byHead(x.In(0), qHeads)
	if err != nil {
		return err
	}
	v, okV, err := byHead(x.In(2), kvHeads)
	if err != nil || !okQ || !okV {
		return err
	}
	x.Set(0, ir.TensorOf(d, q.batch, q.seq, v.size.Mul(ir.Const(qHeads))))
	x.Set(1, ir.TensorOf(state, q.batch, ir.Const(kvHeads), q.size, v.size))
	return nil
}

func evalLinearAttention(c *Call) error {
	y, state, err := ref.LinearAttention(ref.Linear{
		Q: c.In(0), K: c.In(1), V: c.In(2), State: c.In(3), Decay: c.In(4), Beta: c.In(5),
		QHeads: int(c.Int("q_num_heads")), KVHeads: int(c.Int("kv_num_heads")),
		Scale: float64(c.Float("scale")), Rule: c.Str("update_rule"),
	})
	if err != nil {
		return err
	}
	c.Set(0, y)
	c.Set(1, state)
	return nil
}

func evalRotaryEmbedding(c *Call) error {
	return c.done(ref.RotaryEmbedding(c.In(0), c.In(1), c.In(2), c.In(3), c.Bool("interleaved"), int(c.Int("rotary_embedding_dim")), int(c.Int("num_heads"))))
}

func evalTensorScatter(c *Call) error {
	return c.done(ref.TensorScatter(c.In(0), c.In(1), c.In(2), int(c.Int("axis")), c.Str("mode") == "circular"))
}
