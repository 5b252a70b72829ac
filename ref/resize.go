package ref

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-ml/hone/tensor"
)

// Resampling is what ONNX's Resize can be told. One of Scales and Sizes is set;
// they and Roi (starts, then ends) follow Axes, or all dims where that is nil.
type Resampling struct {
	Axes           []int
	Scales         []float64
	Sizes          []int
	Roi            []float64
	Mode           string // nearest, linear or cubic
	NearestMode    string
	Transform      string // coordinate_transformation_mode
	Policy         string // keep_aspect_ratio_policy
	CubicA         float64
	Extrapolation  float64
	ExcludeOutside bool
	Antialias      bool
}

// Sizing returns the dims of the result for an input with dims in, and the
// scale along each.
func (o *Resampling) Sizing(in []int) (out []int, scales []float64, err error) {
	axes, err := o.axes(len(in))
	if err != nil {
		return nil, nil, err
	}
	out = append([]int{}, in...)
	scales = make([]float64, len(in))
	for i := range scales {
		scales[i] = 1
	}
	switch {
	case len(o.Sizes) > 0 && len(o.Scales) > 0:
		return nil, nil, errors.New("scales and sizes exclude each other")
	case len(o.Sizes) > 0:
		if len(o.Sizes) != len(axes) {
			return nil, nil, fmt.Errorf("sizes %v do not fit axes %v", o.Sizes, axes)
		}
		for i, a := range axes {
			if o.Sizes[i] < 0 {
				return nil, nil, fmt.Errorf("sizes %v must not be negative", o.Sizes)
			}
			out[a], scales[a] = o.Sizes[i], float64(o.Sizes[i])/float64(in[a])
		}
		o.keepAspect(axes, in, out, scales)
	default:
		if len(o.Scales) != len(axes) {
			return nil, nil, fmt.Errorf("scales %v do not fit axes %v", o.Scales, axes)
		}
		for i, a := range axes {
			size := float64(in[a]) * o.Scales[i]
			if !(o.Scales[i] > 0) || size > math.MaxInt32 {
				return nil, nil, fmt.Errorf("scale %v of a dim of %d is out of range", o.Scales[i], in[a])
			}
			out[a], scales[a] = int(size), o.Scales[i]
		}
	}
	return out, scales, nil
}

func (o *Resampling) axes(rank int) ([]int, error) {
	axes := make([]int, 0, rank)
	if o.Axes == nil {
		for i := range rank {
			axes = append(axes, i)
		}
		return axes, nil
	}
	for _, a := range o.Axes {
		a, err := axisOf(a, rank)
		if err != nil {
			return nil, err
		}
		axes = append(axes, a)
	}
	return axes, nil
}

// keepAspect makes all scales the smallest or the largest one, as the policy
// says, and rounds the sizes half up.
func (o *Resampling) keepAspect(axes, in, out []int, scales []float64) {
	if (o.Policy != "not_larger" && o.Policy != "not_smaller") || len(axes) == 0 {
		return
	}
	scale := scales[axes[0]]
	for _, a := range axes {
		if o.Policy == "not_larger" {
			scale = math.Min(scale, scales[a])
		} else {
			scale = math.Max(scale, scales[a])
		}
	}
	for _, a := range axes {
		scales[a], out[a] = scale, int(scale*float64(in[a])+0.5)
	}
}

// Resize computes ONNX's Resize. Interpolation is separable, so that one axis
// is done after the other.
func Resize(x *tensor.Tensor, o Resampling) (*tensor.Tensor, error) {
	out, scales, err := o.Sizing(x.Shape)
	if err != nil {
		return nil, err
	}
	n, err := tensor.NumElements(out)
	if err != nil {
		return nil, err
	}
	if n > maxFloats {
		return nil, fmt.Errorf("a result of shape %v is too large", out)
	}
	if n == 0 {
		return tensor.New(x.DType, out...), nil
	}
	axes, _ := o.axes(x.Rank())
	taps, err := o.filters(axes, x.Shape, out, scales)
	if err != nil {
		return nil, err
	}
	if o.Mode == "nearest" && o.Transform != "tf_crop_and_resize" {
		return pick(x, out, taps), nil
	}
	if err := mixable(x.DType); err != nil {
		return nil, err
	}
	v, shape := Float64s(x), append([]int{}, x.Shape...)
	for _, a := range axes {
		if taps[a] != nil {
			v = resample(v, shape, a, taps[a], o.Extrapolation)
			shape[a] = out[a]
		}
	}
	return fromFloat64s(x.DType, v, out...), nil
}

// Filters returns the dims of the result for an input with dims in, none of
// them 0, and for each axis how its positions are made; nil where it stays as it is.
func (o *Resampling) Filters(in []int) (out []int, filters [][]Filter, err error) {
	out, scales, err := o.Sizing(in)
	if err != nil {
		return nil, nil, err
	}
	axes, err := o.axes(len(in))
	if err != nil {
		return nil, nil, err
	}
	filters, err = o.filters(axes, in, out, scales)
	return out, filters, err
}

func (o *Resampling) filters(axes, in, out []int, scales []float64) ([][]Filter, error) {
	if len(o.Roi) == 0 {
		o.Roi = nil
	} else if len(o.Roi) != 2*len(axes) {
		return nil, fmt.Errorf("roi has %d elements, needs %d", len(o.Roi), 2*len(axes))
	}
	taps := make([][]Filter, len(in))
	for i, a := range axes {
		start, end := 0.0, 1.0
		if o.Roi != nil {
			start, end = o.Roi[i], o.Roi[len(axes)+i]
		}
		if scales[a] == 1 && out[a] == in[a] && start == 0 && end == 1 {
			continue
		}
		if in[a] == 0 && out[a] > 0 {
			return nil, fmt.Errorf("an empty dim can not be resized to %d", out[a])
		}
		var err error
		if taps[a], err = o.taps(in[a], out[a], scales[a], start, end); err != nil {
			return nil, err
		}
	}
	return taps, nil
}

// mixable reports an error for element types that can not be interpolated.
func mixable(d tensor.DType) error {
	if (!d.IsFloat() && !d.IsInt()) || d.IsSubByte() || isSmallFloat(d) {
		return fmt.Errorf("%s elements can not be interpolated", d)
	}
	return nil
}

// Filter is how one output position along an axis is made: from the inputs at
// First, First+1 ..., clamped to the axis, times their weights. No weights mean
// the extrapolation value.
type Filter struct {
	First   int
	Weights []float64
}

func (o *Resampling) taps(in, out int, scale, start, end float64) ([]Filter, error) {
	at, err := o.origin(in, out, scale, start, end)
	if err != nil {
		return nil, err
	}
	taps := make([]Filter, out)
	for i := range taps {
		x := at(float64(i))
		if o.Transform == "tf_crop_and_resize" && !(x >= 0 && x <= float64(in-1)) {
			continue
		}
		if taps[i], err = o.kernel(x, scale); err != nil {
			return nil, err
		}
		if !o.ExcludeOutside {
			continue
		}
		sum := 0.0
		for j := range taps[i].Weights {
			if p := taps[i].First + j; p < 0 || p >= in {
				taps[i].Weights[j] = 0
			}
			sum += taps[i].Weights[j]
		}
		for j := range taps[i].Weights {
			if sum != 0 {
				taps[i].Weights[j] /= sum
			}
		}
	}
	return taps, nil
}

// origin returns the function from positions in the result to positions in the
// input along an axis.
func (o *Resampling) origin(in, out int, scale, start, end float64) (func(float64) float64, error) {
	length := float64(in)
	resized := scale * length
	half := func(i float64) float64 { return (i+0.5)/scale - 0.5 }
	switch o.Transform {
	case "half_pixel", "":
		return half, nil
	case "pytorch_half_pixel":
		if resized == 1 {
			return func(float64) float64 { return -0.5 }, nil
		}
		return half, nil
	case "half_pixel_symmetric":
		offset := length / 2 * (1 - float64(out)/resized)
		return func(i float64) float64 { return offset + (i+0.5)/scale - 0.5 }, nil
	case "asymmetric":
		return func(i float64) float64 { return i / scale }, nil
	case "align_corners":
		if resized == 1 {
			return func(float64) float64 { return 0 }, nil
		}
		return func(i float64) float64 { return i * (length - 1) / (resized - 1) }, nil
	case "tf_crop_and_resize":
		if o.Roi == nil {
			return nil, errors.New("tf_crop_and_resize needs roi")
		}
		// In float32, as roi is: 0.8 - 0.2 must be 0.6 for ties to be ties.
		n, span := float32(length-1), float32(end)-float32(start)
		first := float64(float32(start) * n)
		if resized == 1 {
			centre := float64(span*n/2) + first
			return func(float64) float64 { return centre }, nil
		}
		return func(i float64) float64 { return i*float64(span)*(length-1)/(resized-1) + first }, nil
	}
	return nil, fmt.Errorf("coordinate_transformation_mode %q is unknown", o.Transform)
}

// kernel returns the tap of position x.
func (o *Resampling) kernel(x, scale float64) (Filter, error) {
	floor := math.Floor(x)
	if !(math.Abs(floor) < math.MaxInt32) {
		return Filter{}, fmt.Errorf("position %v is out of range", x)
	}
	frac := x - floor
	shrink := 1.0
	if o.Antialias {
		shrink = math.Min(scale, 1)
	}
	switch o.Mode {
	case "nearest", "":
		i, err := o.nearest(x)
		return Filter{i, []float64{1}}, err
	case "linear":
		return filter(floor, frac, shrink, 1, func(d float64) float64 { return math.Max(0, 1-math.Abs(d)) })
	case "cubic":
		return filter(floor, frac, shrink, 2, func(d float64) float64 { return cubic(math.Abs(d), o.CubicA) })
	}
	return Filter{}, fmt.Errorf("mode %q is none of nearest, linear and cubic", o.Mode)
}

// filter weighs the neighbours of a position by their distance, on a kernel of
// the given support that is widened by 1/shrink.
func filter(floor, frac, shrink, support float64, weight func(float64) float64) (Filter, error) {
	first := math.Floor(-support/shrink) + 1
	if first < -1<<20 {
		return Filter{}, fmt.Errorf("a scale of %v is too small", shrink)
	}
	t := Filter{int(floor + first), make([]float64, int(2-2*first))}
	sum := 0.0
	for i := range t.Weights {
		t.Weights[i] = weight((first + float64(i) - frac) * shrink)
		sum += t.Weights[i]
	}
	if shrink != 1 {
		for i := range t.Weights {
			t.Weights[i] /= sum
		}
	}
	return t, nil
}

// cubic is Keys' convolution kernel ("Cubic convolution interpolation for
// digital image processing", 1981) at distance d.
func cubic(d, a float64) float64 {
	switch {
	case d <= 1:
		return ((a+2)*d-(a+3))*d*d + 1
	case d < 2:
		return ((d-5)*d+8)*d*a - 4*a
	}
	return 0
}

func (o *Resampling) nearest(x float64) (int, error) {
	switch o.NearestMode {
	case "round_prefer_floor", "":
		return int(math.Ceil(x - 0.5)), nil
	case "round_prefer_ceil":
		return int(math.Floor(x + 0.5)), nil
	case "floor":
		return int(math.Floor(x)), nil
	case "ceil":
		return int(math.Ceil(x)), nil
	}
	return 0, fmt.Errorf("nearest_mode %q is unknown", o.NearestMode)
}

// resample applies the taps along an axis.
func resample(x []float64, shape []int, axis int, taps []Filter, outside float64) []float64 {
	n, inner, outer := shape[axis], product(shape[axis+1:]), product(shape[:axis])
	y := make([]float64, outer*len(taps)*inner)
	parallel(outer, func(o int) {
		for i, t := range taps {
			dst := y[(o*len(taps)+i)*inner:][:inner]
			if t.Weights == nil {
				for k := range dst {
					dst[k] = outside
				}
			}
			for j, w := range t.Weights {
				if w == 0 {
					continue
				}
				src := x[(o*n+min(max(t.First+j, 0), n-1))*inner:][:inner]
				for k, v := range src {
					dst[k] += w * v
				}
			}
		}
	})
	return y
}

// pick copies, for every element of the result, the one that the taps name: it
// serves every element type. A nil entry of taps keeps the axis.
func pick(x *tensor.Tensor, out []int, taps [][]Filter) *tensor.Tensor {
	y := tensor.New(x.DType, out...)
	index, size := make([]int, len(out)), x.DType.Size()
	for i := range y.Len() {
		p := 0
		for d, n := range x.Shape {
			q := index[d]
			if taps[d] != nil {
				q = min(max(taps[d][q].First, 0), n-1)
			}
			p = p*n + q
		}
		if x.DType == tensor.String {
			y.Strings[i] = x.Strings[p]
		} else {
			copy(y.Data[i*size:(i+1)*size], x.Data[p*size:])
		}
		next(index, out)
	}
	return y
}
