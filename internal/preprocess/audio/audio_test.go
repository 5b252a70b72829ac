package audio

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// chunk makes a RIFF chunk.
func chunk(id string, body ...byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(id), uint32(len(body)))
	b = append(b, body...)
	if len(body)%2 != 0 {
		b = append(b, 0)
	}
	return b
}

func wav(chunks ...[]byte) []byte {
	return chunk("RIFF", append([]byte("WAVE"), bytes.Join(chunks, nil)...)...)
}

func fmtChunk(code, channels int, rate uint32, bits int) []byte {
	b := binary.LittleEndian.AppendUint16(nil, uint16(code))
	b = binary.LittleEndian.AppendUint16(b, uint16(channels))
	b = binary.LittleEndian.AppendUint32(b, rate)
	b = binary.LittleEndian.AppendUint32(b, rate*uint32(channels*bits/8))
	b = binary.LittleEndian.AppendUint16(b, uint16(channels*bits/8))
	b = binary.LittleEndian.AppendUint16(b, uint16(bits))
	if code == 0xfffe {
		b = append(b, 22, 0, byte(bits), 0, 0, 0, 0, 0, 1, 0)
		b = append(b, make([]byte, 14)...)
	}
	return chunk("fmt ", b...)
}

func TestDecodesEveryEncoding(t *testing.T) {
	half := binary.LittleEndian.AppendUint32(nil, math.Float32bits(0.5))
	halfD := binary.LittleEndian.AppendUint64(nil, math.Float64bits(-0.5))
	for name, c := range map[string]struct {
		code, channels, bits int
		data                 []byte
		want                 []float32
	}{
		"8 bit":       {1, 1, 8, []byte{0, 128, 255}, []float32{-1, 0, 127. / 128}},
		"16 bit":      {1, 1, 16, []byte{0, 0x80, 0, 0x40}, []float32{-1, 0.5}},
		"24 bit":      {1, 1, 24, []byte{0, 0, 0x80, 0, 0, 0x40}, []float32{-1, 0.5}},
		"32 bit":      {1, 1, 32, []byte{0, 0, 0, 0x80, 0, 0, 0, 0x40}, []float32{-1, 0.5}},
		"float":       {3, 1, 32, half, []float32{0.5}},
		"double":      {3, 1, 64, halfD, []float32{-0.5}},
		"extensible":  {0xfffe, 1, 16, []byte{0, 0x40}, []float32{0.5}},
		"stereo":      {1, 2, 8, []byte{128, 192, 0, 128}, []float32{0, 0.5, -1, 0}},
		"odd remains": {1, 2, 8, []byte{128, 192, 0}, []float32{0, 0.5}},
		"silence":     {1, 1, 16, nil, []float32{}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := DecodeWAV(bytes.NewReader(wav(chunk("LIST", 1, 2, 3), fmtChunk(c.code, c.channels, 16000, c.bits), chunk("data", c.data...))))
			require.NoError(t, err)
			require.Equal(t, &Sound{16000, c.channels, c.want}, s)
		})
	}
}

func TestRefuses(t *testing.T) {
	data := chunk("data", 1, 2)
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"nothing":       {nil, "RIFF"},
		"no data":       {wav(fmtChunk(1, 1, 8000, 16)), "no samples"},
		"no format":     {wav(data), "before their format"},
		"short format":  {wav(chunk("fmt ", 1, 0), data), "format chunk of 2 bytes"},
		"adpcm":         {wav(fmtChunk(2, 1, 8000, 4), data), "format 2 with 4 bits"},
		"no channels":   {wav(fmtChunk(1, 0, 8000, 16), data), "0 channels"},
		"many channels": {wav(fmtChunk(1, 65535, 8000, 16), data), "65535 channels"},
		"no rate":       {wav(fmtChunk(1, 1, 0, 16), data), "0 samples a second"},
		"hostile rate":  {wav(fmtChunk(1, 1, 4294967291, 16), data), "4294967291 samples a second"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeWAV(bytes.NewReader(c.in))
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestMono(t *testing.T) {
	require.Equal(t, []float32{0.25, -0.5}, (&Sound{8000, 2, []float32{0, 0.5, -1, 0}}).Mono())
}

func sine(hz float64, rate, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Sin(2 * math.Pi * hz * float64(i) / float64(rate)))
	}
	return x
}

// A tone below both Nyquist frequencies stays the same tone; one above the
// new one goes.
func TestResample(t *testing.T) {
	for _, c := range []struct {
		from, to int
		hz       float64
		passes   bool
	}{
		{44100, 16000, 440, true}, {48000, 16000, 2000, true}, {8000, 16000, 1000, true},
		{16000, 44100, 3000, true}, {22050, 16000, 440, true}, {16001, 16000, 440, true},
		{48000, 16000, 11000, false}, {44100, 8000, 6000, false},
	} {
		got, err := Resample(sine(c.hz, c.from, c.from), c.from, c.to)
		require.NoError(t, err)
		require.Len(t, got, c.to)
		want := sine(c.hz, c.to, c.to)
		for i := 100; i < len(got)-100; i++ {
			if !c.passes {
				want[i] = 0
			}
			require.InDelta(t, want[i], got[i], 0.01, "%d to %d Hz, tone %g, sample %d", c.from, c.to, c.hz, i)
		}
	}
	_, err := Resample(make([]float32, 1<<20), 1, MaxRate)
	require.ErrorContains(t, err, "too many")
	got, err := Resample(nil, 44100, 16000)
	require.NoError(t, err)
	require.Empty(t, got)
}

func FuzzDecodeWAV(f *testing.F) {
	f.Add(wav(fmtChunk(1, 2, 16000, 16), chunk("data", 1, 2, 3, 4)))
	f.Add(wav(fmtChunk(0xfffe, 1, 44100, 24), chunk("data", 1, 2, 3)))
	f.Add(wav(chunk("LIST", 1), fmtChunk(3, 1, 8000, 64), chunk("data", make([]byte, 8)...)))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeWAV(bytes.NewReader(b))
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(s.Samples), len(b))
		require.Len(t, s.Mono(), len(s.Samples)/s.Channels)
	})
}
