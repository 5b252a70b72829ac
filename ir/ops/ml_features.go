package ops

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// The operators of ai.onnx.ml that prepare features.
func init() {
	add(map[string]Impl{
		"ml.ArrayFeatureExtractor": {Infer: inferExtractor, Eval: one(func(c *Call) (tensor.Value, error) { return ref.ArrayFeatureExtractor(c.In(0), c.In(1)) })},
		"ml.Binarizer":             {Infer: asFirst, Eval: one(func(c *Call) (tensor.Value, error) { return ref.Binarizer(c.In(0), c.float("threshold")), nil })},
		"ml.CastMap":               {Infer: inferCastMap, Eval: one(castMap)},
		"ml.CategoryMapper":        {Infer: inferCategoryMapper, Eval: one(categoryMapper)},
		"ml.DictVectorizer":        {Infer: inferDictVectorizer, Eval: one(dictVectorizer)},
		"ml.FeatureVectorizer":     {Infer: inferFeatureVectorizer, Eval: one(featureVectorizer)},
		"ml.Imputer":               {Infer: asFirst, Eval: one(imputer)},
		"ml.LabelEncoder":          {Infer: inferLabelEncoder, Eval: one(labelEncoder), Upgrades: []Upgrade{{To: 2, Do: classesToKeys}}},
		"ml.Normalizer":            {Infer: asFloats, Eval: one(func(c *Call) (tensor.Value, error) { return ref.Normalizer(c.In(0), c.Str("norm")) })},
		"ml.OneHotEncoder":         {Infer: inferOneHotEncoder, Eval: one(oneHotEncoder)},
		"ml.Scaler":                {Infer: asFloats, Eval: one(scaler)},
		"ml.ZipMap":                {Infer: inferZipMap, Eval: one(zipMap)},
	})
}

// one adapts a function that computes the only result.
func one(f func(c *Call) (tensor.Value, error)) func(c *Call) error {
	return func(c *Call) error {
		v, err := f(c)
		if err != nil {
			return err
		}
		c.Set(0, v)
		return nil
	}
}

// asFloats is the inference of ops whose result has the operand's shape and
// float elements.
func asFloats(x *Inference) error {
	x.Set(0, x.In(0).WithDType(tensor.Float32))
	return nil
}

// list returns a list attribute that comes as ints or as strings, the one
// that is given, as a tensor; nil where neither is.
func (a attrs) list(ints, strings string) *tensor.Tensor {
	if v := a.Ints(ints); len(v) > 0 {
		return tensor.Int64s(v)
	}
	if v := a.Strs(strings); len(v) > 0 {
		return tensor.StringsOf(v, len(v))
	}
	return nil
}

// needed is list for what the operator can not do without.
func (a attrs) needed(what, ints, strings string) (*tensor.Tensor, error) {
	if t := a.list(ints, strings); t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("there are no %s", what)
}

func inferExtractor(x *Inference) error {
	t, columns := x.In(0), x.In(1)
	if t.Rank() < 0 {
		x.Set(0, t)
		return nil
	}
	n := x.Fresh()
	if columns.Rank() >= 0 {
		n = columns.NumElements()
	}
	dims := []ir.Dim{ir.Const(1), n}
	if t.Rank() > 1 {
		dims = append(slices.Clone(t.Dims[:t.Rank()-1]), n)
	}
	x.Set(0, t.WithDims(dims...))
	return nil
}

// theMap returns operand i, which must be a map.
func (c *Call) theMap(i int) *tensor.Map {
	m, ok := c.Value(i).(*tensor.Map)
	if !ok || m.Values == nil {
		panic(failure{c.Errorf("operand %d is no map", i)})
	}
	return m
}

var castTypes = map[string]tensor.DType{"TO_FLOAT": tensor.Float32, "TO_STRING": tensor.String, "TO_INT64": tensor.Int64}

func inferCastMap(x *Inference) error {
	d, ok := castTypes[x.Str("cast_to")]
	if !ok {
		return x.Errorf("cast_to %q is not one of TO_FLOAT, TO_STRING, TO_INT64", x.Str("cast_to"))
	}
	n := x.Fresh()
	if x.Str("map_form") == "SPARSE" {
		n = ir.Const(x.Int("max_map"))
	}
	x.Set(0, ir.TensorOf(d, ir.Const(1), n))
	return nil
}

func castMap(c *Call) (tensor.Value, error) {
	size := -1
	if c.Str("map_form") == "SPARSE" {
		if size = int(c.Int("max_map")); size < 0 {
			return nil, c.Errorf("max_map is %d", size)
		}
	}
	return ref.CastMap(c.theMap(0), castTypes[c.Str("cast_to")], size)
}

func inferCategoryMapper(x *Inference) error {
	d := tensor.String
	if x.In(0).DType == tensor.String {
		d = tensor.Int64
	}
	x.Set(0, x.In(0).WithDType(d))
	return nil
}

func categoryMapper(c *Call) (tensor.Value, error) {
	ints, strs := c.Ints("cats_int64s"), c.Strs("cats_strings")
	numbers, names := tensor.Int64s(ints, len(ints)), tensor.StringsOf(strs, len(strs))
	if c.In(0).DType == tensor.String {
		return ref.LabelEncoder(c.In(0), names, numbers, tensor.Int64s([]int64{c.Int("default_int64")}))
	}
	return ref.LabelEncoder(c.In(0), numbers, names, tensor.StringsOf([]string{c.Str("default_string")}, 1))
}

func inferDictVectorizer(x *Inference) error {
	v := x.list("int64_vocabulary", "string_vocabulary")
	if v == nil {
		return x.Errorf("there is no vocabulary")
	}
	x.Set(0, ir.TensorOf(x.elem(0).DType, ir.Const(1), ir.Const(int64(v.Len()))))
	return nil
}

func dictVectorizer(c *Call) (tensor.Value, error) {
	return ref.DictVectorizer(c.theMap(0), c.list("int64_vocabulary", "string_vocabulary"))
}

func inferFeatureVectorizer(x *Inference) error {
	total := int64(0)
	for _, n := range x.Ints("inputdimensions") {
		total += n
	}
	rows := ir.Const(1)
	if t := x.In(0); t.Rank() == 2 {
		rows = t.Dims[0]
	} else if t.Rank() < 0 {
		rows = x.Fresh()
	}
	x.Set(0, ir.TensorOf(tensor.Float32, rows, ir.Const(total)))
	return nil
}

func featureVectorizer(c *Call) (tensor.Value, error) {
	xs := make([]*tensor.Tensor, c.NumIn())
	for i := range xs {
		xs[i] = c.In(i)
	}
	return ref.FeatureVectorizer(xs, intsOf(c.Ints("inputdimensions")))
}

func imputer(c *Call) (tensor.Value, error) {
	missing, values := c.float("replaced_value_float"), floatsOf(c.Floats("imputed_value_floats"))
	if len(values) == 0 {
		missing = float64(c.Int("replaced_value_int64"))
		for _, n := range c.Ints("imputed_value_int64s") {
			values = append(values, float64(n))
		}
	}
	return ref.Imputer(c.In(0), missing, values)
}

func scaler(c *Call) (tensor.Value, error) {
	offset, scale := floatsOf(c.Floats("offset")), floatsOf(c.Floats("scale"))
	if len(offset) == 0 {
		offset = []float64{0}
	}
	if len(scale) == 0 {
		scale = []float64{1}
	}
	return ref.Scaler(c.In(0), offset, scale)
}

// side returns the keys or the values of a LabelEncoder, nil where there are none.
func (a attrs) side(name string) *tensor.Tensor {
	if t := a.Tensor(name + "_tensor"); t != nil {
		return t
	}
	if v := a.Floats(name + "_floats"); len(v) > 0 {
		return tensor.Float32s(v, len(v))
	}
	return a.list(name+"_int64s", name+"_strings")
}

// sides returns the keys and the values of a LabelEncoder.
func (a attrs) sides() (keys, values *tensor.Tensor, err error) {
	if keys, values = a.side("keys"), a.side("values"); keys == nil || values == nil {
		err = errors.New("keys or values are missing")
	}
	return keys, values, err
}

func inferLabelEncoder(x *Inference) error {
	_, values, err := x.sides()
	if err != nil {
		return err
	}
	x.Set(0, x.In(0).WithDType(values.DType))
	return nil
}

func labelEncoder(c *Call) (tensor.Value, error) {
	keys, values, err := c.sides()
	if err != nil {
		return nil, err
	}
	standard := c.Tensor("default_tensor")
	if standard == nil {
		standard = tensor.New(values.DType, 1)
		switch values.DType {
		case tensor.String:
			standard.Strings[0] = c.Str("default_string")
		case tensor.Float32:
			tensor.Of[float32](standard)[0] = c.Float("default_float")
		case tensor.Float64:
			tensor.Of[float64](standard)[0] = math.Copysign(0, -1)
		case tensor.Int64:
			tensor.Of[int64](standard)[0] = c.Int("default_int64")
		default: // -1 in any width of signed integers
			for i := range standard.Data {
				standard.Data[i] = 0xff
			}
		}
	}
	return ref.LabelEncoder(c.In(0), keys, values, standard)
}

// classesToKeys writes LabelEncoder's classes, places in a list of strings,
// as keys and values.
func classesToKeys(_ *ir.Builder, op *ir.Op) error {
	classes, _ := op.Attrs.Get("classes_strings").([]string)
	places := make([]int64, len(classes))
	for i := range places {
		places[i] = int64(i)
	}
	keys, values := "strings", "int64s"
	if op.Operand(0).Type.DType == tensor.Int64 {
		keys, values = values, keys
	}
	set := func(side, kind string) {
		if kind == "strings" {
			op.Attrs.Set(side+"_strings", classes)
		} else {
			op.Attrs.Set(side+"_int64s", places)
		}
	}
	set("keys", keys)
	set("values", values)
	op.Attrs.Delete("classes_strings")
	return nil
}

func inferOneHotEncoder(x *Inference) error {
	cats, err := x.needed("categories", "cats_int64s", "cats_strings")
	if err != nil {
		return err
	}
	t := x.In(0).WithDType(tensor.Float32)
	if t.Rank() >= 0 {
		t = t.WithDims(append(slices.Clone(t.Dims), ir.Const(int64(cats.Len())))...)
	}
	x.Set(0, t)
	return nil
}

func oneHotEncoder(c *Call) (tensor.Value, error) {
	cats, err := c.needed("categories", "cats_int64s", "cats_strings")
	if err != nil {
		return nil, err
	}
	return ref.OneHotEncoder(c.In(0), cats, !c.Bool("zeros"))
}

func inferZipMap(x *Inference) error {
	labels, err := x.needed("labels", "classlabels_int64s", "classlabels_strings")
	if err != nil {
		return err
	}
	x.Set(0, ir.SequenceOf(ir.MapOf(labels.DType, ir.TensorOf(tensor.Float32))))
	return nil
}

func zipMap(c *Call) (tensor.Value, error) {
	labels, err := c.needed("labels", "classlabels_int64s", "classlabels_strings")
	if err != nil {
		return nil, err
	}
	return ref.ZipMap(c.In(0), labels)
}
