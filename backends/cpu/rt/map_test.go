package rt

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMapBroadcastsAgainstNaiveLoops(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		rank := r.IntN(5)
		dims := make([]int, rank)
		total := 1
		for d := range dims {
			dims[d] = 1 + r.IntN(7)
			if r.IntN(4) == 0 {
				dims[d] = 16
			}
			total *= dims[d]
		}
		if rank > 0 && r.IntN(10) == 0 {
			total = total / dims[0] * 900
			dims[0] = 900
		}
		operand := func(broadcast bool) (Operand, []float32) {
			st := make([]int, rank)
			n := 1
			for d := rank - 1; d >= 0; d-- {
				if broadcast && r.IntN(2) == 0 {
					continue
				}
				st[d] = n
				n *= dims[d]
			}
			x := random(r, n)
			return Operand{ptr(x), st}, x
		}
		a, av := operand(r.IntN(2) == 0)
		b, bv := operand(true)
		c, cv := operand(false)
		if r.IntN(3) == 0 { // transposed input
			for i, j := 0, rank-1; i < j; i, j = i+1, j-1 {
				if dims[i] == dims[j] {
					a.Strides[i], a.Strides[j] = a.Strides[j], a.Strides[i]
				}
			}
		}
		p := &Program{In: 2, Consts: []float32{0.5}, Temps: 2, Out: []Reg{4},
			Code: []Instr{{Op: OpMul, Dst: 3, X: 0, Y: 2}, {Op: OpAdd, Dst: 4, X: 3, Y: 1}}}
		m := Map{Set: GenericSet(), Prog: p, Dims: dims, In: []Operand{a, b}, Out: []Operand{c}}
		w, err := m.Work()
		require.NoError(t, err)
		execute(t, w, 2)
		for i := range total {
			var ai, bi int
			for d, q := rank-1, i; d >= 0; d-- {
				ai, bi = ai+q%dims[d]*a.Strides[d], bi+q%dims[d]*b.Strides[d]
				q /= dims[d]
			}
			require.Equal(t, av[ai]*0.5+bv[bi], cv[i], "dims %v strides %v %v element %d", dims, a.Strides, b.Strides, i)
		}
	}
}

func TestMapInPlaceWritesAfterTheLastRead(t *testing.T) {
	x := []float32{1, 2, 3}
	p := &Program{In: 1, Temps: 2, Out: []Reg{1}, // out = x·x, then a read of x follows the write
		Code: []Instr{{Op: OpSquare, Dst: 1, X: 0}, {Op: OpAdd, Dst: 2, X: 0, Y: 1}, {Op: OpAdd, Dst: 1, X: 2, Y: 0}}}
	o := Operand{ptr(x), []int{1}}
	w, err := (&Map{Set: GenericSet(), Prog: p, Dims: []int{3}, In: []Operand{o}, Out: []Operand{o}}).Work()
	require.NoError(t, err)
	execute(t, w, 1)
	require.Equal(t, []float32{3, 8, 15}, x)
}

func TestProgramValidate(t *testing.T) {
	for _, p := range []Program{
		{In: 1, Temps: 1, Out: []Reg{1}},
		{In: 1, Temps: 1, Code: []Instr{{Op: OpNeg, Dst: 0, X: 0}}, Out: []Reg{1}},
		{In: 1, Temps: 1, Code: []Instr{{Op: OpNeg, Dst: 1, X: 1}}, Out: []Reg{1}},
		{In: 1, Temps: 1, Code: []Instr{{Op: NumVecOps, Dst: 1}}, Out: []Reg{1}},
		{In: 1, Temps: 100, Code: []Instr{{Op: OpNeg, Dst: 1, X: 0}}, Out: []Reg{1}},
	} {
		require.Error(t, p.Validate())
	}
}
