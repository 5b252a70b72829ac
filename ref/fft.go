package ref

import (
	"math"
	"math/bits"
	"math/cmplx"
)

// fourier computes the discrete Fourier transform of x, unscaled:
// X[k] = sum over t of x[t] * exp(-2πi·kt/n), with the other sign of the
// exponent where inverse is true. Powers of two go by radix 2, small sizes by
// the definition, and the rest as a convolution (Bluestein 1970).
func fourier(x []complex128, inverse bool) []complex128 {
	n := len(x)
	switch {
	case n&(n-1) == 0:
		y := append([]complex128{}, x...)
		radix2(y, inverse)
		return y
	case n <= 32:
		y := make([]complex128, n)
		for k := range y {
			for t, v := range x {
				y[k] += v * root(k*t, n, inverse)
			}
		}
		return y
	}
	return bluestein(x, inverse)
}

// root returns exp(∓2πi·k/n), which has period n in k.
func root(k, n int, inverse bool) complex128 {
	angle := -2 * math.Pi * float64(k%n) / float64(n)
	if inverse {
		angle = -angle
	}
	return cmplx.Rect(1, angle)
}

func radix2(x []complex128, inverse bool) {
	n := len(x)
	if n < 2 {
		return
	}
	shift := 64 - bits.Len(uint(n-1))
	for i := range x {
		if j := int(bits.Reverse64(uint64(i)) >> shift); i < j {
			x[i], x[j] = x[j], x[i]
		}
	}
	roots := make([]complex128, n/2)
	for k := range roots {
		roots[k] = root(k, n, inverse)
	}
	for half := 1; half < n; half *= 2 {
		for at := 0; at < n; at += 2 * half {
			for k := range half {
				a, b := x[at+k], x[at+k+half]*roots[k*(n/2/half)]
				x[at+k], x[at+k+half] = a+b, a-b
			}
		}
	}
}

// bluestein writes kt as (k² + t² - (k-t)²)/2: a convolution with a chirp,
// which transforms of a power of two compute.
func bluestein(x []complex128, inverse bool) []complex128 {
	n := len(x)
	m := 1 << bits.Len(uint(2*n-2))
	chirp := make([]complex128, n)
	for k := range chirp {
		chirp[k] = root(k*k%(2*n), 2*n, inverse)
	}
	a, b := make([]complex128, m), make([]complex128, m)
	for k, c := range chirp {
		a[k] = x[k] * c
		b[k] = cmplx.Conj(c)
		b[(m-k)%m] = cmplx.Conj(c)
	}
	radix2(a, false)
	radix2(b, false)
	for i := range a {
		a[i] *= b[i]
	}
	radix2(a, true)
	y := make([]complex128, n)
	for k, c := range chirp {
		y[k] = a[k] * c / complex(float64(m), 0)
	}
	return y
}
