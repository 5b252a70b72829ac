package bundle

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// sample is a module with constants of several sizes, one of them twice.
func sample() *ir.Module {
	m := ir.NewModule("m", 28)
	b := ir.AtEnd(m.Main().Body)
	big := tensor.New(tensor.Float32, 300, 1000) // over a megabyte
	for i := range tensor.Of[float32](big) {
		tensor.Of[float32](big)[i] = float32(i)
	}
	x := b.Tensor(big)
	y := b.Tensor(tensor.From(tensor.Int8, make([]int8, 33), 33))
	z := b.Tensor(big.Clone())
	m.Main().Return([]string{"x", "y", "z"}, x, y, z)
	return m
}

func write(t testing.TB, m *ir.Module, others ...Section) []byte {
	var f memory
	require.NoError(t, Write(&f, m, others...))
	return f
}

// memory is a file in memory.
type memory []byte

func (f *memory) WriteAt(b []byte, at int64) (int, error) {
	if need := int(at) + len(b); need > len(*f) {
		*f = append(*f, make([]byte, need-len(*f))...)
	}
	return copy((*f)[at:], b), nil
}

func (f *memory) Truncate(size int64) error {
	*f = append(*f, make([]byte, max(0, int(size)-len(*f)))...)[:size]
	return nil
}

// Each constant is read once, a module's text included.
func TestWeightsAreReadOnce(t *testing.T) {
	m := ir.NewModule("m", 28)
	at := ir.AtEnd(m.Main().Body)
	reads := 0
	d := ir.LazyData(tensor.Float32, []int{1000, 1000}, func() (*tensor.Tensor, error) {
		reads++
		return tensor.New(tensor.Float32, 1000, 1000), nil
	})
	m.Main().Return([]string{"x"}, at.Constant(d))
	b, err := Read(write(t, m))
	require.NoError(t, err)
	require.NoError(t, b.Check())
	require.Equal(t, 1, reads)
}

func TestRoundTrip(t *testing.T) {
	data := write(t, sample(), Section{"facts", []byte(`{"a":1}`)})
	require.Equal(t, data, write(t, sample(), Section{"facts", []byte(`{"a":1}`)}), "the same module gives the same bytes")
	require.Less(t, len(data), 1_300_000, "equal constants are stored once")
	b, err := Read(data)
	require.NoError(t, err)
	require.NoError(t, b.Check())
	require.Equal(t, `{"a":1}`, string(b.Section("facts")))
	m, err := b.Module()
	require.NoError(t, err)
	want, err := ir.Print(sample())
	require.NoError(t, err)
	got, err := ir.Print(m)
	require.NoError(t, err)
	require.Equal(t, want, got)
	x, err := m.Main().Results()[0].Data().Tensor()
	require.NoError(t, err)
	require.Equal(t, float32(299_999), tensor.Of[float32](x)[299_999])
}

// Every single byte that is changed is noticed: at once outside of the
// weights, and by Check in them.
func TestDamageIsNoticed(t *testing.T) {
	data := write(t, sample())
	b, err := Read(data)
	require.NoError(t, err)
	weights := bytes.Index(data, b.Section(secWeights))
	for i := 0; i < len(data); i++ {
		if weights+4096 < i && i+9973 < weights+len(b.Section(secWeights)) {
			i += 9972
		}
		bad := bytes.Clone(data)
		bad[i] ^= 0x40
		b, err := Read(bad)
		if err == nil {
			err = b.Check()
		}
		if err == nil && inPadding(data, i) {
			continue
		}
		require.Error(t, err, "byte %d", i)
	}
	for n := 0; n < len(data); n += 1013 {
		_, err := Read(data[:n])
		require.Error(t, err, "cut at %d", n)
	}
}

// inPadding reports whether a byte belongs to no section: those between them,
// and the unused ones of the header and the weights' own table entry.
func inPadding(data []byte, i int) bool {
	if i >= 28 && i < headerSize {
		return true
	}
	b, err := Read(data)
	if err != nil || i < headerSize+len(b.names)*entrySize {
		return false
	}
	for _, s := range b.Sections() {
		if start := bytes.Index(data, s.Data[:min(64, len(s.Data))]); len(s.Data) > 0 && i >= start && i < start+len(s.Data) {
			return false
		}
	}
	return true
}

func FuzzRead(f *testing.F) {
	m := ir.NewModule("m", 28)
	v := ir.AtEnd(m.Main().Body).Tensor(tensor.New(tensor.Float32, 5, 5))
	m.Main().Return([]string{"x"}, v)
	f.Add(write(f, m))
	f.Fuzz(func(_ *testing.T, data []byte) {
		b, err := Read(data)
		if err != nil {
			return
		}
		_ = b.Check()
		_, _ = b.Module()
	})
}
