package imaging

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hone-ml/hone/internal/npy"
	"github.com/stretchr/testify/require"
)

// golden reads what Pillow made (testdata/make.py).
func golden(t *testing.T, name string) *Picture {
	t.Helper()
	a, err := npy.ReadFile(filepath.Join("testdata", name+".npy"))
	require.NoError(t, err)
	p := &Picture{H: a.Shape[0], W: a.Shape[1], Channels: 1, Pix: a.Data}
	if a.Rank() == 3 {
		p.Channels = a.Shape[2]
	}
	return p
}

// near checks that no value differs by more than levels.
func near(t *testing.T, want, got *Picture, levels int) {
	t.Helper()
	require.Equal(t, [3]int{want.W, want.H, want.Channels}, [3]int{got.W, got.H, got.Channels})
	worst := 0
	for i := range want.Pix {
		worst = max(worst, int(want.Pix[i])-int(got.Pix[i]), int(got.Pix[i])-int(want.Pix[i]))
	}
	require.LessOrEqual(t, worst, levels)
}

func load(t *testing.T, name string) *Picture {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	require.NoError(t, err)
	defer f.Close()
	p, err := Decode(f, 0)
	require.NoError(t, err)
	return p
}

func TestDecodesAsPillow(t *testing.T) {
	for name, levels := range map[string]int{
		"rgb.png": 0, "alpha.png": 0, "grey.png": 0, "palette.png": 0, "still.gif": 0, "plain.bmp": 0,
		"orient1.png": 0, "orient2.png": 0, "orient3.png": 0, "orient4.png": 0,
		"orient5.png": 0, "orient6.png": 0, "orient7.png": 0, "orient8.png": 0,
		"orient6.webp": 0, "lossless.webp": 0, "lossy.webp": 0, "alpha.webp": 0,
		// The inverse DCTs of Go and libjpeg round differently.
		"grey.jpg": 1, "s444.jpg": 2, "s422.jpg": 2, "s420.jpg": 2, "progressive.jpg": 2, "orient6.jpg": 2,
	} {
		t.Run(name, func(t *testing.T) { near(t, golden(t, name), load(t, name), levels) })
	}
}

func TestResizesAsPillow(t *testing.T) {
	rgb := load(t, "rgb.png")
	for _, f := range []Filter{Nearest, Bilinear, Bicubic} {
		for _, s := range [][2]int{{16, 11}, {50, 41}, {37, 10}, {74, 29}, {3, 60}} {
			name := fmt.Sprintf("_%s_%dx%d", f, s[0], s[1])
			t.Run(name, func(t *testing.T) {
				near(t, golden(t, "resize"+name), rgb.Resize(s[0], s[1], f), 0)
				near(t, golden(t, "resizegrey"+name), rgb.Grey().Resize(s[0], s[1], f), 0)
			})
		}
	}
	require.ErrorContains(t, Filter("lanczos").Valid(), "bicubic")
}

// grid is a grey picture whose pixels are numbered from 1.
func grid(w, h int) *Picture {
	p := New(w, h, 1)
	for i := range p.Pix {
		p.Pix[i] = uint8(i + 1)
	}
	return p
}

func TestCropAndPad(t *testing.T) {
	p := grid(4, 3)
	require.Equal(t, []uint8{2, 3, 6, 7, 10, 11}, p.CentreCrop(2, 3, []uint8{9}).Pix)
	require.Equal(t, []uint8{0, 5, 6, 7, 8, 0}, p.CentreCrop(6, 1, []uint8{0}).Pix)
	require.Equal(t, []uint8{9, 9, 9, 1}, p.Place(2, 2, 1, 1, []uint8{9}).Pix)
	require.Equal(t, []uint8{9}, p.Place(1, 1, 5, 5, []uint8{9}).Pix)
	require.Equal(t, []uint8{1, 1, 1, 2, 2, 2}, grid(2, 1).RGB().Pix)
}

func TestRefuses(t *testing.T) {
	bomb, err := os.ReadFile("testdata/rgb.png")
	require.NoError(t, err)
	binary.BigEndian.PutUint32(bomb[16:], 1<<20)
	binary.BigEndian.PutUint32(bomb[20:], 1<<20)
	gifBomb := []byte("GIF89a\xff\xff\xff\xff\x00\x00\x00")
	bmpBomb := append([]byte("BM"), make([]byte, 52)...)
	copy(bmpBomb[10:], "\x36\x00\x00\x00\x28\x00\x00\x00\xff\xff\xff\x0f\xff\xff\xff\x0f\x01\x00\x18")
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"nothing":  {nil, "not an image"},
		"text":     {[]byte("hello"), "not an image"},
		"png bomb": {bomb, "png image"},
		"gif bomb": {gifBomb, "65535 x 65535 pixels"},
		"bmp bomb": {bmpBomb, "pixels, at most"},
		"cut off":  {bomb[:20], "png image"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode(bytes.NewReader(c.in), 0)
			require.ErrorContains(t, err, c.want)
		})
	}
	f, err := os.Open("testdata/rgb.png")
	require.NoError(t, err)
	defer f.Close()
	_, err = Decode(f, 1000)
	require.ErrorContains(t, err, "37 x 29 pixels, at most 1000")
}

func FuzzDecode(f *testing.F) {
	names, err := filepath.Glob("testdata/*")
	require.NoError(f, err)
	for _, name := range names {
		if b, err := os.ReadFile(name); err == nil && !strings.HasSuffix(name, ".npy") {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := Decode(bytes.NewReader(b), 1<<16); err == nil {
			require.Len(t, p.Pix, p.W*p.H*p.Channels)
		}
	})
}

func BenchmarkResize(b *testing.B) {
	p := New(1024, 768, 3)
	for b.Loop() {
		p.Resize(341, 256, Bicubic)
	}
}
