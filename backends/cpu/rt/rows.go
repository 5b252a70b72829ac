package rt

import (
	"fmt"
	"math"
	"unsafe"
)

// callElems is the most elements that one call reduces.
const callElems = 128 << 10

// rowsPerTile is how many rows of n elements make a tile.
func rowsPerTile(n int) int { return max(1, tileElems/max(1, n)) }

// eachRow makes a Work that calls f for every row.
func eachRow(rows, n, scratch int, f func(row int, s *Scratch)) Work {
	per := rowsPerTile(n)
	return Work{Tiles: ceilDiv(rows, per), Scratch: scratch, Run: func(tile int, s *Scratch) {
		for r := tile * per; r < min(rows, (tile+1)*per); r++ {
			f(r, s)
		}
	}}
}

// Softmax is the softmax, or with Log its logarithm, of every row of X [Rows][N] to Y [Rows][N], dense float32. Y may be X.
type Softmax struct {
	Set     *Set
	Rows, N int
	Log     bool
	X, Y    unsafe.Pointer
}

// Work binds the softmax.
func (o *Softmax) Work() (Work, error) {
	if o.Rows < 0 || o.N < 0 {
		return Work{}, fmt.Errorf("softmax of [%d, %d]", o.Rows, o.N)
	}
	if o.N == 0 {
		return Work{}, nil
	}
	b := *o
	scratch := laneBytes
	if o.Log {
		scratch += o.N * 4
	}
	return eachRow(o.Rows, o.N, scratch, func(row int, s *Scratch) {
		x, y := at(addr(b.X), row*b.N*4), at(addr(b.Y), row*b.N*4)
		b.Set.softmaxRow(s, x, y, b.N, b.Log)
	}), nil
}

// softmaxRow uses the first 64 bytes of scratch memory, and with log n values after them.
func (set *Set) softmaxRow(s *Scratch, x, y uintptr, n int, log bool) {
	g := &s.Args.Reduce
	*g = ReduceArgs{X: x, Dst: y, Out: s.at(0), N: int64(n)}
	set.Reduce[ReduceMax].Fn(g)
	g.P0 = *float(s.at(0))
	if log {
		g.Dst = s.at(laneBytes)
	}
	set.Reduce[ReduceSumExp].Fn(g)
	sum := *float(s.at(0))
	v := &s.Args.Vec
	if log {
		splat(s.at(0), g.P0)
		*v = VecArgs{Dst: y, X: x, Y: s.at(0), SX: laneBytes, N: int64(n)}
		set.Vec[OpSub].Fn(v)
		splat(s.at(0), float32(math.Log(float64(sum))))
		v.X = y
		set.Vec[OpSub].Fn(v)
		return
	}
	splat(s.at(0), 1/sum)
	*v = VecArgs{Dst: y, X: y, Y: s.at(0), SX: laneBytes, N: int64(n)}
	set.Vec[OpMul].Fn(v)
}

// splat fills 16 lanes.
func splat(a uintptr, v float32) {
	d := lanes(a)
	for i := range d {
		d[i] = v
	}
}

// Norm is layer normalization of every row of X [Rows][N] to Y [Rows][N], dense float32:
//
//	Y = (X - mean) / sqrt(variance + Epsilon) · Scale + Bias
//
// or with RMS set Y = X / sqrt(mean of X² + Epsilon) · Scale. Scale and Bias are [N] or nil. Y may be X.
// MeanOut and InvStdOut, [Rows] each or nil, get the statistics.
type Norm struct {
	Set                *Set
	Rows, N            int
	RMS                bool
	Epsilon            float32
	Scale, Bias        unsafe.Pointer
	X, Y               unsafe.Pointer
	MeanOut, InvStdOut unsafe.Pointer
}

// Work binds the normalization.
func (o *Norm) Work() (Work, error) {
	if o.Rows < 0 || o.N < 0 {
		return Work{}, fmt.Errorf("normalization of [%d, %d]", o.Rows, o.N)
	}
	if o.N == 0 {
		return Work{}, nil
	}
	b := *o
	return eachRow(o.Rows, o.N, 2*laneBytes, b.row), nil
}

func (o *Norm) row(row int, s *Scratch) {
	x, y := at(addr(o.X), row*o.N*4), at(addr(o.Y), row*o.N*4)
	g := &s.Args.Reduce
	*g = ReduceArgs{X: x, Out: s.at(0), N: int64(o.N)}
	if !o.RMS {
		o.Set.Reduce[ReduceSum].Fn(g)
		g.P0 = *float(s.at(0)) / float32(o.N)
	}
	o.Set.Reduce[ReduceSumSq].Fn(g)
	inv := float32(1 / math.Sqrt(float64(*float(s.at(0)))/float64(o.N)+float64(o.Epsilon)))
	if o.MeanOut != nil {
		*float(at(addr(o.MeanOut), row*4)) = g.P0
	}
	if o.InvStdOut != nil {
		*float(at(addr(o.InvStdOut), row*4)) = inv
	}
	mean, invs := s.at(0), s.at(laneBytes)
	splat(mean, g.P0)
	splat(invs, inv)
	v := &s.Args.Vec
	*v = VecArgs{Dst: y, X: x, SX: laneBytes, N: int64(o.N)}
	if !o.RMS {
		v.Y = mean
		o.Set.Vec[OpSub].Fn(v)
		v.X = y
	}
	v.Y = invs
	o.Set.Vec[OpMul].Fn(v)
	v.X = y
	switch v.SY = laneBytes; {
	case o.Scale != nil && o.Bias != nil:
		v.Y, v.Z, v.SZ = addr(o.Scale), addr(o.Bias), laneBytes
		o.Set.Vec[OpFma].Fn(v)
	case o.Scale != nil:
		v.Y = addr(o.Scale)
		o.Set.Vec[OpMul].Fn(v)
	case o.Bias != nil:
		v.Y = addr(o.Bias)
		o.Set.Vec[OpAdd].Fn(v)
	}
}

// Reduce reduces X [Outer][R][Inner] over R to Y [Outer][Inner], dense float32, with Op ReduceMax, ReduceMin, ReduceSum or
// ReduceSumSq (of the values themselves). Mean divides by R afterwards. R is at least 1.
type Reduce struct {
	Set             *Set
	Op              ReduceOp
	Mean            bool
	Outer, R, Inner int
	X, Y            unsafe.Pointer
}

// Work binds the reduction.
func (o *Reduce) Work() (Work, error) {
	if o.Outer < 0 || o.R < 1 || o.Inner < 0 || o.Op >= ReduceSumExp {
		return Work{}, fmt.Errorf("reduction %d of [%d, %d, %d]", o.Op, o.Outer, o.R, o.Inner)
	}
	b := *o
	if o.Inner == 1 {
		w := eachRow(o.Outer, o.R, 0, b.row)
		w.Touches = []Range{span(addr(o.Y), o.Outer*4, true)}
		return w, nil
	}
	if o.Inner == 0 {
		return Work{}, nil
	}
	parts := ceilDiv(o.Inner, chunkBig)
	return eachRow(o.Outer*parts, min(o.Inner, chunkBig)*o.R, laneBytes, func(i int, s *Scratch) {
		b.columns(i/parts, i%parts*chunkBig, s)
	}), nil
}

func (o *Reduce) row(row int, s *Scratch) {
	y := at(addr(o.Y), row*4)
	g := &s.Args.Reduce
	*g = ReduceArgs{X: at(addr(o.X), row*o.R*4), Out: y}
	var acc float32
	for done := 0; done < o.R; done += callElems { // no call may take long
		g.N = int64(min(callElems, o.R-done))
		o.Set.Reduce[o.Op].Fn(g)
		g.X = at(g.X, callElems*4)
		switch v := *float(y); {
		case done == 0:
			acc = v
		case o.Op == ReduceMax:
			acc = max(acc, v)
		case o.Op == ReduceMin:
			acc = min(acc, v)
		default:
			acc += v
		}
	}
	if o.Mean {
		acc /= float32(o.R)
	}
	*float(y) = acc
}

// columns folds the rows of one outer entry into one, for up to chunkBig columns.
func (o *Reduce) columns(outer, col int, s *Scratch) {
	n := min(chunkBig, o.Inner-col)
	x := at(addr(o.X), (outer*o.R*o.Inner+col)*4)
	y := at(addr(o.Y), (outer*o.Inner+col)*4)
	v := &s.Args.Vec
	*v = VecArgs{Dst: y, X: x, SX: laneBytes, SY: laneBytes, SZ: laneBytes, N: int64(n)}
	first, next := OpCopy, OpAdd
	switch o.Op {
	case ReduceMax:
		next = OpMax
	case ReduceMin:
		next = OpMin
	case ReduceSumSq:
		first, next = OpSquare, OpFma
	}
	o.Set.Vec[first].Fn(v)
	for r := 1; r < o.R; r++ {
		row := at(x, r*o.Inner*4)
		v.X, v.Y, v.Z = row, y, y
		if next == OpFma {
			v.Y = row
		}
		o.Set.Vec[next].Fn(v)
	}
	if o.Mean {
		splat(s.at(0), 1/float32(o.R))
		*v = VecArgs{Dst: y, X: y, Y: s.at(0), SX: laneBytes, N: int64(n)}
		o.Set.Vec[OpMul].Fn(v)
	}
}
