package ref

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hone-ml/hone/tensor"
)

// TransposeWindow is a Window with what ConvTranspose adds to it. Where Output
// is given, it sets the pads.
type TransposeWindow struct {
	Window
	OutputPadding []int
	Output        []int // spatial dims of the result
}

// Sizes returns the spatial dims of the result and the pads before it for an
// input with spatial dims in.
func (w TransposeWindow) Sizes(in []int) (out, begin []int, err error) {
	n := len(in)
	strides, dilations := orOnes(w.Strides, n), orOnes(w.Dilations, n)
	extra, pads := w.OutputPadding, w.Pads
	if extra == nil {
		extra = make([]int, n)
	}
	same := w.AutoPad == "SAME_UPPER" || w.AutoPad == "SAME_LOWER"
	if pads == nil || same || w.AutoPad == "VALID" {
		pads = make([]int, 2*n)
	}
	want := w.Output
	if len(want) == n+2 {
		want = want[2:] // some exporters write all dims
	}
	if len(w.Kernel) != n || len(strides) != n || len(dilations) != n || len(extra) != n || len(pads) != 2*n || (want != nil && len(want) != n) {
		return nil, nil, fmt.Errorf("%d spatial dims do not fit %+v", n, w)
	}
	out, begin = make([]int, n), make([]int, n)
	for i := range n {
		if w.Kernel[i] < 1 || strides[i] < 1 || dilations[i] < 1 || extra[i] < 0 {
			return nil, nil, errors.New("kernel, strides and dilations must be positive, output_padding not negative")
		}
		full := strides[i]*(in[i]-1) + extra[i] + (w.Kernel[i]-1)*dilations[i] + 1
		switch {
		case want != nil:
			out[i] = want[i]
		case same:
			out[i] = in[i] * strides[i]
		default:
			out[i], begin[i] = full-pads[i]-pads[n+i], pads[i]
			if in[i] == 0 || out[i] < 0 {
				out[i] = 0
			}
			continue
		}
		total := max(0, full-out[i])
		begin[i] = total - total/2
		if w.AutoPad == "SAME_UPPER" {
			begin[i] = total / 2
		}
	}
	return out, begin, nil
}

// ConvTranspose computes ONNX's ConvTranspose: x is [N,C,spatial...], w is
// [C,M/group,kernel...], b is [M] or nil; the result is [N,M,out...]. It is the
// gradient of Conv with respect to its input: a product, then a fold (col2im).
func ConvTranspose(x, w, b *tensor.Tensor, win TransposeWindow, group int) (*tensor.Tensor, error) {
	if x.Rank() < 3 || w.Rank() != x.Rank() || group < 1 || x.Shape[1]%group != 0 || w.Shape[0] != x.Shape[1] {
		return nil, fmt.Errorf("input %s must be [N,C,spatial...] and filter %s [C,M/%d,kernel...]", x, w, group)
	}
	if win.Kernel == nil {
		win.Kernel = w.Shape[2:]
	}
	if !slices.Equal(win.Kernel, w.Shape[2:]) {
		return nil, fmt.Errorf("kernel_shape %v does not fit the filter %s", win.Kernel, w)
	}
	out, begin, err := win.Sizes(x.Shape[2:])
	if err != nil {
		return nil, err
	}
	n, ch, mg := x.Shape[0], x.Shape[1]/group, w.Shape[1]
	m := mg * group
	shape := append([]int{n, m}, out...)
	y, err := newFloats(shape)
	if err != nil {
		return nil, err
	}
	area, pixels, outs := product(w.Shape[2:]), product(x.Shape[2:]), product(out)
	col, err := newFloats([]int{mg, area, pixels})
	if err != nil {
		return nil, err
	}
	spatial := len(out)
	f := fold{image: out, blocks: x.Shape[2:], kernel: win.Kernel, strides: orOnes(win.Strides, spatial), dilations: orOnes(win.Dilations, spatial), begin: begin}
	xs, ws := Float64s(x), Float64s(w)
	for t := range n * group {
		g := t % group
		image := xs[t*ch*pixels:]
		filter := ws[g*ch*mg*area:]
		clear(col)
		gemmF64(mg*area, pixels, ch, func(dst []float64, i, rows, k, kc int) {
			for r := range rows {
				for p := range kc {
					dst[r*kc+p] = filter[(k+p)*mg*area+i+r]
				}
			}
		}, func(dst []float64, k, kc, j, cols int) {
			for p := range kc {
				copy(dst[p*cols:(p+1)*cols], image[(k+p)*pixels+j:])
			}
		}, col)
		for c := range mg {
			f.add(y[(t*mg+c)*outs:][:outs], col[c*area*pixels:])
		}
	}
	if b != nil {
		bias := Float64s(b)
		if len(bias) != m {
			return nil, fmt.Errorf("the bias is %s, the result has %d channels", b, m)
		}
		for i := range y {
			y[i] += bias[i/outs%m]
		}
	}
	return fromFloat64s(x.DType, y, shape...), nil
}

// Col2Im computes ONNX's Col2Im: x is [N,C*prod(block),L], the result is
// [N,C,image...], where each element is the sum of the columns' that cover it.
func Col2Im(x *tensor.Tensor, image, block, strides, dilations, pads []int) (*tensor.Tensor, error) {
	spatial := len(image)
	win := Window{Kernel: block, Strides: strides, Dilations: dilations, Pads: pads}
	r, err := win.over(image)
	if err != nil {
		return nil, err
	}
	if _, err := tensor.NumElements(block); err != nil {
		return nil, err
	}
	area, blocks := product(block), product(r.out)
	if x.Rank() != 3 || x.Shape[1]%area != 0 || x.Shape[2] != blocks {
		return nil, fmt.Errorf("input %s must be [N,C*%d,%d] for image %v and block %v", x, area, blocks, image, block)
	}
	n, ch := x.Shape[0], x.Shape[1]/area
	shape := append([]int{n, ch}, image...)
	y, err := newFloats(shape)
	if err != nil {
		return nil, err
	}
	f := fold{image: image, blocks: r.out, kernel: block, strides: r.strides, dilations: r.dilations, begin: r.begin[:spatial]}
	xs, size := Float64s(x), product(image)
	for i := range n * ch {
		f.add(y[i*size:][:size], xs[i*area*blocks:])
	}
	return fromFloat64s(x.DType, y, shape...), nil
}

// fold is the inverse of unfolding an image into blocks.
type fold struct {
	image, blocks, kernel, strides, dilations, begin []int
}

// add adds col, [kernel...,blocks...], to one channel of an image.
func (f *fold) add(image, col []float64) {
	if len(image) == 0 || product(f.blocks) == 0 {
		return
	}
	k, b := make([]int, len(f.kernel)), make([]int, len(f.kernel))
	i := 0
	for {
		for {
			p, inside := 0, true
			for d, size := range f.image {
				q := b[d]*f.strides[d] - f.begin[d] + k[d]*f.dilations[d]
				inside = inside && q >= 0 && q < size
				p = p*size + q
			}
			if inside {
				image[p] += col[i]
			}
			i++
			if !next(b, f.blocks) {
				break
			}
		}
		if !next(k, f.kernel) {
			return
		}
	}
}
