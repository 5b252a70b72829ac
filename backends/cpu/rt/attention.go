package rt

import (
	le "encoding/binary"
	"fmt"
	"math"
	"unsafe"
)

// Headed is a stack of matrices by batch entry and head, with the distances in elements from one entry, head and row to the
// next (0: shared). The elements of a row are dense.
type Headed struct {
	Ptr              unsafe.Pointer
	Batch, Head, Row int
}

// Attention is Y = softmax(Q·Kᵀ·Scale + Mask)·V over float32, for every head of every batch entry:
//
//	Q     [Queries][Size], K [Keys][Size], V [Keys][VSize], Y [Queries][VSize]
//	Mask  [Queries][Keys] or nil: minus infinity hides a key; with Bools set, bytes instead, which are added to nothing:
//	      1 shows a key and 0 hides it
//
// Heads must be a multiple of KVHeads, whose heads serve neighbouring heads of Q. With Causal set, query i sees the keys up to
// i. A query that sees no key gets zeros. The scores of a block of queries stay in scratch memory; Y overlaps nothing.
type Attention struct {
	Set                   *Set
	Batch, Heads, KVHeads int
	Queries, Keys         int
	Size, VSize           int
	Q, K, V, Mask, Y      Headed
	Scale                 float32
	Bools, Causal         bool
}

const scoreBytes = 512 << 10 // of a tile's scores: they stay in L2

// attentionBound is an Attention with its partition.
type attentionBound struct {
	Attention
	rowTile, rowTiles int
	ld                int // of the scores
	// where things lie in scratch memory
	keys, values, scores, sums, tmp int
}

// Work binds the attention.
func (o *Attention) Work() (Work, error) {
	if o.Batch < 0 || o.Queries < 0 || o.Keys < 0 || o.Size < 0 || o.VSize < 0 || o.KVHeads < 1 || o.Heads < 1 || o.Heads%o.KVHeads != 0 {
		return Work{}, fmt.Errorf("attention of %d×%d heads over %d of [%d, %d] and [%d, %d]", o.Batch, o.Heads, o.KVHeads, o.Keys, o.Size, o.Queries, o.VSize)
	}
	if o.Batch == 0 || o.Queries == 0 || o.VSize == 0 {
		return Work{}, nil
	}
	if o.Keys == 0 || o.Size == 0 {
		return Work{}, fmt.Errorf("attention over %d keys of %d", o.Keys, o.Size)
	}
	b := &attentionBound{Attention: *o, ld: roundUp(o.Keys, Lanes)}
	if b.ld*4%setPeriod == 0 { // rows would drive one another out of the L1 cache
		b.ld += Lanes
	}
	most := max(14, min(gemmRows, scoreBytes/(4*b.ld)/14*14))
	b.rowTiles = ceilDiv(o.Queries, most+most/4)
	b.rowTile = ceilDiv(o.Queries, b.rowTiles)
	if b.rowTiles > 1 {
		b.rowTile = min(most, roundUp(b.rowTile, 14))
		b.rowTiles = ceilDiv(o.Queries, b.rowTile)
	}
	end := 0
	place := func(values int) int {
		at := end
		end += roundUp(values*4, Align)
		return at
	}
	b.keys = place(PackedGemmBSize(o.Size, o.Keys))
	b.values = place(PackedGemmBSize(o.Keys, o.VSize))
	b.scores = place(b.rowTile * b.ld)
	b.sums = place(b.rowTile)
	b.tmp = place(Lanes)
	touches := []Range{hull(addr(o.K.Ptr), 4, []int{o.Batch, o.KVHeads, o.Keys, o.Size}, []int{o.K.Batch, o.K.Head, o.K.Row, 1}, false),
		hull(addr(o.V.Ptr), 4, []int{o.Batch, o.KVHeads, o.Keys, o.VSize}, []int{o.V.Batch, o.V.Head, o.V.Row, 1}, false)}
	if o.Bools {
		m := &o.Mask
		touches = append(touches, hull(addr(m.Ptr), 1, []int{o.Batch, o.Heads, o.Queries, o.Keys}, []int{m.Batch, m.Head, m.Row, 1}, false))
	}
	return Work{Tiles: o.Batch * o.Heads * b.rowTiles, Scratch: end, Run: b.run, Touches: touches}, nil
}

// matrix is the address of a head's first row in bytes.
func (h *Headed) matrix(batch, head int) uintptr {
	return at(addr(h.Ptr), (batch*h.Batch+head*h.Head)*4)
}

func (b *attentionBound) run(tile int, s *Scratch) {
	first := tile % b.rowTiles * b.rowTile
	head := tile / b.rowTiles % b.Heads
	batch := tile / b.rowTiles / b.Heads
	rows := min(b.rowTile, b.Queries-first)
	shared := head / (b.Heads / b.KVHeads)
	packTransposed(b.Set, s, s.at(b.keys), b.K.matrix(batch, shared), b.K.Row, b.Size, b.Keys)
	packRows(s.at(b.values), b.V.matrix(batch, shared), b.V.Row, b.Keys, b.VSize)
	v := &s.Args.Vec
	splat(s.at(b.tmp), b.Scale)
	adds := b.Mask.Ptr != nil && !b.Bools
	if !adds && b.Scale != 1 { // cheaper than scaling the scores
		*v = VecArgs{Dst: s.at(b.keys), X: s.at(b.keys), Y: s.at(b.tmp), SX: laneBytes, N: int64(PackedGemmBSize(b.Size, b.Keys))}
		b.Set.Vec[OpMul].Fn(v)
	}
	b.product(s, at(b.Q.matrix(batch, head), first*b.Q.Row*4), b.Q.Row, s.at(b.keys), b.Size, s.at(b.scores), b.ld, rows, b.Keys)
	for i := range rows {
		row := s.at(b.scores + i*b.ld*4)
		if b.Bools {
			m := &b.Mask
			hide(floats(row, b.Keys), bytesAt(at(addr(m.Ptr), batch*m.Batch+head*m.Head+(first+i)*m.Row), b.Keys))
		}
		if adds {
			m := at(b.Mask.matrix(batch, head), (first+i)*b.Mask.Row*4)
			*v = VecArgs{Dst: row, X: row, Y: s.at(b.tmp), Z: m, SX: laneBytes, SZ: laneBytes, N: int64(b.Keys)}
			b.Set.Vec[OpFma].Fn(v)
		}
		b.weigh(s, row, first+i, s.at(b.sums+i*4))
	}
	y := at(b.Y.matrix(batch, head), first*b.Y.Row*4)
	b.product(s, s.at(b.scores), b.ld, s.at(b.values), b.Keys, y, b.Y.Row, rows, b.VSize)
	for i := range rows {
		d := at(y, i*b.Y.Row*4)
		splat(s.at(b.tmp), *float(s.at(b.sums + i*4)))
		*v = VecArgs{Dst: d, X: d, Y: s.at(b.tmp), SX: laneBytes, N: int64(b.VSize)}
		b.Set.Vec[OpMul].Fn(v)
	}
}

// hide sets the scores of keys to minus infinity that are not shown. Most masks show or hide neighbours alike, so it looks
// at eight of them at a time.
func hide(scores []float32, shown []byte) {
	hidden := float32(math.Inf(-1))
	for len(shown) >= 8 && len(scores) >= 8 {
		switch le.LittleEndian.Uint64(shown) {
		case 0x0101010101010101:
		case 0:
			s := scores[:8]
			s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7] = hidden, hidden, hidden, hidden, hidden, hidden, hidden, hidden
		default:
			for j, b := range shown[:8] {
				if b == 0 {
					scores[j] = hidden
				}
			}
		}
		scores, shown = scores[8:], shown[8:]
	}
	for j, b := range shown {
		if b == 0 {
			scores[j] = hidden
		}
	}
}

// weigh turns the scores of a query into weights, up to the factor that it writes to inv.
func (b *attentionBound) weigh(s *Scratch, row uintptr, query int, inv uintptr) {
	seen := b.Keys
	if b.Causal {
		seen = min(seen, query+1)
		clear(floats(at(row, seen*4), b.Keys-seen))
	}
	g := &s.Args.Reduce
	*g = ReduceArgs{X: row, Dst: row, Out: inv, N: int64(seen)}
	b.Set.Reduce[ReduceMax].Fn(g)
	g.P0 = *float(inv)
	if math.IsInf(float64(g.P0), -1) {
		clear(floats(row, seen))
		*float(inv) = 0
		return
	}
	b.Set.Reduce[ReduceSumExp].Fn(g)
	*float(inv) = 1 / *float(inv)
}

// product is C = A·B of rows rows, k and n columns, B packed.
func (b *attentionBound) product(s *Scratch, a uintptr, lda int, packed uintptr, k int, c uintptr, ldc, rows, n int) {
	slice := k
	if k > gemmKMost+gemmKMost/2 {
		slice = gemmKMost
	}
	g := &s.Args.Gemm
	for from := 0; from < k; from += slice {
		*g = GemmArgs{A: at(a, from*4), B: at(packed, from*laneBytes), C: c, Blocks: 1, KB: int64(min(slice, k-from)),
			LdA: int64(lda) * 4, LdC: int64(ldc) * 4, PanelB: int64(k) * laneBytes, PanelC: laneBytes}
		if from > 0 {
			g.Flags = FlagAccumulate
		}
		b.Set.plan.cover(g, area{rows: rows, groups: 1, panels: ceilDiv(n, Lanes), mask: fullMask(n)})
	}
}
