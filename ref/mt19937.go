package ref

// MersenneTwister is MT19937 (Matsumoto and Nishimura, 1998), seeded and read
// as NumPy's RandomState does, so that seeded ops draw what ONNX's reference draws.
type MersenneTwister struct {
	state [624]uint32
	next  int
}

// NewMersenneTwister returns a generator with the given seed.
func NewMersenneTwister(seed uint32) *MersenneTwister {
	m := &MersenneTwister{next: 624}
	for i := range m.state {
		m.state[i] = seed
		seed = 1812433253*(seed^seed>>30) + uint32(i) + 1
	}
	return m
}

func (m *MersenneTwister) uint32() uint32 {
	if m.next == len(m.state) {
		for i, s := range m.state {
			y := s&(1<<31) | m.state[(i+1)%624]&(1<<31-1)
			m.state[i] = m.state[(i+397)%624] ^ y>>1 ^ y&1*0x9908b0df
		}
		m.next = 0
	}
	y := m.state[m.next]
	m.next++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// Float64 returns a number in [0, 1) with 53 random bits.
func (m *MersenneTwister) Float64() float64 {
	high, low := m.uint32()>>5, m.uint32()>>6
	return (float64(high)*(1<<26) + float64(low)) / (1 << 53)
}
