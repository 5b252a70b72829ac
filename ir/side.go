package ir

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
)

// A side file holds the bytes of the constants that text names by digest:
// the magic, then for each constant its digest (8 bytes), its length (8 bytes,
// little-endian) and its bytes. Each digest stands once.

const sideMagic = "HONEDATA"

// WriteData writes the side file of a module printed with the given options.
func WriteData(w io.Writer, m *Module, opt PrintOptions) error {
	if _, err := io.WriteString(w, sideMagic); err != nil {
		return err
	}
	done := map[string]bool{}
	return EachRemote(m, opt, func(d *Data) error { return writeData(w, d, done) })
}

// EachRemote calls f for every constant that text with the given options
// names by its digest, in program order.
func EachRemote(m *Module, opt PrintOptions, f func(d *Data) error) error {
	if opt.Inline == 0 {
		opt.Inline = defaultInline
	}
	var err error
	for _, fn := range m.Funcs {
		fn.Body.Walk(func(op *Op) bool {
			for _, a := range op.Attrs {
				ds, _ := a.Value.([]*Data)
				if d, ok := a.Value.(*Data); ok {
					ds = []*Data{d}
				}
				for _, d := range ds {
					if opt.Inline >= 0 && d.Len() > opt.Inline && err == nil {
						err = f(d)
					}
				}
			}
			return err == nil
		})
	}
	return err
}

func writeData(w io.Writer, d *Data, done map[string]bool) error {
	digest, err := d.Digest()
	if err != nil || done[digest] {
		return err
	}
	done[digest] = true
	b, err := d.Wire()
	if err != nil {
		return err
	}
	head, err := hex.DecodeString(digest)
	if err != nil {
		return err
	}
	head = binary.LittleEndian.AppendUint64(head, uint64(len(b)))
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// ReadData returns a ParseOptions.Data over the bytes of a side file, which
// are not copied.
func ReadData(b []byte) (func(digest string) ([]byte, bool), error) {
	rest, ok := bytes.CutPrefix(b, []byte(sideMagic))
	if !ok {
		return nil, fmt.Errorf("this is not the side file of an IR dump: it does not begin with %s", sideMagic)
	}
	at := map[string][]byte{}
	for len(rest) > 0 {
		if len(rest) < 16 {
			return nil, fmt.Errorf("side file is cut off at byte %d", len(b)-len(rest))
		}
		n := binary.LittleEndian.Uint64(rest[8:])
		if n > uint64(len(rest)-16) {
			return nil, fmt.Errorf("side file is cut off: the constant at byte %d has %d bytes, %d are left", len(b)-len(rest), n, len(rest)-16)
		}
		at[hex.EncodeToString(rest[:8])] = rest[16 : 16+n : 16+n]
		rest = rest[16+n:]
	}
	return func(digest string) ([]byte, bool) { b, ok := at[digest]; return b, ok }, nil
}
