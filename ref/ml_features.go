package ref

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/hone-ml/hone/tensor"
)

// ArrayFeatureExtractor takes the given columns of the last axis.
func ArrayFeatureExtractor(x, columns *tensor.Tensor) (*tensor.Tensor, error) {
	if x.Rank() == 0 {
		return nil, fmt.Errorf("%s has no columns", x)
	}
	y, err := Gather(x, columns.Reshaped(columns.Len()), x.Rank()-1)
	if err == nil && x.Rank() == 1 {
		y = y.Reshaped(1, columns.Len())
	}
	return y, err
}

// Binarizer gives 1 for elements over the threshold, else 0.
func Binarizer(x *tensor.Tensor, threshold float64) *tensor.Tensor {
	v := make([]float64, x.Len())
	for i, e := range Float64s(x) {
		if e > threshold {
			v[i] = 1
		}
	}
	return fromFloat64s(x.DType, v, x.Shape...)
}

// perColumn returns the value of each column of the last axis; one value
// serves all of them.
func perColumn(what string, x *tensor.Tensor, vals []float64) (func(i int) float64, error) {
	columns := 1
	if x.Rank() > 0 {
		columns = x.Shape[x.Rank()-1]
	}
	if len(vals) == 1 {
		return func(int) float64 { return vals[0] }, nil
	}
	if len(vals) != columns {
		return nil, fmt.Errorf("%d values of %s for %d columns", len(vals), what, columns)
	}
	return func(i int) float64 { return vals[i%columns] }, nil
}

// Imputer replaces elements equal to missing (or NaN, where that is NaN) by
// their column's value.
func Imputer(x *tensor.Tensor, missing float64, values []float64) (*tensor.Tensor, error) {
	value, err := perColumn("imputed_value", x, values)
	if err != nil {
		return nil, err
	}
	v := slices.Clone(Float64s(x))
	for i, e := range v {
		if e == missing || math.IsNaN(e) && math.IsNaN(missing) {
			v[i] = value(i)
		}
	}
	return fromFloat64s(x.DType, v, x.Shape...), nil
}

// Scaler computes (x - offset) * scale, in float32.
func Scaler(x *tensor.Tensor, offset, scale []float64) (*tensor.Tensor, error) {
	o, err := perColumn("offset", x, offset)
	if err != nil {
		return nil, err
	}
	s, err := perColumn("scale", x, scale)
	if err != nil {
		return nil, err
	}
	v := slices.Clone(Float64s(x))
	for i, e := range v {
		v[i] = (e - o(i)) * s(i)
	}
	return fromFloat64s(tensor.Float32, v, x.Shape...), nil
}

// Normalizer divides each row of [N,C] or [C] by its norm, MAX, L1 or L2; a
// row of norm 0 stays as it is.
func Normalizer(x *tensor.Tensor, norm string) (*tensor.Tensor, error) {
	rows, _, err := samples(x)
	if err != nil {
		return nil, err
	}
	var out []float64
	for _, row := range rows {
		n := 0.0
		for i, v := range row {
			switch norm {
			case "MAX":
				if n = max(n, v); i == 0 {
					n = v
				}
			case "L1":
				n += math.Abs(v)
			case "L2":
				n += v * v
			default:
				return nil, fmt.Errorf("norm %q is not one of MAX, L1, L2", norm)
			}
		}
		if norm == "L2" {
			n = math.Sqrt(n)
		}
		if n == 0 {
			n = 1
		}
		for _, v := range row {
			out = append(out, v/n)
		}
	}
	return fromFloat64s(tensor.Float32, out, x.Shape...), nil
}

// FeatureVectorizer puts the columns of tensors [N,C] (or [C], one row) side
// by side, each cut or padded with zeros to its size.
func FeatureVectorizer(xs []*tensor.Tensor, sizes []int) (*tensor.Tensor, error) {
	if len(sizes) != len(xs) {
		return nil, fmt.Errorf("%d sizes for %d inputs", len(sizes), len(xs))
	}
	total, n := 0, 0
	all := make([][][]float64, len(xs))
	for i, x := range xs {
		rows, _, err := samples(x)
		if err != nil {
			return nil, err
		}
		if i > 0 && len(rows) != n || sizes[i] < 0 {
			return nil, fmt.Errorf("input %d has %d rows, the first %d; its size is %d", i, len(rows), n, sizes[i])
		}
		all[i], n = rows, len(rows)
		total += sizes[i]
	}
	out, err := newFloats([]int{n, total})
	if err != nil {
		return nil, err
	}
	at := 0
	for i, rows := range all {
		for r, row := range rows {
			copy(out[r*total+at:][:sizes[i]], row)
		}
		at += sizes[i]
	}
	return fromFloat64s(tensor.Float32, out, n, total), nil
}

// Key returns element i in a form that is equal for equal elements: strings
// as they are, numbers as the shortest decimals, all NaN alike.
func Key(t *tensor.Tensor, i int) string {
	switch t.DType {
	case tensor.String:
		return t.Strings[i]
	case tensor.Int64:
		return strconv.FormatInt(tensor.Of[int64](t)[i], 10)
	case tensor.Float32:
		return strconv.FormatFloat(float64(tensor.Of[float32](t)[i])+0, 'g', -1, 32)
	}
	var v [1]float64
	readFloat64s(v[:], t, i)
	return strconv.FormatFloat(v[0]+0, 'g', -1, 64)
}

// LabelEncoder replaces each element that is among keys by the value of the
// same place, and all others by the one element of standard. The last of
// equal keys counts.
func LabelEncoder(x, keys, values, standard *tensor.Tensor) (*tensor.Tensor, error) {
	if keys.Len() != values.Len() || standard.Len() != 1 || standard.DType != values.DType {
		return nil, fmt.Errorf("keys %s, values %s and default %s do not fit", keys, values, standard)
	}
	if x.DType != keys.DType {
		return nil, fmt.Errorf("%s looked up among keys %s", x, keys)
	}
	place := map[string]int{}
	for i := range keys.Len() {
		place[Key(keys, i)] = i
	}
	all, err := Concat(0, values.Reshaped(values.Len()), standard.Reshaped(1))
	if err != nil {
		return nil, err
	}
	from := make([]int, x.Len())
	for i := range from {
		p, ok := place[Key(x, i)]
		if !ok {
			p = keys.Len()
		}
		from[i] = p
	}
	return take(all, from, 1, x.Shape...), nil
}

// OneHotEncoder gives f32[..., categories]: 1 where the element is the
// category. An element that is none gives zeros, or an error where strict.
func OneHotEncoder(x, categories *tensor.Tensor, strict bool) (*tensor.Tensor, error) {
	n := categories.Len()
	shape := append(slices.Clone(x.Shape), n)
	y, err := newResult(tensor.Float32, shape...)
	if err != nil {
		return nil, err
	}
	place := map[string]int{}
	for i := range n {
		place[Key(categories, i)] = i
	}
	if x.DType != tensor.String && x.DType != tensor.Int64 {
		v := Float64s(x)
		for i, e := range v {
			v[i] = math.Trunc(e)
		}
		x = fromFloat64s(tensor.Int64, v, x.Shape...)
	}
	for i := range x.Len() {
		if p, ok := place[Key(x, i)]; ok {
			tensor.Of[float32](y)[i*n+p] = 1
		} else if strict {
			return nil, fmt.Errorf("%q is none of the categories", Key(x, i))
		}
	}
	return y, nil
}

// mapKeys returns the keys of a map as Key writes them.
func mapKeys(m *tensor.Map) []string {
	if m.IntKeys == nil {
		return m.StringKeys
	}
	keys := make([]string, len(m.IntKeys))
	for i, k := range m.IntKeys {
		keys[i] = strconv.FormatInt(k, 10)
	}
	return keys
}

// DictVectorizer gives [1,vocabulary]: the map's value for each key of the
// vocabulary, zero or an empty string for those it lacks.
func DictVectorizer(m *tensor.Map, vocabulary *tensor.Tensor) (*tensor.Tensor, error) {
	place := map[string]int{}
	for i := range vocabulary.Len() {
		place[Key(vocabulary, i)] = i
	}
	y := tensor.New(m.Values.DType, 1, vocabulary.Len())
	for i, k := range mapKeys(m) {
		if p, ok := place[k]; ok {
			put(y, take(m.Values, []int{i}, 1, 1), []int{p}, 1)
		}
	}
	return y, nil
}

// CastMap gives [1,n]: the map's values in ascending order of its integer
// keys, or each at the place that its key says in size many (-1: dense).
func CastMap(m *tensor.Map, d tensor.DType, size int) (*tensor.Tensor, error) {
	order := make([]int, len(m.IntKeys))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return int(min(max(m.IntKeys[a]-m.IntKeys[b], -1), 1)) })
	n := size
	if size < 0 {
		n = len(order)
	}
	y, err := newResult(d, 1, n)
	if err != nil {
		return nil, err
	}
	if d == tensor.String && size >= 0 {
		for i := range y.Strings {
			y.Strings[i] = "0.f" // as ONNX Runtime fills what a sparse map lacks
		}
	}
	for rank, i := range order {
		p := rank
		if size >= 0 {
			k := m.IntKeys[i]
			if k < 0 || k >= int64(size) {
				return nil, fmt.Errorf("key %d is outside of the %d that max_map allows", k, size)
			}
			p = int(k)
		}
		if err := castElement(y, p, m.Values, i); err != nil {
			return nil, err
		}
	}
	return y, nil
}

// castElement converts between strings and numbers.
func castElement(y *tensor.Tensor, at int, x *tensor.Tensor, i int) error {
	if y.DType == tensor.String {
		y.Strings[at] = Key(x, i)
		return nil
	}
	var v float64
	if x.DType == tensor.String {
		var err error
		if v, err = strconv.ParseFloat(x.Strings[i], 64); err != nil {
			return fmt.Errorf("%q is no number", x.Strings[i])
		}
	} else {
		v = Float64s(x)[i]
	}
	if y.DType == tensor.Int64 {
		v = math.Trunc(v)
	}
	put(y, fromFloat64s(y.DType, []float64{v}, 1), []int{at}, 1)
	return nil
}

// ZipMap turns each row of f32[N,C] (or [C]) into a map from labels to the
// row's elements.
func ZipMap(x, labels *tensor.Tensor) (*tensor.Sequence, error) {
	rows, columns, err := samples(x)
	if err != nil {
		return nil, err
	}
	if columns != labels.Len() {
		return nil, fmt.Errorf("%d columns for %d labels", columns, labels.Len())
	}
	s := &tensor.Sequence{Elem: x.DType}
	for _, row := range rows {
		m := &tensor.Map{Values: fromFloat64s(x.DType, row, columns)}
		if labels.DType == tensor.String {
			m.StringKeys = labels.Strings
		} else {
			m.IntKeys = tensor.Of[int64](labels)
		}
		s.Items = append(s.Items, m)
	}
	return s, nil
}
