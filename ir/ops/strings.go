package ops

import (
	"slices"
	"strconv"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	add(map[string]Impl{
		"StringConcat":     {Infer: inferStringConcat, Eval: evalStringConcat},
		"StringSplit":      {Infer: inferStringSplit, Eval: evalStringSplit},
		"StringNormalizer": {Infer: inferStringNormalizer, Eval: evalStringNormalizer},
		"RegexFullMatch":   {Infer: inferRegexFullMatch, Eval: evalRegexFullMatch},
		"TfIdfVectorizer":  {Infer: inferTfIdf, Eval: evalTfIdf},
	})
}

func inferStringConcat(x *Inference) error {
	a, b := x.In(0), x.In(1)
	if a.Rank() < 0 || b.Rank() < 0 {
		x.Set(0, ir.Unranked(tensor.String))
		return nil
	}
	if len(a.Dims) < len(b.Dims) {
		a, b = b, a
	}
	dims := slices.Clone(a.Dims)
	for i, d := range b.Dims {
		k := len(dims) - len(b.Dims) + i
		dims[k] = ir.Broadcast(dims[k], d)
	}
	x.Set(0, ir.TensorOf(tensor.String, dims...))
	return nil
}

func evalStringConcat(c *Call) error { return c.done(ref.StringConcat(c.In(0), c.In(1))) }

func inferStringSplit(x *Inference) error {
	t := x.In(0)
	x.Set(1, t.WithDType(tensor.Int64))
	if t.Rank() >= 0 {
		t = t.WithDims(append(slices.Clone(t.Dims), x.Fresh())...)
	}
	x.Set(0, t)
	return nil
}

func evalStringSplit(c *Call) error {
	most := -1
	if c.Has("maxsplit") {
		most = int(c.Int("maxsplit"))
	}
	pieces, counts, err := ref.StringSplit(c.In(0), c.Str("delimiter"), most)
	if err != nil {
		return err
	}
	c.Set(0, pieces)
	c.Set(1, counts)
	return nil
}

func inferStringNormalizer(x *Inference) error {
	switch t := x.In(0); {
	case t.Rank() < 0:
		x.Set(0, t)
	case t.Rank() == 1:
		x.Set(0, t.WithDims(x.Fresh()))
	case t.Rank() == 2:
		x.Set(0, t.WithDims(ir.Const(1), x.Fresh()))
	default:
		return x.Errorf("%s must be [C] or [1,C]", t)
	}
	return nil
}

func evalStringNormalizer(c *Call) error {
	return c.done(ref.StringNormalizer(c.In(0), c.Str("case_change_action"), c.Bool("is_case_sensitive"), c.Strs("stopwords")))
}

func inferRegexFullMatch(x *Inference) error {
	x.Set(0, x.In(0).WithDType(tensor.Bool))
	return nil
}

func evalRegexFullMatch(c *Call) error { return c.done(ref.RegexFullMatch(c.In(0), c.Str("pattern"))) }

func inferTfIdf(x *Inference) error {
	t := x.In(0)
	if t.Rank() < 0 {
		x.Set(0, ir.Unranked(tensor.Float32))
		return nil
	}
	if t.Rank() != 1 && t.Rank() != 2 {
		return x.Errorf("%s must be [C] or [N,C]", t)
	}
	columns := int64(0)
	for _, c := range x.Ints("ngram_indexes") {
		columns = max(columns, c+1)
	}
	x.Set(0, ir.TensorOf(tensor.Float32, append(slices.Clone(t.Dims[:t.Rank()-1]), ir.Const(columns))...))
	return nil
}

func evalTfIdf(c *Call) error {
	pool := c.Strs("pool_strings")
	if pool == nil {
		for _, n := range c.Ints("pool_int64s") {
			pool = append(pool, strconv.FormatInt(n, 10))
		}
	}
	y, err := ref.TfIdfVectorizer(c.In(0), ref.NGrams{
		Pool: pool, Counts: c.Ints("ngram_counts"), Indexes: c.Ints("ngram_indexes"), Weights: c.Floats("weights"),
		MinLen: int(c.Int("min_gram_length")), MaxLen: int(c.Int("max_gram_length")), MaxSkip: int(c.Int("max_skip_count")), Mode: c.Str("mode"),
	})
	if err != nil {
		return err
	}
	c.Set(0, y)
	return nil
}
