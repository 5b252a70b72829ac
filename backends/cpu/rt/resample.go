package rt

import (
	"fmt"
	"unsafe"
)

// Axis says how the positions of a resampled axis are made: position i is the sum of K inputs, Index[i·K+j] times Weights[i·K+j].
// Without Weights K is 1 and the weight too; an index of -1 then stands for zero.
type Axis struct {
	K       int
	Index   []int32
	Weights []float32
}

// Resample makes two neighbouring axes of X [Outer][H][W][Inner] anew: Y [Outer][OH][OW][Inner], dense float32. Resizing of
// images, and padding by what is there, in any layout: NCHWc16 has blocks as Outer and 16 as Inner.
type Resample struct {
	Set                *Set
	Outer, H, W, Inner int
	OH, OW             int
	Rows, Columns      Axis
	X, Y               unsafe.Pointer
}

func (a *Axis) check(in, out int) error {
	if a.K < 1 || len(a.Index) != out*a.K || len(a.Weights) != 0 && len(a.Weights) != len(a.Index) || len(a.Weights) == 0 && a.K != 1 {
		return fmt.Errorf("axis of %d positions has %d indexes and %d weights of %d each", out, len(a.Index), len(a.Weights), a.K)
	}
	least := int32(0)
	if len(a.Weights) == 0 {
		least = -1
	}
	for _, i := range a.Index {
		if i < least || int(i) >= in {
			return fmt.Errorf("index %d is outside of %d", i, in)
		}
	}
	return nil
}

// Work binds the resampling. A tile is some rows of Y.
func (o *Resample) Work() (Work, error) {
	if o.Outer < 0 || o.H < 0 || o.W < 0 || o.Inner < 0 || o.OH < 0 || o.OW < 0 {
		return Work{}, fmt.Errorf("resampling of %+v", *o)
	}
	if err := o.Rows.check(o.H, o.OH); err != nil {
		return Work{}, fmt.Errorf("resampling: %w", err)
	}
	if err := o.Columns.check(o.W, o.OW); err != nil {
		return Work{}, fmt.Errorf("resampling: %w", err)
	}
	if o.Outer*o.OH*o.OW*o.Inner == 0 {
		return Work{}, nil
	}
	b := *o
	scratch := 0
	if b.Rows.Weights != nil {
		scratch = roundUp(b.W*b.Inner*4, Align) + laneBytes
	}
	w := eachRow(b.Outer*b.OH, (b.OW*b.Columns.K+b.W*b.Rows.K)*b.Inner, scratch, b.row)
	w.Touches = []Range{span(addr(o.X), o.Outer*o.H*o.W*o.Inner*4, false), span(addr(o.Y), o.Outer*o.OH*o.OW*o.Inner*4, true)}
	w.Moves = true // Check allowed all of both: rows are mixed from X to scratch memory
	return w, nil
}

func (o *Resample) row(row int, s *Scratch) {
	outer, r := row/o.OH, row%o.OH
	y := floats(at(addr(o.Y), row*o.OW*o.Inner*4), o.OW*o.Inner)
	x := at(addr(o.X), outer*o.H*o.W*o.Inner*4)
	pitch := o.W * o.Inner
	var src uintptr
	if o.Rows.Weights == nil {
		if o.Rows.Index[r] < 0 {
			clear(y)
			return
		}
		src = at(x, int(o.Rows.Index[r])*pitch*4)
	} else {
		src = s.at(laneBytes)
		o.mixRows(s, x, src, r)
	}
	in := floats(src, pitch)
	switch {
	case o.Columns.Weights == nil:
		pickColumns(y, in, o.Columns.Index, o.Inner)
	case o.Inner == 1 && o.Columns.K == 2:
		w, index := o.Columns.Weights, o.Columns.Index
		for i := range y {
			y[i] = in[index[2*i]]*w[2*i] + in[index[2*i+1]]*w[2*i+1]
		}
	case o.Inner == Lanes:
		g := &s.Args.Blend
		*g = BlendArgs{X: src, C: at(addr(o.Y), row*o.OW*laneBytes), W: addr(unsafe.Pointer(unsafe.SliceData(o.Columns.Weights))),
			Index: addr(unsafe.Pointer(unsafe.SliceData(o.Columns.Index))), Taps: int64(o.Columns.K), N: int64(o.OW)}
		o.Set.Blend.Fn(g)
	default:
		o.mixColumns(y, in)
	}
}

// mixRows sums input rows, weighted, to dst. The first 16 lanes of scratch memory hold a weight.
func (o *Resample) mixRows(s *Scratch, x, dst uintptr, r int) {
	pitch := o.W * o.Inner
	v := &s.Args.Vec
	*v = VecArgs{Dst: dst, Y: s.at(0), Z: dst, SX: laneBytes, SZ: laneBytes, N: int64(pitch)}
	for j := range o.Rows.K {
		splat(s.at(0), o.Rows.Weights[r*o.Rows.K+j])
		v.X = at(x, int(o.Rows.Index[r*o.Rows.K+j])*pitch*4)
		if j == 0 {
			o.Set.Vec[OpMul].Fn(v)
		} else {
			o.Set.Vec[OpFma].Fn(v)
		}
	}
}

func pickColumns(y, in []float32, index []int32, inner int) {
	if inner == 1 {
		for i, p := range index {
			if p < 0 {
				y[i] = 0
			} else {
				y[i] = in[p]
			}
		}
		return
	}
	if inner == Lanes {
		for i, p := range index {
			d := (*[Lanes]float32)(y[i*Lanes:])
			if p < 0 {
				*d = [Lanes]float32{}
			} else {
				*d = [Lanes]float32(in[int(p)*Lanes:])
			}
		}
		return
	}
	for i, p := range index {
		d := y[i*inner : (i+1)*inner]
		if p < 0 {
			clear(d)
		} else {
			copy(d, in[int(p)*inner:])
		}
	}
}

func (o *Resample) mixColumns(y, in []float32) {
	k, n := o.Columns.K, o.Inner
	for i := range o.OW {
		d := y[i*n : (i+1)*n]
		for j := range k {
			w, p := o.Columns.Weights[i*k+j], int(o.Columns.Index[i*k+j])
			x := in[p*n : (p+1)*n][:len(d)]
			if j == 0 {
				for c, v := range x {
					d[c] = v * w
				}
			} else {
				for c, v := range x {
					d[c] += v * w
				}
			}
		}
	}
}
