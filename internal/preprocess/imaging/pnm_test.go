package imaging

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPNM(t *testing.T) {
	for name, c := range map[string]struct {
		file     string
		channels int
		want     []uint8
	}{
		"bits":         {"P1\n# two by two\n2 2\n1 0\n01\n", 1, []uint8{0, 255, 255, 0}},
		"packed bits":  {"P4 2 2\n\x80\x40", 1, []uint8{0, 255, 255, 0}},
		"grey":         {"P2 2 2 15\n0 15\n5 10\n", 1, []uint8{0, 255, 85, 170}},
		"packed grey":  {"P5 2 2 255\n\x00\x01\x02\xff", 1, []uint8{0, 1, 2, 255}},
		"colour":       {"P3 1 1 255 9 8 7", 3, []uint8{9, 8, 7}},
		"packed bytes": {"P6 1 2 255\n\x01\x02\x03\x04\x05\x06", 3, []uint8{1, 2, 3, 4, 5, 6}},
	} {
		p, err := DecodeAsStored([]byte(c.file), 0)
		require.NoError(t, err, name)
		require.Equal(t, c.channels, p.Channels, name)
		require.Equal(t, c.want, p.Pix, name)
	}
	for file, want := range map[string]string{
		"P5 2 2 255\n\x00":       "EOF",
		"P5 2 x":                 "unexpected byte",
		"P5 2":                   "EOF",
		"P5 99999999999 1 1":     "too large",
		"P5 1000000 1000000 9\n": "at most",
		"P5 1 1 65535\n\x00\x00": "at most 255",
	} {
		_, err := DecodeAsStored([]byte(file), 0)
		require.ErrorContains(t, err, want, file)
	}
	_, err := DecodeAsStored([]byte("\xff\x4f\xff\x51rest"), 0)
	require.ErrorContains(t, err, "JPEG 2000")
}
