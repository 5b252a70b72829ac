// Package audio reads WAV sounds, mixes them to mono and resamples them. It
// knows nothing of tensors or models.
package audio

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// MaxBytes is the largest file that DecodeWAV takes. MinRate and MaxRate bound
// sampling rates, in Hz.
const (
	MaxBytes = 1 << 29
	MinRate  = 1_000
	MaxRate  = 768_000

	maxChannels = 64
)

// Sound is sampled audio: Samples interleaves the channels, from -1 to 1.
type Sound struct {
	Rate, Channels int
	Samples        []float32
}

// encoding is how a WAV file holds one sample.
type encoding struct {
	format, bits int
	value        func(b []byte) float32
}

var encodings = []encoding{
	{1, 8, func(b []byte) float32 { return (float32(b[0]) - 128) / 128 }},
	{1, 16, func(b []byte) float32 { return float32(int16(binary.LittleEndian.Uint16(b))) / (1 << 15) }},
	{1, 24, func(b []byte) float32 {
		return float32(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24)>>8) / (1 << 23)
	}},
	{1, 32, func(b []byte) float32 { return float32(float64(int32(binary.LittleEndian.Uint32(b))) / (1 << 31)) }},
	{3, 32, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }},
	{3, 64, func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }},
}

// DecodeWAV reads a RIFF WAVE file with PCM samples of 8, 16, 24 or 32 bits or
// float samples of 32 or 64.
func DecodeWAV(r io.Reader) (*Sound, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("WAV file passes %d bytes", MaxBytes)
	}
	s, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("WAV sound: %w", err)
	}
	return s, nil
}

func decode(b []byte) (*Sound, error) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, fmt.Errorf("the file does not begin with RIFF and WAVE")
	}
	var s *Sound
	var enc *encoding
	for b = b[12:]; len(b) >= 8; {
		id, size := string(b[:4]), int64(binary.LittleEndian.Uint32(b[4:]))
		b = b[8:]
		body := b[:min(size, int64(len(b)))]
		switch id {
		case "fmt ":
			var err error
			if s, enc, err = format(body); err != nil {
				return nil, err
			}
		case "data": // may be cut short, or have no known length, where it was streamed
			if s == nil {
				return nil, fmt.Errorf("samples come before their format")
			}
			width := enc.bits / 8
			n := len(body) / (width * s.Channels) * s.Channels
			s.Samples = make([]float32, n)
			for i := range s.Samples {
				s.Samples[i] = enc.value(body[i*width:])
			}
			return s, nil
		}
		b = b[min(size+size&1, int64(len(b))):]
	}
	return nil, fmt.Errorf("no samples in the file")
}

func format(b []byte) (*Sound, *encoding, error) {
	if len(b) < 16 {
		return nil, nil, fmt.Errorf("format chunk of %d bytes, want 16 or more", len(b))
	}
	code := int(binary.LittleEndian.Uint16(b))
	chans, rate := int(binary.LittleEndian.Uint16(b[2:])), int64(binary.LittleEndian.Uint32(b[4:]))
	bits := int(binary.LittleEndian.Uint16(b[14:]))
	if code == 0xfffe && len(b) >= 26 { // extensible: the code begins the subformat
		code = int(binary.LittleEndian.Uint16(b[24:]))
	}
	if chans < 1 || chans > maxChannels {
		return nil, nil, fmt.Errorf("%d channels, want 1 to %d", chans, maxChannels)
	}
	if rate < MinRate || rate > MaxRate {
		return nil, nil, fmt.Errorf("%d samples a second, want %d to %d", rate, MinRate, MaxRate)
	}
	for i := range encodings {
		if e := &encodings[i]; e.format == code && e.bits == bits {
			return &Sound{Rate: int(rate), Channels: chans}, e, nil
		}
	}
	return nil, nil, fmt.Errorf("samples of format %d with %d bits, want PCM (8, 16, 24, 32) or float (32, 64)", code, bits)
}

// Mono returns the mean of the channels.
func (s *Sound) Mono() []float32 {
	if s.Channels == 1 {
		return s.Samples
	}
	out := make([]float32, len(s.Samples)/s.Channels)
	for i := range out {
		sum := 0.0
		for _, v := range s.Samples[i*s.Channels : (i+1)*s.Channels] {
			sum += float64(v)
		}
		out[i] = float32(sum / float64(s.Channels))
	}
	return out
}
