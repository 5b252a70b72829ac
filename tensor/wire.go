package tensor

import "fmt"

// FromWire makes a tensor from elements packed as ONNX packs raw_data:
// little-endian, sub-byte types as one stream of bits, lowest bits first, that
// ends in zeros. Where the layout in memory is the same, the tensor shares b. Strings have no wire
// form.
func FromWire(d DType, shape []int, b []byte) (*Tensor, error) {
	n, err := NumElements(shape)
	if err != nil {
		return nil, err
	}
	if !d.Valid() || d == String {
		return nil, fmt.Errorf("%s elements have no raw form", d)
	}
	if n > (1<<62)/max(d.Bits(), 1) || d.WireSize(n) != len(b) {
		return nil, fmt.Errorf("%s%v takes %d bytes, found %d", d, shape, d.WireSize(n), len(b))
	}
	if !d.IsSubByte() {
		return &Tensor{DType: d, Shape: append([]int{}, shape...), Data: b}, nil
	}
	t := New(d, shape...)
	bits := d.Bits()
	mask := byte(1)<<bits - 1
	for i := range t.Data {
		at := i * bits
		v := b[at/8] >> (at % 8)
		if at%8+bits > 8 { // the rest is in the next byte
			v |= b[at/8+1] << (8 - at%8)
		}
		if v &= mask; d.IsSigned() && v>>(bits-1) != 0 {
			v |= ^mask
		}
		t.Data[i] = v
	}
	return t, nil
}

// Wire returns the elements packed as FromWire takes them. It shares the
// tensor's memory where the two layouts agree.
func (t *Tensor) Wire() []byte {
	if !t.DType.IsSubByte() {
		return t.Data
	}
	bits := t.DType.Bits()
	mask := byte(1)<<bits - 1
	b := make([]byte, t.DType.WireSize(len(t.Data)))
	for i, v := range t.Data {
		at := i * bits
		b[at/8] |= v & mask << (at % 8)
		if at%8+bits > 8 {
			b[at/8+1] |= v & mask >> (8 - at%8)
		}
	}
	return b
}
