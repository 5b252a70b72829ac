package ref

import (
	"errors"
	"fmt"

	"github.com/hone-ml/hone/tensor"
)

// Conv computes ONNX's Conv: x is [N,C,spatial...], w is [M,C/group,kernel...],
// b is [M] or nil; the result is [N,M,out...]. A nil win.Kernel is taken from w.
// Images are unfolded block by block (im2col) and multiplied in float64.
func Conv(x, w, b *tensor.Tensor, win Window, group int) (*tensor.Tensor, error) {
	c, err := newConv(x.Shape, w.Shape, win, group)
	if err != nil {
		return nil, err
	}
	var bias []float64
	if b != nil {
		if bias = Float64s(b); len(bias) != c.m {
			return nil, fmt.Errorf("the bias is %s, the filter has %d output channels", b, c.m)
		}
	}
	y, err := c.run(Float64s(x), Float64s(w), bias)
	if err != nil {
		return nil, err
	}
	return fromFloat64s(x.DType, y, c.shape()...), nil
}

// conv is a convolution of known shapes.
type conv struct {
	*resolved
	n, ch, m, group int
	pixels, area    int // input positions a channel, kernel positions
	outs            int // output positions
}

func newConv(x, w []int, win Window, group int) (*conv, error) {
	if len(x) < 3 || len(w) != len(x) {
		return nil, fmt.Errorf("input %v and filter %v must both be [_,_,spatial...]", x, w)
	}
	if win.Kernel == nil {
		win.Kernel = w[2:]
	}
	for i, k := range win.Kernel {
		if i+2 >= len(w) || w[i+2] != k {
			return nil, fmt.Errorf("kernel_shape %v does not fit the filter %v", win.Kernel, w)
		}
	}
	if group < 1 || w[0]%group != 0 || x[1] != w[1]*group {
		return nil, fmt.Errorf("input %v has %d channels, filter %v in %d groups needs %d", x, x[1], w, group, w[1]*group)
	}
	r, err := win.over(x[2:])
	if err != nil {
		return nil, err
	}
	c := &conv{resolved: r, n: x[0], ch: w[1], m: w[0], group: group, pixels: product(x[2:]), area: product(w[2:])}
	if c.outs, err = tensor.NumElements(r.out); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *conv) shape() []int { return append([]int{c.n, c.m}, c.out...) }

// run computes [n,m,out...] from x [n,ch*group,in...] and w [m,ch,kernel...].
func (c *conv) run(x, w, bias []float64) ([]float64, error) {
	return c.multiply(w, bias, func(image, g int) operandB {
		return c.unfold(x[(image*c.group+g)*c.ch*c.pixels:])
	})
}

// multiply computes the convolution, given what unfolds one group of one image
// to a matrix of ch*area rows and outs columns.
func (c *conv) multiply(w, bias []float64, columns func(image, group int) operandB) ([]float64, error) {
	y, err := newFloats(c.shape())
	if err != nil {
		return nil, err
	}
	for i := range y {
		if bias != nil {
			y[i] = bias[i/c.outs%c.m]
		}
	}
	depth, m := c.ch*c.area, c.m/c.group
	parallel(c.n*c.group, func(t int) {
		image, g := t/c.group, t%c.group
		left := func(dst []float64, i, rows, k, kc int) {
			for r := range rows {
				copy(dst[r*kc:(r+1)*kc], w[(g*m+i+r)*depth+k:])
			}
		}
		gemmF64(m, c.outs, depth, left, columns(image, g), y[(image*c.m+g*m)*c.outs:][:m*c.outs])
	})
	return y, nil
}

// unfold returns the im2col matrix of some channels: row (channel, kernel
// position), column output position.
func (c *conv) unfold(x []float64) operandB {
	last := len(c.in) - 1
	width, outWidth, stride := c.in[last], c.out[last], c.strides[last]
	return func(dst []float64, k, depth, j, cols int) {
		o, kk := make([]int, last+1), make([]int, last+1)
		for row := range depth {
			ch := (k + row) / c.area
			indexOf(kk, (k+row)%c.area, c.kernel)
			line := dst[row*cols : (row+1)*cols]
			indexOf(o, j, c.out)
			for len(line) > 0 {
				run := line[:min(len(line), outWidth-o[last])]
				src, ok := ch, true
				for d := range last {
					p := c.at(d, o[d], kk[d])
					ok = ok && p >= 0 && p < c.in[d]
					src = src*c.in[d] + p
				}
				if !ok {
					clear(run)
				} else {
					gather(run, x[src*width:(src+1)*width], c.at(last, o[last], kk[last]), stride)
				}
				line = line[len(run):]
				o[last] = outWidth - 1
				next(o, c.out)
			}
		}
	}
}

// gather copies every stride-th element of src from position p on; positions
// outside of src read as zero.
func gather(dst, src []float64, p, stride int) {
	for i := range dst {
		if p >= 0 && p < len(src) {
			dst[i] = src[p]
		} else {
			dst[i] = 0
		}
		p += stride
	}
}

// indexOf writes the multi-index of position p in a row-major shape.
func indexOf(index []int, p int, shape []int) {
	for i := len(shape) - 1; i >= 0; i-- {
		index[i] = p % shape[i]
		p /= shape[i]
	}
}

// CausalConv computes ONNX's CausalConvWithState: a depthwise convolution over
// [batch,channels,length] that sees the past only. state holds the k-1 positions
// before x, nil for zeros; the second result holds the last k-1 of both.
func CausalConv(x, w, b, state *tensor.Tensor, activation string) (y, present *tensor.Tensor, err error) {
	if x.Rank() != 3 || w.Rank() != 3 || w.Shape[2] < 1 || w.Shape[1] != 1 || w.Shape[0] != x.Shape[1] {
		return nil, nil, fmt.Errorf("input %s must be [batch,channels,length], filter %s [channels,1,k]", x, w)
	}
	n, ch, length, past := x.Shape[0], x.Shape[1], x.Shape[2], w.Shape[2]-1
	var before []float64
	if state != nil {
		if before = Float64s(state); len(before) != n*ch*past {
			return nil, nil, fmt.Errorf("past_state %s must be [%d,%d,%d]", state, n, ch, past)
		}
	}
	padded, err := newFloats([]int{n, ch, past + length})
	if err != nil {
		return nil, nil, err
	}
	tail := make([]float64, n*ch*past)
	now := Float64s(x)
	for i := range n * ch {
		row := padded[i*(past+length):][:past+length]
		if before != nil {
			copy(row, before[i*past:(i+1)*past])
		}
		copy(row[past:], now[i*length:(i+1)*length])
		copy(tail[i*past:(i+1)*past], row[length:])
	}
	c, err := newConv([]int{n, ch, past + length}, w.Shape, Window{}, ch)
	if err != nil {
		return nil, nil, err
	}
	var bias []float64
	if b != nil {
		if bias = Float64s(b); len(bias) != ch {
			return nil, nil, fmt.Errorf("bias %s must be [%d]", b, ch)
		}
	}
	out, err := c.run(padded, Float64s(w), bias)
	if err != nil {
		return nil, nil, err
	}
	switch activation {
	case "", "none":
	case "silu", "swish":
		for i, v := range out {
			out[i] = v * sigmoid(v)
		}
	default:
		return nil, nil, errors.New("activation must be silu, swish or none, not " + activation)
	}
	return fromFloat64s(x.DType, out, x.Shape...), fromFloat64s(x.DType, tail, n, ch, past), nil
}
