package ref

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/tensor"
)

// DeformConv computes ONNX's DeformConv (Dai et al., "Deformable Convolutional
// Networks", 2017, with the mask of version 2): a convolution whose sampling points are
// moved by offset [N,offsetGroup*kernel*dims,out...], read by linear interpolation with zeros
// outside, and weighted by mask [N,offsetGroup*kernel,out...] where it is not nil.
func DeformConv(x, w, offset, b, mask *tensor.Tensor, win Window, group, offsetGroup int) (*tensor.Tensor, error) {
	c, err := newConv(x.Shape, w.Shape, win, group)
	if err != nil {
		return nil, err
	}
	dims := len(c.in)
	if offsetGroup < 1 || (c.ch*group)%offsetGroup != 0 {
		return nil, fmt.Errorf("%d channels can not form %d offset groups", c.ch*group, offsetGroup)
	}
	if err := sameShape("offset", offset, append([]int{c.n, offsetGroup * c.area * dims}, c.out...)); err != nil {
		return nil, err
	}
	var weights []float64
	if mask != nil {
		if err := sameShape("mask", mask, append([]int{c.n, offsetGroup * c.area}, c.out...)); err != nil {
			return nil, err
		}
		weights = Float64s(mask)
	}
	var bias []float64
	if b != nil {
		if bias = Float64s(b); len(bias) != c.m {
			return nil, fmt.Errorf("the bias is %s, the filter has %d output channels", b, c.m)
		}
	}
	xs, moves := Float64s(x), Float64s(offset)
	perOffset := c.ch * group / offsetGroup
	columns := func(image, g int) operandB {
		return func(dst []float64, k, depth, j, cols int) {
			kk, o, at := make([]int, dims), make([]int, dims), make([]float64, dims)
			for row := range depth {
				ch := g*c.ch + (k+row)/c.area
				pos := (k + row) % c.area
				indexOf(kk, pos, c.kernel)
				og := image*offsetGroup + ch/perOffset
				plane := xs[(image*group*c.ch+ch)*c.pixels:][:c.pixels]
				for col := range cols {
					indexOf(o, j+col, c.out)
					for d := range dims {
						at[d] = float64(c.at(d, o[d], kk[d])) + moves[((og*c.area+pos)*dims+d)*c.outs+j+col]
					}
					v := multilinear(plane, c.in, at)
					if weights != nil {
						v *= weights[(og*c.area+pos)*c.outs+j+col]
					}
					dst[row*cols+col] = v
				}
			}
		}
	}
	y, err := c.multiply(Float64s(w), bias, columns)
	if err != nil {
		return nil, err
	}
	return fromFloat64s(x.DType, y, c.shape()...), nil
}

// multilinear interpolates linearly along every dim; positions outside read as
// zero.
func multilinear(x []float64, shape []int, at []float64) float64 {
	return lerp(x, shape, at, 0)
}

func lerp(x []float64, shape []int, at []float64, base int) float64 {
	if len(shape) == 0 {
		return x[base]
	}
	low := math.Floor(at[0])
	if !(low >= -1 && low < float64(shape[0])) {
		return 0 // NaN comes here too
	}
	i, f := int(low), at[0]-low
	var sum float64
	if i >= 0 {
		sum += (1 - f) * lerp(x, shape[1:], at[1:], base*shape[0]+i)
	}
	if f > 0 && i+1 < shape[0] {
		sum += f * lerp(x, shape[1:], at[1:], base*shape[0]+i+1)
	}
	return sum
}

func sameShape(what string, t *tensor.Tensor, want []int) error {
	if len(t.Shape) != len(want) {
		return fmt.Errorf("%s is %s, must have shape %v", what, t, want)
	}
	for i, d := range want {
		if t.Shape[i] != d {
			return fmt.Errorf("%s is %s, must have shape %v", what, t, want)
		}
	}
	return nil
}
