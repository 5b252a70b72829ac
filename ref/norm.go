package ref

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/tensor"
)

// Stats are the running statistics of a batch normalization.
type Stats struct{ Mean, Var *tensor.Tensor }

// BatchNorm computes ONNX's BatchNormalization (Ioffe and Szegedy, 2015) of x,
// [N,C,...], with scale, bias and statistics of [C] each.
func BatchNorm(x, scale, bias *tensor.Tensor, s Stats, epsilon float64) (*tensor.Tensor, error) {
	ch, per, err := channels(x, scale, bias, s.Mean, s.Var)
	if err != nil {
		return nil, err
	}
	v := make([]float64, x.Len())
	readFloat64s(v, x, 0)
	sc, b, mean, variance := Float64s(scale), Float64s(bias), Float64s(s.Mean), Float64s(s.Var)
	for i := range v {
		c := i / per % ch
		v[i] = (v[i]-mean[c])/math.Sqrt(variance[c]+epsilon)*sc[c] + b[c]
	}
	return fromFloat64s(x.DType, v, x.Shape...), nil
}

// BatchNormTraining is BatchNorm with the statistics of x itself; it also
// returns the running ones, moved towards them by 1-momentum.
func BatchNormTraining(x, scale, bias *tensor.Tensor, s Stats, epsilon, momentum float64) (*tensor.Tensor, Stats, error) {
	ch, per, err := channels(x, scale, bias, s.Mean, s.Var)
	if err != nil {
		return nil, Stats{}, err
	}
	v := Float64s(x)
	mean, variance := make([]float64, ch), make([]float64, ch)
	count := float64(len(v) / max(ch, 1))
	for i, e := range v {
		mean[i/per%ch] += e / count
	}
	for i, e := range v {
		d := e - mean[i/per%ch]
		variance[i/per%ch] += d * d / count
	}
	own := Stats{fromFloat64s(tensor.Float64, mean, ch), fromFloat64s(tensor.Float64, variance, ch)}
	y, err := BatchNorm(x, scale, bias, own, epsilon)
	move := func(old *tensor.Tensor, batch []float64) *tensor.Tensor {
		next := make([]float64, ch)
		for c, o := range Float64s(old) {
			next[c] = o*momentum + batch[c]*(1-momentum)
		}
		return fromFloat64s(old.DType, next, ch)
	}
	return y, Stats{move(s.Mean, mean), move(s.Var, variance)}, err
}

// channels returns the channels of [N,C,...] and the elements of one of them in
// one image, and checks that every parameter is [C].
func channels(x *tensor.Tensor, params ...*tensor.Tensor) (ch, per int, err error) {
	if x.Rank() < 1 {
		return 0, 0, fmt.Errorf("input %s must be [N,C,...]", x)
	}
	ch, per = 1, 1 // [N] has one channel
	if x.Rank() > 1 {
		ch, per = x.Shape[1], product(x.Shape[2:])
	}
	for _, p := range params {
		if p.Len() != ch {
			return 0, 0, fmt.Errorf("input %s has %d channels, a parameter is %s", x, ch, p)
		}
	}
	return ch, per, nil
}

// GroupNorm computes ONNX's GroupNormalization (Wu and He, 2018) of x,
// [N,C,...]: each image's channels, in groups, get mean 0 and variance 1, then
// scale and bias of [C]. InstanceNormalization is the case of one channel a group.
func GroupNorm(x, scale, bias *tensor.Tensor, groups int, epsilon float64) (*tensor.Tensor, error) {
	ch, per, err := channels(x, scale, bias)
	if err != nil {
		return nil, err
	}
	if groups < 1 || ch%groups != 0 {
		return nil, fmt.Errorf("%d channels can not form %d groups", ch, groups)
	}
	v := make([]float64, x.Len())
	readFloat64s(v, x, 0)
	if size := ch / groups * per; size > 0 {
		for i := 0; i < len(v); i += size {
			standardize(v[i:i+size], epsilon)
		}
	}
	sc, b := Float64s(scale), Float64s(bias)
	for i := range v {
		v[i] = v[i]*sc[i/per%ch] + b[i/per%ch]
	}
	return fromFloat64s(x.DType, v, x.Shape...), nil
}

// standardize gives v mean 0 and variance 1, as far as epsilon lets it, and
// returns the mean and the reciprocal of the standard deviation.
func standardize(v []float64, epsilon float64) (mean, inverse float64) {
	mean = Mean(v)
	variance := 0.0
	for _, x := range v {
		variance += (x - mean) * (x - mean)
	}
	inverse = 1 / math.Sqrt(variance/float64(len(v))+epsilon)
	for i := range v {
		v[i] = (v[i] - mean) * inverse
	}
	return mean, inverse
}

// LayerNorm computes ONNX's LayerNormalization (Ba et al., 2016) over the dims
// from axis on, with scale and bias that broadcast to x, bias nil for none. The
// mean and the reciprocal standard deviation have the element type stash.
func LayerNorm(x, scale, bias *tensor.Tensor, axis int, epsilon float64, stash tensor.DType) (y, mean, inverse *tensor.Tensor, err error) {
	if axis, err = axisOf(axis, x.Rank()); err != nil {
		return nil, nil, nil, err
	}
	if err := computable(stash); err != nil {
		return nil, nil, nil, err
	}
	v := make([]float64, x.Len())
	readFloat64s(v, x, 0)
	rows, size := product(x.Shape[:axis]), product(x.Shape[axis:])
	means, inverses := make([]float64, rows), make([]float64, rows)
	for i := range rows {
		means[i], inverses[i] = standardize(v[i*size:(i+1)*size], epsilon)
	}
	if err := affine(v, x.Shape, scale, bias); err != nil {
		return nil, nil, nil, err
	}
	reduced := append(append([]int{}, x.Shape[:axis]...), orOnes(nil, x.Rank()-axis)...)
	return fromFloat64s(x.DType, v, x.Shape...), fromFloat64s(stash, means, reduced...), fromFloat64s(stash, inverses, reduced...), nil
}

// RMSNorm computes ONNX's RMSNormalization (Zhang and Sennrich, 2019) over the
// dims from axis on. The result has scale's element type.
func RMSNorm(x, scale *tensor.Tensor, axis int, epsilon float64) (*tensor.Tensor, error) {
	axis, err := axisOf(axis, x.Rank())
	if err != nil {
		return nil, err
	}
	v := make([]float64, x.Len())
	readFloat64s(v, x, 0)
	size := product(x.Shape[axis:])
	for i := 0; i < len(v); i += size {
		row, squares := v[i:i+size], 0.0
		for _, e := range row {
			squares += e * e
		}
		rms := math.Sqrt(squares/float64(size) + epsilon)
		for j := range row {
			row[j] /= rms
		}
	}
	if err := affine(v, x.Shape, scale, nil); err != nil {
		return nil, err
	}
	return fromFloat64s(scale.DType, v, x.Shape...), nil
}

// affine multiplies v by scale and adds bias, which broadcast to shape.
func affine(v []float64, shape []int, scale, bias *tensor.Tensor) error {
	at, err := broadcastTo(scale.Shape, shape)
	if err != nil {
		return err
	}
	for i, s := 0, Float64s(scale); i < len(v); i++ {
		v[i] *= s[at(i)]
	}
	if bias == nil {
		return nil
	}
	if at, err = broadcastTo(bias.Shape, shape); err != nil {
		return err
	}
	for i, b := 0, Float64s(bias); i < len(v); i++ {
		v[i] += b[at(i)]
	}
	return nil
}

// broadcastTo returns a function from positions in shape to to positions in
// shape from, which must broadcast to it.
func broadcastTo(from, to []int) (func(int) int, error) {
	if len(from) > len(to) {
		return nil, fmt.Errorf("shape %v does not broadcast to %v", from, to)
	}
	lead := len(to) - len(from)
	suffix := true // from equals the last dims of to: the common case
	for i, d := range from {
		if d != 1 && d != to[lead+i] {
			return nil, fmt.Errorf("shape %v does not broadcast to %v", from, to)
		}
		suffix = suffix && d == to[lead+i]
	}
	if size := product(from); suffix && size > 0 {
		return func(i int) int { return i % size }, nil
	}
	return func(i int) int {
		p, step := 0, 1
		for d := len(from) - 1; d >= 0; d-- {
			if from[d] != 1 {
				p += i % to[lead+d] * step
			}
			step *= from[d]
			i /= to[lead+d]
		}
		return p
	}, nil
}

func axisOf(axis, rank int) (int, error) {
	if axis < -rank || axis >= rank {
		return 0, fmt.Errorf("axis %d is out of range for rank %d", axis, rank)
	}
	if axis < 0 {
		axis += rank
	}
	return axis, nil
}

// LpNorm computes ONNX's LpNormalization: x divided by its p-norm along axis,
// 0 where that is 0.
func LpNorm(x *tensor.Tensor, axis, p int) (*tensor.Tensor, error) {
	axis, err := axisOf(axis, x.Rank())
	if err != nil {
		return nil, err
	}
	v := make([]float64, x.Len())
	readFloat64s(v, x, 0)
	n, inner := x.Shape[axis], product(x.Shape[axis+1:])
	line := make([]float64, n)
	for outer := range product(x.Shape[:axis]) {
		for i := range inner {
			at := func(j int) int { return (outer*n+j)*inner + i }
			for j := range line {
				line[j] = v[at(j)]
			}
			norm := Norm(p)(line)
			for j := range line {
				if norm != 0 {
					v[at(j)] /= norm
				} else {
					v[at(j)] = 0
				}
			}
		}
	}
	return fromFloat64s(x.DType, v, x.Shape...), nil
}

// MeanVarianceNorm computes ONNX's MeanVarianceNormalization: (x - mean) /
// (deviation + 1e-9), over the given axes.
func MeanVarianceNorm(x *tensor.Tensor, axes []int) (*tensor.Tensor, error) {
	reduced := append([]int{}, x.Shape...)
	for _, a := range axes {
		a, err := axisOf(a, x.Rank())
		if err != nil {
			return nil, err
		}
		reduced[a] = 1
	}
	v := make([]float64, x.Len())
	readFloat64s(v, x, 0)
	at, err := broadcastTo(reduced, x.Shape)
	if err != nil || len(v) == 0 {
		return fromFloat64s(x.DType, v, x.Shape...), err
	}
	cells := product(reduced)
	count := float64(len(v) / cells)
	mean, variance := make([]float64, cells), make([]float64, cells)
	for i, e := range v {
		mean[at(i)] += e / count
	}
	for i, e := range v {
		d := e - mean[at(i)]
		variance[at(i)] += d * d / count
	}
	for i := range v {
		v[i] = (v[i] - mean[at(i)]) / (math.Sqrt(variance[at(i)]) + 1e-9)
	}
	return fromFloat64s(x.DType, v, x.Shape...), nil
}

// LRN computes ONNX's LRN (Krizhevsky et al., 2012) across the channels of
// [N,C,...]: x / (bias + alpha/size * sum of squares around it)^beta.
func LRN(x *tensor.Tensor, size int, alpha, beta, bias float64) (*tensor.Tensor, error) {
	ch, per, err := channels(x)
	if err != nil {
		return nil, err
	}
	if size < 1 {
		return nil, fmt.Errorf("size %d must be positive", size)
	}
	xs, v := Float64s(x), make([]float64, x.Len())
	for i := range v {
		c := i / per % ch
		sum := 0.0
		for k := max(0, c-(size-1)/2); k <= min(ch-1, c+size/2); k++ {
			e := xs[i+(k-c)*per]
			sum += e * e
		}
		v[i] = xs[i] / math.Pow(bias+alpha/float64(size)*sum, beta)
	}
	return fromFloat64s(x.DType, v, x.Shape...), nil
}

// Dropout computes ONNX's Dropout in training: each element is dropped with
// probability ratio, by draw in [0,1), and the others are scaled by 1/(1-ratio).
func Dropout(x *tensor.Tensor, ratio float64, draw func() float64) (y, mask *tensor.Tensor, err error) {
	if !(ratio >= 0 && ratio < 1) {
		return nil, nil, fmt.Errorf("ratio %v must be in [0, 1)", ratio)
	}
	from, err := reals(x)
	if err != nil {
		return nil, nil, err
	}
	v := append([]float64{}, from...)
	mask = tensor.New(tensor.Bool, x.Shape...)
	for i := range v {
		if keep := draw() >= ratio; keep {
			v[i] /= 1 - ratio
			mask.Data[i] = 1
		} else {
			v[i] = 0
		}
	}
	return fromReals(x.DType, v, CastOptions{}, x.Shape...), mask, nil
}
