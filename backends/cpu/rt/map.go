package rt

import (
	"fmt"
	"slices"
	"unsafe"
)

// Operand is a float32 tensor seen through strides in elements, one a dimension of the iteration space; 0 repeats it.
type Operand struct {
	Ptr     unsafe.Pointer
	Strides []int
}

// Map runs a Program over a space of Dims, row-major: elementwise operators of any number of inputs with broadcasting.
// An output's strides must be dense along the innermost dimension that is not 1. An output may be the same memory as
// an input of the same strides, and overlaps no other.
//
// NCHWc16 tensors are dims [N, C/16, H·W, 16]; a per-channel operand has strides [0, 16, 0, 1]. An operator that does not keep
// 0 at 0 spoils pad lanes: see ZeroPadLanes.
type Map struct {
	Set  *Set
	Prog *Program
	Dims []int
	In   []Operand
	Out  []Operand
}

const (
	maxRank   = 8
	tileElems = 16 << 10 // elements in a tile of elementwise work
)

// space is an iteration space with operands, inputs first, after merging dimensions.
type space struct {
	dims    []int
	strides [][]int // [operand][dim]
}

// newSpace drops dims of 1 and merges neighbours that every operand walks as one.
func newSpace(dims []int, operands []Operand) (space, error) {
	sp := space{strides: make([][]int, len(operands))}
	for o, x := range operands {
		if len(x.Strides) != len(dims) {
			return sp, fmt.Errorf("operand %d has %d strides for %d dims", o, len(x.Strides), len(dims))
		}
	}
	for d, n := range dims {
		if n < 0 {
			return sp, fmt.Errorf("dim %d is %d", d, n)
		}
		if n == 1 {
			continue
		}
		last := len(sp.dims) - 1
		merge := last >= 0
		for o, x := range operands {
			if merge && sp.strides[o][last] != x.Strides[d]*n {
				merge = false
			}
		}
		if merge {
			sp.dims[last] *= n
		} else {
			sp.dims = append(sp.dims, n)
		}
		for o, x := range operands {
			if merge {
				sp.strides[o][last] = x.Strides[d]
			} else {
				sp.strides[o] = append(sp.strides[o], x.Strides[d])
			}
		}
	}
	if len(sp.dims) == 0 {
		sp.dims = []int{1}
		for o := range sp.strides {
			sp.strides[o] = []int{1}
		}
	}
	if len(sp.dims) > maxRank {
		return sp, fmt.Errorf("%d dims that do not merge: at most %d", len(sp.dims), maxRank)
	}
	return sp, nil
}

// modes tells how every operand walks the last dim.
func (sp *space) modes() []mode {
	modes := make([]mode, len(sp.strides))
	for o, st := range sp.strides {
		if n := len(st); n > 0 && st[n-1] == 0 {
			modes[o] = modeScalar
		}
	}
	return modes
}

// lanes merges a last dim of 16 with the one before it when every operand is dense, constant or 16 values over and over there.
func (sp *space) lanes() []mode {
	modes := sp.modes()
	r := len(sp.dims)
	if r < 2 || sp.dims[r-1] != Lanes {
		return modes
	}
	merged := make([]mode, len(modes))
	for o, st := range sp.strides {
		switch outer, inner := st[r-2], st[r-1]; {
		case outer == Lanes && inner == 1:
			merged[o] = modeFull
		case outer == 0 && inner == 1:
			merged[o] = modeLanes
		case outer == 0 && inner == 0:
			merged[o] = modeScalar
		default:
			return modes
		}
	}
	sp.dims[r-2] *= Lanes
	sp.dims = sp.dims[:r-1]
	for o, st := range sp.strides {
		step := 1
		if merged[o] != modeFull {
			step = 0
		}
		sp.strides[o] = append(st[:r-2], step)
	}
	return merged
}

// walk is how an operand goes along a run of elements that may cover many short rows.
type walk struct {
	gathered bool
	row, col int // strides from one row to the next and within a row
}

// shortRow is the length below which rows are taken together: a call each would cost more than gathering what broadcasts.
const shortRow = 64

// walks finds how every operand goes along the last dim, which is merged with the one before it if rows are short and the outputs,
// operands from index outs on, are dense. period is the length of a row.
func (sp *space) walks(outs int) (ws []walk, period int) {
	r := len(sp.dims)
	period = sp.dims[r-1]
	short := r > 1 && period < shortRow
	for _, st := range sp.strides[outs:] {
		short = short && st[r-1] == 1 && st[r-2] == period
	}
	if short {
		sp.dims[r-2] *= period
		sp.dims = sp.dims[:r-1]
	}
	for o, st := range sp.strides {
		w := walk{col: st[r-1]}
		step := st[r-1]
		if short {
			w.row = st[r-2]
			sp.strides[o] = st[:r-1]
			switch {
			case w.col == 1 && w.row == period:
				step = 1
			case w.col == 0 && w.row == 0:
				step = 0
			default:
				step = 2
			}
			sp.strides[o][r-2] = step
		}
		w.gathered = step != 0 && step != 1
		ws = append(ws, w)
	}
	return ws, period
}

// gather copies elements first to first+n-1 of a run that begins at base.
func (w *walk) gather(dst, base uintptr, first, n, period int) {
	row, col := first/period, first%period
	for range n {
		*float(dst) = *float(at(base, (row*w.row+col*w.col)*4))
		dst = at(dst, 4)
		if col++; col == period {
			row, col = row+1, 0
		}
	}
}

// Work binds the map.
func (m *Map) Work() (Work, error) {
	operands := append(append([]Operand{}, m.In...), m.Out...)
	sp, err := newSpace(m.Dims, operands)
	if err != nil {
		return Work{}, err
	}
	modes := sp.lanes()
	var walks []walk
	period := 0
	for o, st := range sp.strides[len(m.In):] {
		if last := st[len(st)-1]; last != 1 {
			return Work{}, fmt.Errorf("output %d has stride %d along its innermost dimension: want 1", o, last)
		}
	}
	if slices.Contains(modes, modeLanes) {
		walks, period = make([]walk, len(operands)), 1
	} else {
		walks, period = sp.walks(len(m.In))
		modes = sp.modes()
	}
	r := len(sp.dims)
	inner, rows := sp.dims[r-1], 1
	for _, d := range sp.dims[:r-1] {
		rows *= d
	}
	gathers := 0 // inputs that are copied to scratch memory first
	for _, w := range walks {
		if w.gathered {
			gathers++
		}
	}
	aliased := func(o, i int) bool { return m.Out[o].Ptr == m.In[i].Ptr }
	bp, err := m.Prog.bind(m.Set, modes[:len(m.In)], aliased)
	if err != nil {
		return Work{}, err
	}
	seg := min(inner, tileElems) // elements a call
	if gathers > 0 {
		seg = min(seg, chunkBig)
	}
	segs := ceilDiv(max(inner, 1), max(seg, 1))
	group := max(1, tileElems/max(seg, 1)) // calls a tile
	calls := rows * segs
	if inner == 0 {
		calls = 0
	}
	progBytes := roundUp(bp.ScratchBytes(), Align)
	run := func(tile int, s *Scratch) {
		for c := tile * group; c < min(calls, (tile+1)*group); c++ {
			row, first := c/segs, c%segs*seg
			n := min(seg, inner-first)
			gathered := 0
			for o, x := range operands {
				st := sp.strides[o]
				e := 0
				for d, q := r-2, row; d >= 0; d-- {
					e += q % sp.dims[d] * st[d]
					q /= sp.dims[d]
				}
				p := at(addr(x.Ptr), e*4)
				switch w := &walks[o]; {
				case o >= len(m.In):
					s.cur.out[o-len(m.In)] = at(p, first*4)
				case w.gathered:
					d := s.at(progBytes + gathered*chunkBig*4)
					gathered++
					w.gather(d, p, first, n, period)
					s.cur.in[o] = d
				default:
					s.cur.in[o] = at(p, first*st[r-1]*4)
				}
			}
			bp.run(s, 0, n)
		}
	}
	w := Work{Tiles: ceilDiv(calls, group), Scratch: progBytes + gathers*chunkBig*4, Run: run, own: bp.tables()}
	for o, x := range operands {
		w.Touches = append(w.Touches, hull(addr(x.Ptr), 4, m.Dims, x.Strides, o >= len(m.In)))
	}
	return w, nil
}
