// Package plan reads TensorRT for RTX engine plans without NVIDIA's library:
// version, target GPUs, bindings, profiles, layers, weight bytes, and the names
// of the kernels that the builder generated.
//
// None of the format is documented; what is read here was found by comparing
// plans, and is the same for versions 1.4 to 1.7. A plan is a header, an engine
// section and a weights section:
//
//	0x00 "vtrt"   0x08 sections   0x10 size of the file
//	0x18 version, four bytes      0x1c "vtrt"
//	0x20 mask of compute capabilities
//	0x38 bytes of weights
//	0x40 section table: tag (letters reversed), offset, size; then the sections
//	last word 0x8b8d8b99
//
// The engine section is a stream of tagged values with the builder's programs
// inside as text. The reader takes what it knows, checks every size against the
// bytes at hand, and is silent about the rest.
package plan

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Plan is what a plan tells of itself.
type Plan struct {
	Version      [4]int         `json:"version"` // major, minor, patch, build
	Size         int64          `json:"size"`    // bytes of the whole plan
	WeightBytes  int64          `json:"weight_bytes"`
	Capabilities []int          `json:"capabilities"`           // compute capabilities it was built for, as 86
	UnknownMask  uint64         `json:"unknown_mask,omitempty"` // bits of the capability mask that stand for others
	Sections     []Section      `json:"sections"`
	Bindings     []Binding      `json:"bindings"`
	Profiles     []Profile      `json:"profiles,omitempty"`
	Layers       []Layer        `json:"layers"`  // what the engine runs, in the order of the program
	Kernels      map[string]int `json:"kernels"` // generated kernels (kept as source text) by name, with how many
}

// Section is a part of the file.
type Section struct {
	Tag    string `json:"tag"`
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"`
}

// Binding is an input or output of the engine.
type Binding struct {
	Name  string  `json:"name"`
	Input bool    `json:"input"`
	Type  string  `json:"type"`
	Shape []int64 `json:"shape"` // -1 where open
	index int32
}

// Range is the smallest, usual and largest shape of an input in a profile.
type Range struct {
	Input string  `json:"input"`
	Min   []int64 `json:"min"`
	Opt   []int64 `json:"opt"`
	Max   []int64 `json:"max"`
}

// Profile is an optimization profile.
type Profile []Range

// Layer is one step of the engine's program.
type Layer struct {
	Kind   string   `json:"kind"`   // function (a generated kernel), fully_connected, corrltn (a convolution), runtime_fusion, memset, ...
	Name   string   `json:"name"`   // as the builder calls it
	Origin []string `json:"origin"` // names of the ONNX nodes it came from
}

// AttentionKernels counts the layers that run a fused attention kernel.
func (p *Plan) AttentionKernels() int {
	n := 0
	for _, l := range p.Layers {
		if l.isAttention() {
			n++
		}
	}
	return n
}

// capabilityBits are the bits of the mask at 0x20, in the order of the library's own list.
var capabilityBits = []int{75, 80, 86, 89, 120, 121}

// HeadSize is the size of a plan's header, which [Is] needs at most.
const HeadSize = 0x70

// tail is a plan's last word: "trtf" with every bit turned.
const tail = 0x8b8d8b99

var errNotPlan = errors.New("not a plan of TensorRT for RTX")

// Is reports whether data begins like a plan.
func Is(data []byte) bool {
	return len(data) >= 0x20 && string(data[:4]) == "vtrt" && string(data[0x1c:0x20]) == "vtrt"
}

// Read reads a plan. The result keeps nothing of data.
func Read(data []byte) (*Plan, error) {
	if len(data) < HeadSize || !Is(data) {
		return nil, errNotPlan
	}
	le := binary.LittleEndian
	p := &Plan{Size: int64(len(data)), WeightBytes: int64(le.Uint64(data[0x38:]))}
	for i := range p.Version {
		p.Version[i] = int(data[0x18+i])
	}
	if size := le.Uint64(data[0x10:]); size != uint64(len(data)) {
		return nil, fmt.Errorf("the plan says it has %d bytes and has %d", size, len(data))
	}
	if le.Uint32(data[len(data)-4:]) != tail {
		return nil, errors.New("the plan does not end as one: it is cut short or damaged")
	}
	if p.WeightBytes < 0 || p.WeightBytes > p.Size {
		return nil, fmt.Errorf("the plan says it has %d bytes of weights in %d", uint64(p.WeightBytes), p.Size)
	}
	mask := le.Uint64(data[0x20:])
	for i, sm := range capabilityBits {
		if mask>>i&1 != 0 {
			p.Capabilities = append(p.Capabilities, sm)
		}
	}
	p.UnknownMask = mask >> len(capabilityBits) << len(capabilityBits)
	return p, p.sections(data)
}

func (p *Plan) sections(data []byte) error {
	le := binary.LittleEndian
	n := le.Uint32(data[8:])
	if n > 2 {
		return fmt.Errorf("the plan has %d sections, where 2 are known", n)
	}
	for i := range int(n) {
		e := data[0x40+24*i:]
		s := Section{Tag: reversed(e[:8])}
		offset, size := le.Uint64(e[8:]), le.Uint64(e[16:])
		if offset > uint64(len(data)) || size > uint64(len(data))-offset {
			return fmt.Errorf("section %q of %d bytes at %d lies outside the plan of %d", s.Tag, size, offset, len(data))
		}
		s.Offset, s.Size = int64(offset), int64(size)
		p.Sections = append(p.Sections, s)
		if s.Tag == "ENGN" {
			engine := data[offset : offset+size]
			p.Bindings = readBindings(engine)
			p.Profiles = readProfiles(engine, p.Bindings)
			p.Layers = readLayers(engine)
			p.Kernels = readKernels(engine)
		}
	}
	return nil
}

// reversed is a section's tag, which is kept as a little-endian number.
func reversed(tag []byte) string {
	t := bytes.TrimRight(bytes.Clone(tag), "\x00")
	slices.Reverse(t)
	return string(t)
}
