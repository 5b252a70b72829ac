package float16

import (
	"fmt"
	"math"
)

// RoundMode says how a value between two powers of two becomes one.
type RoundMode uint8

// Up rounds away from zero, Down toward zero, Nearest to the nearer power of
// two, ties up. Up is ONNX's default.
const (
	Up RoundMode = iota
	Down
	Nearest
)

// ParseRoundMode reads the round_mode attribute of ONNX's Cast.
func ParseRoundMode(s string) (RoundMode, error) {
	switch s {
	case "up":
		return Up, nil
	case "down":
		return Down, nil
	case "nearest":
		return Nearest, nil
	}
	return Up, fmt.Errorf("round_mode is %q, want up, down or nearest", s)
}

// E8M0NaN is the code of E8M0's only special value.
const E8M0NaN = 0xff

// E8M0FromFloat32 rounds f to a power of two from 2^-127 (code 0) to 2^127
// (code 0xfe), as ONNX's Cast defines. What is out of range becomes the
// nearest bound where saturate is set, else NaN; zero is below the range.
// ONNX leaves negative values open: here their magnitude counts.
func E8M0FromFloat32(f float32, saturate bool, mode RoundMode) uint8 {
	b := math.Float32bits(f) &^ signBit
	bound := func(code uint8) uint8 {
		if saturate {
			return code
		}
		return E8M0NaN
	}
	switch {
	case b > infBits:
		return E8M0NaN
	case b == infBits:
		return bound(0xfe)
	case b < 1<<22: // below 2^-127
		return bound(0)
	}
	exp, frac := b>>23, b&0x7fffff
	half := uint32(1 << 22)
	if exp == 0 { // 2^-127 <= f < 2^-126: subnormal, the leading bit is explicit
		frac = (frac &^ half) << 1
	}
	if mode == Up && frac > 0 || mode == Nearest && frac >= half {
		exp++
	}
	if exp > 0xfe {
		return bound(0xfe)
	}
	return uint8(exp)
}

// E8M0ToFloat32 returns the value of an E8M0 code, exactly.
func E8M0ToFloat32(code uint8) float32 {
	switch code {
	case 0:
		return 0x1p-127
	case E8M0NaN:
		return float32(math.NaN())
	}
	return math.Float32frombits(uint32(code) << 23)
}
