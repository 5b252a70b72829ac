package ref

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/tensor"
)

// Sampling is what ONNX's GridSample can be told.
type Sampling struct {
	Mode         string // nearest, linear or cubic
	Padding      string // zeros, border or reflection
	AlignCorners bool
}

// GridSample computes ONNX's GridSample (Jaderberg et al., "Spatial Transformer
// Networks", 2015): x is [N,C,in...], grid is [N,out...,len(in)] with positions in
// [-1,1], last dim first; the result is [N,C,out...].
func GridSample(x, grid *tensor.Tensor, s Sampling) (*tensor.Tensor, error) {
	dims := x.Rank() - 2
	if dims < 1 || grid.Rank() != x.Rank() || grid.Shape[0] != x.Shape[0] || grid.Shape[dims+1] != dims {
		return nil, fmt.Errorf("input %s must be [N,C,in...] and grid %s [N,out...,%d]", x, grid, dims)
	}
	g := grider{Sampling: s, in: x.Shape[2:]}
	switch s.Mode {
	case "nearest", "linear", "cubic":
	default:
		return nil, fmt.Errorf("mode %q is none of nearest, linear and cubic", s.Mode)
	}
	switch s.Padding {
	case "zeros", "border", "reflection":
	default:
		return nil, fmt.Errorf("padding_mode %q is none of zeros, border and reflection", s.Padding)
	}
	if err := mixable(x.DType); err != nil {
		return nil, err
	}
	n, ch := x.Shape[0], x.Shape[1]
	shape := append([]int{n, ch}, grid.Shape[1:dims+1]...)
	y, err := newFloats(shape)
	if err != nil {
		return nil, err
	}
	pixels, outs := product(g.in), product(shape[2:])
	if pixels == 0 && len(y) > 0 {
		return nil, fmt.Errorf("input %s has no elements to sample", x)
	}
	xs, positions := Float64s(x), Float64s(grid)
	single := grid.DType != tensor.Float64
	parallel(n*ch, func(t int) {
		plane, at := xs[t*pixels:(t+1)*pixels], make([]float64, dims)
		for i := range outs {
			p := positions[(t/ch*outs+i)*dims:][:dims]
			for d := range at {
				at[d] = g.denormalize(p[dims-1-d], d, single)
			}
			y[t*outs+i] = g.sample(plane, 0, at, 0)
		}
	})
	return fromFloat64s(x.DType, y, shape...), nil
}

type grider struct {
	Sampling
	in []int
}

// denormalize maps [-1,1] to positions along dim d, in float32 steps where the
// grid is no wider, since nearest sampling depends on the last bit.
func (g *grider) denormalize(v float64, d int, single bool) float64 {
	n := float64(g.in[d])
	var p float64
	switch {
	case single && g.AlignCorners:
		p = float64((float32(v) + 1) / 2 * float32(n-1))
	case single:
		p = float64(((float32(v)+1)*float32(n) - 1) / 2)
	case g.AlignCorners:
		p = (v + 1) / 2 * (n - 1)
	default:
		p = ((v+1)*n - 1) / 2
	}
	if g.Mode == "nearest" {
		p = math.RoundToEven(p)
	}
	lo, hi := g.border(d)
	if p < lo || p > hi {
		switch g.Padding {
		case "border":
			// A cubic kernel keeps its centre: PyTorch and ONNX Runtime move
			// only what it reads.
			if g.Mode != "cubic" {
				p = math.Min(math.Max(p, 0), n-1)
			}
		case "reflection":
			p = reflect(p, lo, hi)
		}
	}
	return p
}

// border returns the positions along dim d that -1 and 1 stand for.
func (g *grider) border(d int) (lo, hi float64) {
	if g.AlignCorners {
		return 0, float64(g.in[d] - 1)
	}
	return -0.5, float64(g.in[d]) - 0.5
}

// reflect folds p into [lo, hi].
func reflect(p, lo, hi float64) float64 {
	width := hi - lo
	if width <= 0 {
		return lo
	}
	r := math.Mod(math.Abs(p-lo), 2*width)
	if r > width {
		r = 2*width - r
	}
	return lo + r
}

// sample interpolates along dim d and those behind it; base is the position of
// the dims before.
func (g *grider) sample(plane []float64, base int, at []float64, d int) float64 {
	if d == len(g.in) {
		return plane[base]
	}
	read := func(p float64) float64 {
		i := g.index(p, d)
		if i < 0 {
			return 0
		}
		return g.sample(plane, base*g.in[d]+i, at, d+1)
	}
	floor := math.Floor(at[d])
	f := at[d] - floor
	switch g.Mode {
	case "nearest":
		return read(at[d])
	case "linear":
		return (1-f)*read(floor) + f*read(floor+1)
	}
	sum := 0.0
	for i := -1; i <= 2; i++ {
		sum += cubic(math.Abs(f-float64(i)), -0.75) * read(floor+float64(i))
	}
	return sum
}

// index returns the element along dim d that stands for position p, -1 where
// it reads as zero.
func (g *grider) index(p float64, d int) int {
	n := g.in[d]
	switch g.Padding {
	case "border":
		p = math.Min(math.Max(p, 0), float64(n-1))
	case "reflection":
		lo, hi := g.border(d)
		p = math.Trunc(reflect(p, lo, hi))
	}
	if !(p >= 0 && p < float64(n)) {
		return -1
	}
	return int(p)
}

// AffineGrid computes ONNX's AffineGrid: theta, [N,dims,dims+1], applied to the
// positions of an image of size [N,C,spatial...]; the result is
// [N,spatial...,dims].
func AffineGrid(theta *tensor.Tensor, size []int, alignCorners bool) (*tensor.Tensor, error) {
	dims := len(size) - 2
	if (dims != 2 && dims != 3) || theta.Rank() != 3 || theta.Shape[0] != size[0] || theta.Shape[1] != dims || theta.Shape[2] != dims+1 {
		return nil, fmt.Errorf("theta %s does not fit an image of size %v", theta, size)
	}
	shape := append(append([]int{size[0]}, size[2:]...), dims)
	y, err := newFloats(shape)
	if err != nil {
		return nil, err
	}
	th, at := Float64s(theta), make([]int, dims)
	p := make([]float64, dims+1) // x, y, z, 1
	p[dims] = 1
	pixels := product(size[2:])
	for i := range len(y) / dims {
		for d, k := range at {
			n := float64(size[2+d])
			switch {
			case !alignCorners:
				p[dims-1-d] = (2*float64(k)+1)/n - 1
			case n > 1:
				p[dims-1-d] = 2*float64(k)/(n-1) - 1
			default:
				p[dims-1-d] = 0
			}
		}
		for r := range dims {
			row := th[(i/pixels*dims+r)*(dims+1):][:dims+1]
			for k, w := range row {
				y[i*dims+r] += w * p[k]
			}
		}
		next(at, size[2:])
	}
	return fromFloat64s(theta.DType, y, shape...), nil
}
