package ptx

import "math/bits"

// Launch is one start of an entry: Threads threads, from element Start on. The
// vectorised entry takes Lanes elements a thread.
type Launch struct {
	Entry   string
	Lanes   int
	Start   int
	Threads int
}

// Lanes is how many elements a thread of the vectorised entry takes: 16 bytes of
// the widest tensor, 32 where that has integers of 64 bits.
func (k *Kernel) Lanes() int {
	for _, in := range k.Inputs {
		if in.Broadcast == Full && in.Type.Size() >= 4 {
			return 4
		}
	}
	for _, o := range k.Outputs {
		if k.typeOf(o).Size() >= 4 {
			return 4
		}
	}
	return 8
}

// Entry names: the vectorised one, and the one for elements that are left over
// or whose broadcast vectors are not a whole number of lanes long.
func (k *Kernel) vectorEntry() string { return k.Name + "_vector" }
func (k *Kernel) scalarEntry() string { return k.Name + "_scalar" }

// Launches says what to start for tensors of a shape.
func (k *Kernel) Launches(s Shape) (out []Launch) {
	lanes := k.Lanes()
	s = s.whole()
	whole := s.N / lanes
	for _, in := range k.Inputs {
		if in.Broadcast == Row && s.R%lanes != 0 || in.Broadcast == Channel && s.Inner%lanes != 0 || in.Broadcast == Gap && s.GapInner%lanes != 0 {
			whole = 0
		}
	}
	if whole > 0 {
		out = append(out, Launch{k.vectorEntry(), lanes, 0, whole})
	}
	if rest := s.N - whole*lanes; rest > 0 {
		out = append(out, Launch{k.scalarEntry(), 1, whole * lanes, rest})
	}
	return out
}

// Args are the numbers behind the pointers in an entry's parameters: start, n,
// then R, C, inner and those of gaps, each with what divides by it.
func (s Shape) Args(l Launch) []uint32 {
	s = s.whole()
	args := []uint32{uint32(l.Start), uint32(s.N)}
	for _, n := range []int{s.R, s.C, s.Inner, s.Gap, s.GapInner, s.GapOuter} {
		m, shift := divider(uint32(n))
		args = append(args, uint32(n), m, shift)
	}
	return args
}

// divider gives m and shift with n / d == high word of n*m >> shift for every n
// below 2^31 and d over 1 (Granlund and Montgomery, 1994: m rounds 2^(31+l)/d up,
// l the bits of d-1).
func divider(d uint32) (m, shift uint32) {
	if d <= 1 {
		return 0, 0
	}
	l := uint32(bits.Len32(d - 1))
	return uint32((uint64(1)<<(31+l) + uint64(d) - 1) / uint64(d)), l - 1
}

// Entries are the names of the kernel's entries.
func (k *Kernel) Entries() []string { return []string{k.vectorEntry(), k.scalarEntry()} }
