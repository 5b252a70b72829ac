// Package bundle reads and writes .hone files: an optimized module, its packed
// weights, and whatever goes with them, in one file that is mapped and used
// as it lies.
//
// A file is a header, a table of sections, and the sections:
//
//	header    magic "HONE\r\n\x1a\n", version uint32, number of sections uint32,
//	          length of the file uint64, CRC-32C of the table uint32, 4 zero bytes
//	table     one entry a section: name [16]byte, offset uint64, length uint64,
//	          CRC-32C uint32, 4 zero bytes
//	weights   the constants, each at a multiple of 64 bytes of the file
//	ir        the module as IR text, deflated (RFC 1951)
//	index     where each constant lies in weights: digest, offset, length
//	checksums a CRC-32C for each megabyte of weights
//	others    JSON: the preprocessing spec, facts about the compilation
//
// All numbers are little-endian. The same module gives the same bytes on any
// machine. Everything but the weights is checked when a file is opened; the
// weights are when Check is called, so that opening does not read them.
package bundle

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/hone-ml/hone/internal/mmap"
	"github.com/hone-ml/hone/ir"
)

const (
	magic       = "HONE\r\n\x1a\n"
	version     = 2
	headerSize  = 32
	entrySize   = 40
	indexSize   = 24
	constAlign  = 64
	chunk       = 1 << 20
	maxSections = 64
	maxText     = 1 << 28

	secIR      = "ir"
	secIndex   = "index"
	secSums    = "checksums"
	secWeights = "weights"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Section is a named part of a bundle besides the module.
type Section struct {
	Name string // at most 16 bytes
	Data []byte
}

// Bundle is an opened file.
type Bundle struct {
	file     *mmap.File
	sections map[string][]byte
	names    []string
}

type entry struct {
	name           string
	offset, length uint64
	crc            uint32
}

// File is what a bundle is written to: an empty file.
type File interface {
	io.WriterAt
	Truncate(size int64) error
}

// Write writes a module and further sections. The weights come first, and the
// text behind them, so that the digests in the text, the checksums and the file
// come of reading each constant once.
func Write(w File, m *ir.Module, others ...Section) error {
	if len(others) > maxSections-4 {
		return fmt.Errorf("%d sections are more than %d", len(others)+4, maxSections)
	}
	start := alignTo(uint64(headerSize+entrySize*(len(others)+4)), constAlign)
	consts, err := writeWeights(io.NewOffsetWriter(w, int64(start)), m)
	if err != nil {
		return err
	}
	if err := w.Truncate(int64(start + consts.size)); err != nil {
		return err
	}
	text, err := deflated(m)
	if err != nil {
		return err
	}
	parts := append([]Section{{secIR, text}, {secIndex, consts.index}, {secSums, consts.sums.finish()}}, others...)
	entries := []entry{{secWeights, start, consts.size, 0}}
	at := start + consts.size
	for _, p := range parts {
		if len(p.Name) > 16 {
			return fmt.Errorf("section name %q is longer than 16 bytes", p.Name)
		}
		at = alignTo(at, constAlign)
		if _, err := w.WriteAt(p.Data, int64(at)); err != nil {
			return err
		}
		entries = append(entries, entry{p.Name, at, uint64(len(p.Data)), crc32.Checksum(p.Data, castagnoli)})
		at += uint64(len(p.Data))
	}
	_, err = w.WriteAt(header(entries, at), 0)
	return err
}

// deflated returns the module's text, compressed.
func deflated(m *ir.Module) ([]byte, error) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if err := ir.Fprint(w, m, ir.PrintOptions{}); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// inflated is the inverse of deflated, in bounded memory.
func inflated(b []byte) (string, error) {
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(b)), maxText+1))
	if err != nil {
		return "", fmt.Errorf("the bundle is damaged: section %s: %w", secIR, err)
	}
	if len(text) > maxText {
		return "", fmt.Errorf("section %s holds more than %d bytes of text", secIR, maxText)
	}
	return string(text), nil
}

func alignTo(n, a uint64) uint64 { return (n + a - 1) / a * a }

func header(entries []entry, length uint64) []byte {
	var table []byte
	for _, e := range entries {
		var name [16]byte
		copy(name[:], e.name)
		table = append(table, name[:]...)
		table = binary.LittleEndian.AppendUint64(table, e.offset)
		table = binary.LittleEndian.AppendUint64(table, e.length)
		table = binary.LittleEndian.AppendUint32(table, e.crc)
		table = append(table, 0, 0, 0, 0)
	}
	h := []byte(magic)
	h = binary.LittleEndian.AppendUint32(h, version)
	h = binary.LittleEndian.AppendUint32(h, uint32(len(entries)))
	h = binary.LittleEndian.AppendUint64(h, length)
	h = binary.LittleEndian.AppendUint32(h, crc32.Checksum(table, castagnoli))
	h = append(h, 0, 0, 0, 0)
	return append(h, table...)
}

// weights are the constants on their way into a file.
type weights struct {
	w     io.WriterAt
	index []byte
	size  uint64 // of what is written, and where the next constant goes
	sums  summer // of it
}

// writeWeights writes every constant that the text names by digest, once.
func writeWeights(w io.WriterAt, m *ir.Module) (*weights, error) {
	c := &weights{w: w}
	seen := map[string]bool{}
	err := ir.EachRemote(m, ir.PrintOptions{}, func(d *ir.Data) error {
		before := *c
		before.sums.sums = slices.Clip(before.sums.sums)
		digest, err := d.WriteWire(c)
		if err != nil {
			return err
		}
		if seen[digest] { // known only now: what follows is written over it
			*c = before
			return nil
		}
		seen[digest] = true
		raw, err := hex.DecodeString(digest)
		if err != nil {
			return err
		}
		c.index = append(c.index, raw...)
		c.index = binary.LittleEndian.AppendUint64(c.index, before.size)
		c.index = binary.LittleEndian.AppendUint64(c.index, c.size-before.size)
		_, err = c.Write(zeros[:alignTo(c.size, constAlign)-c.size])
		return err
	})
	return c, err
}

// Write implements io.Writer.
func (c *weights) Write(b []byte) (int, error) {
	n, err := c.w.WriteAt(b, int64(c.size))
	if err == nil {
		c.size += uint64(n)
		_, err = c.sums.Write(b)
	}
	return n, err
}

var zeros [constAlign]byte

// summer is a writer that takes the CRC of every chunk.
type summer struct {
	crc  uint32
	n    int
	sums []byte
}

func (s *summer) Write(b []byte) (int, error) {
	total := len(b)
	for len(b) > 0 {
		k := min(len(b), chunk-s.n)
		s.crc = crc32.Update(s.crc, castagnoli, b[:k])
		b = b[k:]
		if s.n += k; s.n == chunk {
			s.next()
		}
	}
	return total, nil
}

func (s *summer) next() {
	s.sums = binary.LittleEndian.AppendUint32(s.sums, s.crc)
	s.crc, s.n = 0, 0
}

func (s *summer) finish() []byte {
	if s.n > 0 {
		s.next()
	}
	return s.sums
}

// IsBundle reports whether b begins like a bundle.
func IsBundle(b []byte) bool { return bytes.HasPrefix(b, []byte(magic)) }

// Open maps a file and checks everything but the weights.
func Open(path string) (*Bundle, error) {
	f, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := Read(f.Bytes())
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	b.file = f
	return b, nil
}

// Read checks the bytes of a bundle, which are not copied.
func Read(data []byte) (*Bundle, error) {
	if !IsBundle(data) || len(data) < headerSize {
		return nil, fmt.Errorf("this is no hone bundle")
	}
	if v := binary.LittleEndian.Uint32(data[8:]); v != version {
		return nil, fmt.Errorf("the bundle has format %d, this hone reads %d: compile the model again", v, version)
	}
	n := binary.LittleEndian.Uint32(data[12:])
	if l := binary.LittleEndian.Uint64(data[16:]); l != uint64(len(data)) {
		return nil, fmt.Errorf("the bundle is damaged: it should have %d bytes and has %d", l, len(data))
	}
	if n > maxSections || headerSize+entrySize*int(n) > len(data) {
		return nil, fmt.Errorf("the bundle is damaged: %d sections", n)
	}
	table := data[headerSize : headerSize+entrySize*int(n)]
	if crc32.Checksum(table, castagnoli) != binary.LittleEndian.Uint32(data[24:]) {
		return nil, fmt.Errorf("the bundle is damaged: its table of sections does not match its checksum")
	}
	b := &Bundle{sections: map[string][]byte{}}
	for i := range int(n) {
		e := table[i*entrySize:]
		name := string(bytes.TrimRight(e[:16], "\x00"))
		off, length := binary.LittleEndian.Uint64(e[16:]), binary.LittleEndian.Uint64(e[24:])
		if off > uint64(len(data)) || length > uint64(len(data))-off {
			return nil, fmt.Errorf("the bundle is damaged: section %s leaves the file", name)
		}
		s := data[off : off+length : off+length]
		if name != secWeights && crc32.Checksum(s, castagnoli) != binary.LittleEndian.Uint32(e[32:]) {
			return nil, fmt.Errorf("the bundle is damaged: section %s does not match its checksum", name)
		}
		b.sections[name] = s
		b.names = append(b.names, name)
	}
	for _, name := range []string{secIR, secIndex, secSums, secWeights} {
		if !slices.Contains(b.names, name) {
			return nil, fmt.Errorf("the bundle is damaged: it has no section %s", name)
		}
	}
	if len(b.sections[secIndex])%indexSize != 0 {
		return nil, fmt.Errorf("the bundle is damaged: its index has %d bytes", len(b.sections[secIndex]))
	}
	return b, nil
}

// Close unmaps the file. The module's constants must not be read any more.
func (b *Bundle) Close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}

// Section returns a section by name, nil where there is none.
func (b *Bundle) Section(name string) []byte { return b.sections[name] }

// Sections lists the names and sizes of all sections in file order.
func (b *Bundle) Sections() []Section {
	var list []Section
	for _, n := range b.names {
		list = append(list, Section{n, b.sections[n]})
	}
	return list
}

// Module parses the IR. Its constants are views into the file.
func (b *Bundle) Module() (*ir.Module, error) {
	index, weights := b.sections[secIndex], b.sections[secWeights]
	at := make(map[string][]byte, len(index)/indexSize)
	for i := 0; i < len(index); i += indexSize {
		off, n := binary.LittleEndian.Uint64(index[i+8:]), binary.LittleEndian.Uint64(index[i+16:])
		if off > uint64(len(weights)) || n > uint64(len(weights))-off {
			return nil, fmt.Errorf("the bundle is damaged: constant %x leaves the weights", index[i:i+8])
		}
		at[hex.EncodeToString(index[i:i+8])] = weights[off : off+n : off+n]
	}
	text, err := inflated(b.sections[secIR])
	if err != nil {
		return nil, err
	}
	return ir.Parse(text, ir.ParseOptions{Data: func(digest string) ([]byte, bool) {
		d, ok := at[digest]
		return d, ok
	}})
}

// Check reads all weights and compares them with their checksums.
func (b *Bundle) Check() error {
	s := &summer{}
	_, _ = s.Write(b.sections[secWeights])
	got, want := s.finish(), b.sections[secSums]
	if len(got) != len(want) {
		return fmt.Errorf("the bundle is damaged: %d checksums for %d bytes of weights", len(want)/4, len(b.sections[secWeights]))
	}
	for i := 0; i < len(got); i += 4 {
		if !bytes.Equal(got[i:i+4], want[i:i+4]) {
			return fmt.Errorf("the bundle is damaged: the weights differ from their checksum in megabyte %d", i/4)
		}
	}
	return nil
}
