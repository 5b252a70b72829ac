package tensor

import "fmt"

// FromWire makes a tensor from elements packed as ONNX packs raw_data:
// little-endian, sub-byte types several to a byte, lowest bits first. Where
// the layout in memory is the same, the tensor shares b. Strings have no wire
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
	per := 8 / bits
	for i := range t.Data {
		v := b[i/per] >> (i % per * bits) & mask
		if d.IsSigned() && v>>(bits-1) != 0 {
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
	per := 8 / bits
	b := make([]byte, t.DType.WireSize(len(t.Data)))
	for i, v := range t.Data {
		b[i/per] |= v & mask << (i % per * bits)
	}
	return b
}
