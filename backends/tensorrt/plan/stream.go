package plan

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
)

// The engine section is a stream of tagged values. A tag is 0x00018000 + type;
// a record ends with the 16 bits ^(0x8000 + type). An array is tag 0x01 in 16
// bits, the tag of its elements, a 64-bit count, then the elements: bare ones
// of a number type, the fields of a record with its closing otherwise.
const (
	tagInt32   = 0x06
	tagUint32  = 0x07
	tagInt64   = 0x09
	tagChar    = 0x0c
	tagType    = 0x0d
	tagString  = 0x13
	tagFlow    = 0x28
	tagRanges  = 0x37 // the three shapes of one binding in a profile
	tagProfile = 0x39
	tagTensor  = 0x41
	tagIO      = 0x43
	tagDims    = 0x59
)

// Sizes that real plans stay far below; more is damage.
const (
	maxRecord   = 1 << 13
	maxBindings = 1 << 12
	maxProfiles = 1 << 8
	maxDims     = 8
)

var types = []string{"f32", "f16", "i8", "i32", "bool", "u8", "f8e4m3fn", "bf16", "i64", "i4", "f4e2m1", "f8e8m0"}

// copyOfProfile is how the bindings of the second and later profiles are named: the first's name with this behind.
var copyOfProfile = regexp.MustCompile(` \[profile [1-9][0-9]*\]$`)

func tag(t byte) []byte     { return []byte{t, 0x80, 1, 0} }
func closing(t byte) []byte { return binary.LittleEndian.AppendUint16(nil, ^(0x8000 + uint16(t))) }
func array(t byte) []byte   { return append([]byte{1, 0x80}, tag(t)...) }

// readBindings finds the tensors that go in and out, in the engine's order.
func readBindings(engine []byte) []Binding {
	var out []Binding
	rest := engine
	for range maxBindings {
		_, after, ok := bytes.Cut(rest, tag(tagIO))
		if !ok {
			break
		}
		rest = after
		record, _, ok := bytes.Cut(after[:min(len(after), maxRecord)], closing(tagIO))
		if !ok {
			continue
		}
		if b, ok := readBinding(record); ok && !copyOfProfile.MatchString(b.Name) {
			out = append(out, b)
		}
	}
	slices.SortStableFunc(out, func(a, b Binding) int { return int(a.index) - int(b.index) })
	return out
}

func readBinding(record []byte) (b Binding, ok bool) {
	_, s, ok := bytes.Cut(record, append(tag(tagTensor), tag(tagString)...))
	if !ok {
		return b, false
	}
	r := &reader{data: s}
	n := r.count(maxRecord)
	if !r.expect(array(tagChar)) || r.count(maxRecord) != n || n > len(r.data) || n == 0 {
		return b, false
	}
	b.Name, s = string(r.data[:n]), r.data[n:]
	b.Type = "unknown"
	if v, _, ok := number(s, tag(tagType), tag(tagUint32)); ok {
		b.Type = fmt.Sprintf("type %d", v)
		if v < uint32(len(types)) {
			b.Type = types[v]
		}
	}
	if v, after, ok := number(s, tag(tagFlow), tag(tagUint32)); ok {
		b.Input = v == 0
		// The binding's place among its like comes next.
		if bytes.HasPrefix(after, tag(tagInt32)) && len(after) >= 8 {
			b.index = int32(binary.LittleEndian.Uint32(after[4:]))
		}
	}
	if _, d, ok := bytes.Cut(s, append(tag(tagDims), tag(tagUint32)...)); ok {
		r := &reader{data: d}
		b.Shape, _ = r.dims()
		for i, d := range b.Shape {
			b.Shape[i] = max(d, -1) // open dimensions have numbers of their own below zero
		}
	}
	return b, true
}

// number is the 32-bit value after two tags, and what follows it.
func number(s []byte, outer, inner []byte) (v uint32, rest []byte, ok bool) {
	_, after, ok := bytes.Cut(s, append(bytes.Clone(outer), inner...))
	if !ok || len(after) < 4 {
		return 0, nil, false
	}
	return binary.LittleEndian.Uint32(after), after[4:], true
}

// readProfiles finds the optimization profiles: an array of profiles, in each an
// array with the minimum, optimum and maximum of every binding. Outputs and
// inputs without a range have a count of -1.
func readProfiles(engine []byte, bindings []Binding) []Profile {
	_, s, ok := bytes.Cut(engine, array(tagProfile))
	if !ok {
		return nil
	}
	r := &reader{data: s}
	var out []Profile
	for range r.count(maxProfiles) {
		if _, s, ok = bytes.Cut(r.data, array(tagRanges)); !ok {
			return nil
		}
		r.data = s
		n := r.count(maxBindings)
		if n != len(bindings) {
			return nil
		}
		p := Profile{}
		for i := range n {
			shapes, ok := r.ranges()
			if !ok {
				return nil
			}
			if bindings[i].Input && slices.Contains(bindings[i].Shape, -1) {
				p = append(p, Range{bindings[i].Name, shapes[0], shapes[1], shapes[2]})
			}
		}
		out = append(out, p)
	}
	if len(out) == 1 && len(out[0]) == 0 {
		return nil // an engine of fixed shapes has one profile that says nothing
	}
	return out
}

// reader takes values from the front of its data.
type reader struct{ data []byte }

func (r *reader) expect(b []byte) bool {
	ok := bytes.HasPrefix(r.data, b)
	if ok {
		r.data = r.data[len(b):]
	}
	return ok
}

// count reads a 64-bit count, 0 where it is over a limit.
func (r *reader) count(limit int) int {
	if len(r.data) < 8 {
		return 0
	}
	n := binary.LittleEndian.Uint64(r.data)
	r.data = r.data[8:]
	if n > uint64(limit) {
		return 0
	}
	return int(n)
}

// dims reads what follows the tags of a shape: its count of dimensions, then an array of them unless that is -1.
func (r *reader) dims() ([]int64, bool) {
	if len(r.data) < 4 {
		return nil, false
	}
	n := int32(binary.LittleEndian.Uint32(r.data))
	r.data = r.data[4:]
	if n < 0 {
		return nil, true
	}
	if n > maxDims || !r.expect(array(tagInt64)) || r.count(maxDims) != int(n) || len(r.data) < 8*int(n) {
		return nil, false
	}
	shape := make([]int64, n)
	for i := range shape {
		shape[i] = int64(binary.LittleEndian.Uint64(r.data[8*i:]))
	}
	r.data = r.data[8*n:]
	return shape, true
}

// ranges reads the three shapes of a binding.
func (r *reader) ranges() (shapes [3][]int64, ok bool) {
	if !r.expect(array(tagDims)) || r.count(3) != 3 {
		return shapes, false
	}
	for i := range shapes {
		if !r.expect(tag(tagUint32)) {
			return shapes, false
		}
		if shapes[i], ok = r.dims(); !ok || !r.expect(closing(tagDims)) {
			return shapes, false
		}
	}
	return shapes, r.expect(closing(tagRanges))
}
