package rt_test

import (
	"math/rand/v2"
	"testing"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/stretchr/testify/require"
)

func TestMapBroadcastsAgainstNaiveLoops(t *testing.T) {
	eachSet(t, func(t *testing.T, set *rt.Set) { testMap(t, set) })
}

func testMap(t *testing.T, set *rt.Set) {
	r := rand.New(rand.NewPCG(3, 4))
	for range rounds(200) {
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
		operand := func(broadcast bool) (rt.Operand, []float32) {
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
			return rt.Operand{ptr(x), st}, x
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
		p := &rt.Program{In: 2, Consts: []float32{0.5}, Temps: 2, Out: []rt.Reg{4},
			Code: []rt.Instr{{Op: rt.OpMul, Dst: 3, X: 0, Y: 2}, {Op: rt.OpAdd, Dst: 4, X: 3, Y: 1}}}
		m := rt.Map{Set: set, Prog: p, Dims: dims, In: []rt.Operand{a, b}, Out: []rt.Operand{c}}
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
	set := rt.GenericSet()
	x := []float32{1, 2, 3}
	p := &rt.Program{In: 1, Temps: 2, Out: []rt.Reg{1}, // out = x·x, then a read of x follows the write
		Code: []rt.Instr{{Op: rt.OpSquare, Dst: 1, X: 0}, {Op: rt.OpAdd, Dst: 2, X: 0, Y: 1}, {Op: rt.OpAdd, Dst: 1, X: 2, Y: 0}}}
	o := rt.Operand{ptr(x), []int{1}}
	w, err := (&rt.Map{Set: set, Prog: p, Dims: []int{3}, In: []rt.Operand{o}, Out: []rt.Operand{o}}).Work()
	require.NoError(t, err)
	execute(t, w, 1)
	require.Equal(t, []float32{3, 8, 15}, x)
}

func TestProgramValidate(t *testing.T) {
	for _, p := range []rt.Program{
		{In: 1, Temps: 1, Out: []rt.Reg{1}},
		{In: 1, Temps: 1, Code: []rt.Instr{{Op: rt.OpNeg, Dst: 0, X: 0}}, Out: []rt.Reg{1}},
		{In: 1, Temps: 1, Code: []rt.Instr{{Op: rt.OpNeg, Dst: 1, X: 1}}, Out: []rt.Reg{1}},
		{In: 1, Temps: 1, Code: []rt.Instr{{Op: rt.NumVecOps, Dst: 1}}, Out: []rt.Reg{1}},
		{In: 1, Temps: 100, Code: []rt.Instr{{Op: rt.OpNeg, Dst: 1, X: 0}}, Out: []rt.Reg{1}},
	} {
		require.Error(t, p.Validate())
	}
}
