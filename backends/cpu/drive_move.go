package cpu

import (
	"fmt"
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// copySize returns the bytes of an element that Copy can move.
func (b *binder) copySize(vs ...*ir.Value) (int, error) {
	n := b.places[vs[0]].dtype.Size()
	for _, v := range vs {
		if p := b.places[v]; p.layout != ir.Plain || p.dtype.Size() != n {
			return 0, fmt.Errorf("operands differ in layout or type")
		}
	}
	switch n {
	case 1, 2, 4, 8:
		return n, nil
	}
	return 0, fmt.Errorf("elements of %d bytes have no kernel", n)
}

func bindTranspose(b *binder, op *ir.Op) ([]rt.Work, error) {
	x, y := op.Operand(0), op.Result(0)
	if b.places[x].layout == ir.C16 && b.places[y].layout == ir.Plain && channelsLast(op) {
		n, c, px := blockedDims(b.shape(x))
		return one((&rt.Reorder{Set: b.kernels, From: rt.NCHWc16, To: rt.NHWC, N: n, C: c, Pixels: px, X: b.ptr(x), Y: b.ptr(y)}).Work())
	}
	size, err := b.copySize(x, y)
	if err != nil {
		return nil, err
	}
	s := b.shape(x)
	perm := make([]int, len(s))
	for i := range perm {
		perm[i] = len(s) - 1 - i
	}
	narrow(perm, op, "perm")
	return one(rt.Transpose(b.kernels, size, s, perm, b.ptr(x), b.ptr(y)))
}

// channelsLast reports whether a Transpose moves the channels of images behind
// their pixels, which it can do from blocks.
func channelsLast(op *ir.Op) bool {
	if op.Name != "Transpose" || !isF32(op.Result(0)) || op.Result(0).Type.Rank() < 3 {
		return false
	}
	r := op.Result(0).Type.Rank()
	perm, ok := permOf(op, r)
	for i, a := range perm {
		want := i + 1
		if i == 0 {
			want = 0
		} else if i == r-1 {
			want = 1
		}
		ok = ok && a == want
	}
	return ok
}

// bindPixels moves blocks of depth to pixels and back: a Transpose of six dims.
func bindPixels(b *binder, op *ir.Op) ([]rt.Work, error) {
	x, y := op.Operand(0), op.Result(0)
	size, err := b.copySize(x, y)
	if err != nil {
		return nil, err
	}
	n64, _ := op.Attrs.Get("blocksize").(int64)
	s, n := b.shape(x), int(n64)
	if len(s) != 4 || n < 1 {
		return nil, fmt.Errorf("blocks of %d in %v", n, s)
	}
	mode, _ := op.Attrs.Get("mode").(string)
	six, perm := []int{s[0], n, n, s[1] / n / n, s[2], s[3]}, []int{0, 3, 4, 1, 5, 2}
	switch {
	case op.Name == "SpaceToDepth":
		six, perm = []int{s[0], s[1], s[2] / n, n, s[3] / n, n}, []int{0, 3, 5, 1, 2, 4}
		if mode == "CRD" {
			perm = []int{0, 1, 3, 5, 2, 4}
		}
	case mode == "CRD":
		six, perm = []int{s[0], s[1] / n / n, n, n, s[2], s[3]}, []int{0, 1, 4, 2, 5, 3}
	}
	if product(six) != product(s) {
		return nil, fmt.Errorf("blocks of %d do not fill %v", n, s)
	}
	return one(rt.Transpose(b.set, size, six, perm, b.ptr(x), b.ptr(y)))
}

func bindSlice(b *binder, op *ir.Op) ([]rt.Work, error) {
	x, y := op.Operand(0), op.Result(0)
	size, err := b.copySize(x, y)
	if err != nil {
		return nil, err
	}
	s, out := b.shape(x), b.shape(y)
	var lists [4][]int // starts, ends, axes, steps
	for i := range lists {
		if v := op.Operand(i + 1); v != nil {
			var ok bool
			if lists[i], ok = b.ints(v); !ok {
				return nil, fmt.Errorf("its bounds are computed")
			}
		}
	}
	starts, axes, steps := lists[0], lists[2], lists[3]
	c := rt.Copy{Set: b.kernels, Size: size, Dims: out, Dst: b.ptr(y), SrcStrides: rt.Dense(s), DstStrides: rt.Dense(out)}
	offset := 0
	for i, start := range starts {
		a, step := i, 1
		if axes != nil {
			a = axes[i]
		}
		if a < 0 {
			a += len(s)
		}
		if steps != nil {
			step = steps[i]
		}
		if a < 0 || a >= len(s) || step == 0 {
			return nil, fmt.Errorf("axis %d or step %d is out of range", a, step)
		}
		if start < 0 {
			start += s[a]
		}
		if step > 0 {
			start = min(max(start, 0), s[a])
		} else {
			start = min(max(start, -1), s[a]-1)
		}
		if end := start + (out[a]-1)*step; out[a] > 0 && (start < 0 || start >= s[a] || end < 0 || end >= s[a]) {
			return nil, fmt.Errorf("slice leaves its operand")
		}
		offset += start * c.SrcStrides[a]
		c.SrcStrides[a] *= step
	}
	if product(out) == 0 {
		return nil, nil
	}
	c.Src = unsafe.Add(b.ptr(x), offset*size)
	return one(c.Work())
}

// joinInPlace lets what computes the operands of a Concat write them where its
// result p holds them, so that nothing is copied: wherever an operand is one
// piece of the result, as the channels of a single image are. An operand that
// another Concat holds already, or this one holds twice, is copied there.
func (b *binder) joinInPlace(op *ir.Op, p *place) {
	axis, at := axisAttr(op, 0, len(p.shape)), 0
	if axis < 0 || axis >= len(p.shape) || product(p.shape[:axis]) != 1 {
		return
	}
	for i, v := range op.Operands() {
		x := b.places[v]
		if x == nil || x.layout != p.layout || x.dtype != p.dtype || at+x.bytes > p.bytes {
			return
		}
		if x.layout == ir.C16 && (axis != 1 || x.shape[1]%rt.Lanes != 0 && i < op.NumOperands()-1) {
			return // no whole blocks
		}
		p.hold(x, at)
		at += x.bytes
	}
}

func bindConcat(b *binder, op *ir.Op) ([]rt.Work, error) {
	y := op.Result(0)
	if b.places[y].layout == ir.C16 {
		return b.concatBlocks(op)
	}
	size, err := b.copySize(append(op.Operands(), y)...)
	if err != nil {
		return nil, err
	}
	out := b.shape(y)
	axis := axisAttr(op, 0, len(out))
	dst := rt.Dense(out)
	var works []rt.Work
	at := 0
	for _, x := range op.Operands() {
		s := b.shape(x)
		if axis < 0 || axis >= len(s) || len(s) != len(out) || at+s[axis] > out[axis] {
			return nil, fmt.Errorf("operands do not fit the result")
		}
		to := unsafe.Add(b.ptr(y), at*dst[axis]*size)
		if product(s) > 0 && b.ptr(x) != to {
			c := rt.Copy{Set: b.kernels, Size: size, Dims: s, Src: b.ptr(x), SrcStrides: rt.Dense(s), Dst: to, DstStrides: dst}
			w, err := c.Work()
			if err != nil {
				return nil, err
			}
			works = append(works, w)
		}
		at += s[axis]
	}
	return works, nil
}

// concatBlocks joins channels: whole blocks, which an operand that does not
// begin with one takes lanes of.
func (b *binder) concatBlocks(op *ir.Op) ([]rt.Work, error) {
	y := op.Result(0)
	n, c, px := blockedDims(b.shape(y))
	size := px * rt.Lanes // values of a block
	var works []rt.Work
	at := 0
	for _, x := range op.Operands() {
		xn, xc, xpx := blockedDims(b.shape(x))
		if b.places[x].layout != ir.C16 || xn != n || xpx != px || at+xc > c {
			return nil, fmt.Errorf("operands do not fit the result")
		}
		per, first := blocks(xc)*size, at
		at += xc
		if first%rt.Lanes == 0 {
			if to := unsafe.Add(b.ptr(y), first*px*4); b.ptr(x) != to {
				w, err := (&rt.Copy{
					Set: b.kernels, Size: 4, Dims: []int{n, per}, Src: b.ptr(x), SrcStrides: []int{per, 1},
					Dst: to, DstStrides: []int{blocks(c) * size, 1},
				}).Work()
				if err != nil {
					return nil, err
				}
				works = append(works, w)
			}
			continue
		}
		for from := 0; from < xc; {
			to := first + from
			run := min(rt.Lanes-from%rt.Lanes, rt.Lanes-to%rt.Lanes, xc-from)
			lanes := func(v *ir.Value, channel int) unsafe.Pointer {
				return unsafe.Add(b.ptr(v), (channel/rt.Lanes*size+channel%rt.Lanes)*4)
			}
			works = append(works, rt.MoveLanes(n, px, run, lanes(x, from), per, lanes(y, to), blocks(c)*size))
			from += run
		}
		if at == c && c%rt.Lanes != 0 {
			works = append(works, rt.ZeroPadLanes(b.ptr(y), n, c, px))
		}
	}
	return works, nil
}

func bindSplit(b *binder, op *ir.Op) ([]rt.Work, error) {
	x := op.Operand(0)
	size, err := b.copySize(append([]*ir.Value{x}, op.Results()...)...)
	if err != nil {
		return nil, err
	}
	s := b.shape(x)
	axis := axisAttr(op, 0, len(s))
	src := rt.Dense(s)
	var works []rt.Work
	at := 0
	for _, y := range op.Results() {
		out := b.shape(y)
		if axis < 0 || axis >= len(s) || len(out) != len(s) || at+out[axis] > s[axis] {
			return nil, fmt.Errorf("results do not fit the operand")
		}
		if product(out) > 0 && y.NumUses() > 0 {
			c := rt.Copy{Set: b.kernels, Size: size, Dims: out, Src: unsafe.Add(b.ptr(x), at*src[axis]*size), SrcStrides: src, Dst: b.ptr(y), DstStrides: rt.Dense(out)}
			w, err := c.Work()
			if err != nil {
				return nil, err
			}
			works = append(works, w)
		}
		at += out[axis]
	}
	return works, nil
}

func bindExpand(b *binder, op *ir.Op) ([]rt.Work, error) {
	x, y := op.Operand(0), op.Result(0)
	size, err := b.copySize(x, y)
	if err != nil {
		return nil, err
	}
	out := b.shape(y)
	if product(out) == 0 {
		return nil, nil
	}
	c := rt.Copy{Set: b.kernels, Size: size, Dims: out, Src: b.ptr(x), SrcStrides: broadcastStrides(b.shape(x), out), Dst: b.ptr(y), DstStrides: rt.Dense(out)}
	return one(c.Work())
}

func bindGather(b *binder, op *ir.Op) ([]rt.Work, error) {
	x, idx, y := op.Operand(0), op.Operand(1), op.Result(0)
	if b.places[x].layout != ir.Plain {
		return nil, fmt.Errorf("operand is blocked")
	}
	s := b.shape(x)
	axis := axisAttr(op, 0, len(s))
	if axis < 0 || axis >= len(s) {
		return nil, fmt.Errorf("axis %d is out of range", axis)
	}
	g := rt.Gather{
		Outer: product(s[:axis]), Count: s[axis], N: product(b.shape(idx)), Row: product(s[axis+1:]) * b.places[x].dtype.Size(),
		Index32: idx.Type.DType == tensor.Int32, X: b.ptr(x), Index: b.ptr(idx), Y: b.ptr(y),
	}
	return one(g.Work())
}

// bindGatherND gathers parts by positions of as many dims as the indexes' last
// dim says.
func bindGatherND(b *binder, op *ir.Op) ([]rt.Work, error) {
	x, idx, y := op.Operand(0), op.Operand(1), op.Result(0)
	xp, ip := b.places[x], b.places[idx]
	if n, _ := op.Attrs.Get("batch_dims").(int64); n != 0 || xp.layout != ir.Plain || xp.strides != nil || ip.dtype != tensor.Int64 || len(ip.shape) == 0 {
		return nil, fmt.Errorf("batches have no kernel")
	}
	last := len(ip.shape) - 1
	k := ip.shape[last]
	if k < 1 || k > len(xp.shape) {
		return nil, fmt.Errorf("positions of %d dims in %v", k, xp.shape)
	}
	g := rt.GatherND{Dims: xp.shape[:k], N: product(ip.shape[:last]), Row: product(xp.shape[k:]) * xp.dtype.Size(), X: b.ptr(x), Index: b.ptr(idx), Y: b.ptr(y)}
	if g.N*g.Row != b.places[y].bytes {
		return nil, fmt.Errorf("the result has another size")
	}
	return one(g.Work())
}

// bindPad pads, most often with a constant.
func bindPad(b *binder, op *ir.Op) ([]rt.Work, error) {
	x, y := op.Operand(0), op.Result(0)
	mode, _ := op.Attrs.Get("mode").(string)
	if mode != "" && mode != "constant" {
		return b.padAround(op, mode)
	}
	if b.places[y].layout == ir.C16 {
		return b.padAround(op, "constant")
	}
	size, err := b.copySize(x, y)
	if err != nil {
		return nil, err
	}
	s, out := b.shape(x), b.shape(y)
	pads, ok := b.ints(op.Operand(1))
	if !ok {
		return nil, fmt.Errorf("pads are computed")
	}
	axes := make([]int, len(s))
	for i := range axes {
		axes[i] = i
	}
	if v := op.Operand(3); v != nil {
		if axes, ok = b.ints(v); !ok {
			return nil, fmt.Errorf("axes are computed")
		}
	}
	if len(pads) != 2*len(axes) {
		return nil, fmt.Errorf("%d pads for %d axes", len(pads), len(axes))
	}
	dims := append([]int{}, s...)
	src, dst := rt.Dense(s), rt.Dense(out)
	from, to := 0, 0
	for i, a := range axes {
		if a < 0 {
			a += len(s)
		}
		if a < 0 || a >= len(s) {
			return nil, fmt.Errorf("axis %d is out of range", a)
		}
		begin, end := pads[i], pads[len(axes)+i]
		if s[a]+begin+end != out[a] {
			return nil, fmt.Errorf("pads do not fit the result")
		}
		dims[a] += min(begin, 0) + min(end, 0)
		from += max(-begin, 0) * src[a]
		to += max(begin, 0) * dst[a]
	}
	fill := fillWork(b.places[y], b.ptr(y), b.padValue(op, size))
	if product(dims) <= 0 {
		return []rt.Work{fill}, nil
	}
	c := rt.Copy{Set: b.kernels, Size: size, Dims: dims, Src: unsafe.Add(b.ptr(x), from*size), SrcStrides: src, Dst: unsafe.Add(b.ptr(y), to*size), DstStrides: dst}
	w, err := c.Work()
	if err != nil {
		return nil, err
	}
	return []rt.Work{fill, w}, nil
}

// padValue returns the address of the value to pad with: the operand's, or
// zero.
func (b *binder) padValue(op *ir.Op, size int) unsafe.Pointer {
	if v := op.Operand(2); v != nil {
		return b.ptr(v)
	}
	return unsafe.Pointer(&nothing)
}

// fillWork repeats one element over a place.
func fillWork(p *place, dst, value unsafe.Pointer) rt.Work {
	size := p.dtype.Size()
	const tile = 64 << 10
	touches := []rt.Range{rt.Memory(uintptr(dst), p.bytes, true), rt.Memory(uintptr(value), size, false)}
	return rt.Work{Tiles: (p.bytes + tile - 1) / tile, Touches: touches, Moves: true, Run: func(i int, _ *rt.Scratch) {
		b := unsafe.Slice((*byte)(unsafe.Add(dst, i*tile)), min(tile, p.bytes-i*tile))
		n := copy(b, unsafe.Slice((*byte)(value), size))
		for n < len(b) {
			n += copy(b[n:], b[:n])
		}
	}}
}
