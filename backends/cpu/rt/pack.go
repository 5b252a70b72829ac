package rt

// Packed forms are the same on every tier, so that a packed file serves any machine. All are float32 and zero padded.

// PackedGemmBSize is the number of values in a packed [K][N] matrix.
func PackedGemmBSize(k, n int) int { return k * roundUp(n, Lanes) }

// PackGemmB packs b, [K][N] with rows ld apart (trans: [N][K] with rows ld apart), into panels of 16 columns:
// dst[N/16][K][16].
func PackGemmB(dst, b []float32, k, n, ld int, trans bool) {
	for j := 0; j < n; j += Lanes {
		w := min(Lanes, n-j)
		panel := dst[j*k : (j+Lanes)*k]
		for p := range k {
			row := panel[p*Lanes : (p+1)*Lanes]
			for i := range row {
				switch {
				case i >= w:
					row[i] = 0
				case trans:
					row[i] = b[(j+i)*ld+p]
				default:
					row[i] = b[p*ld+j+i]
				}
			}
		}
	}
}

// PackVector copies v to dst, whose length is len(v) rounded up to 16, with zeros after it: biases and per-channel operands.
func PackVector(dst, v []float32) {
	clear(dst[copy(dst, v):])
}

// PackedConvSize is the number of values in packed NCHWc16 convolution weights: O outputs, I inputs a group, G groups.
// With more than one group, O/G and I must be multiples of 16.
func PackedConvSize(o, i, kh, kw int) int { return roundUp(o, Lanes) * roundUp(i, Lanes) * kh * kw }

// PackConv packs w [O][I][KH][KW] for Conv over NCHWc16 activations: dst[O/16][I/16][KH][KW][16 i][16 o].
func PackConv(dst, w []float32, o, i, kh, kw int) {
	clear(dst[:PackedConvSize(o, i, kh, kw)])
	ib := ceilDiv(i, Lanes)
	for a := range o {
		for b := range i {
			for t := range kh * kw {
				block := ((a/Lanes*ib+b/Lanes)*kh*kw + t) * Lanes
				dst[(block+b%Lanes)*Lanes+a%Lanes] = w[(a*i+b)*kh*kw+t]
			}
		}
	}
}

// PackedConvImageSize is the number of values in packed weights of a convolution that reads NCHW.
func PackedConvImageSize(o, i, kh, kw int) int { return roundUp(o, Lanes) * i * kh * kw }

// PackConvImage packs w [O][I][KH][KW] for a Conv that reads NCHW (a network's first): dst[O/16][I][KH][KW][16 o].
func PackConvImage(dst, w []float32, o, i, kh, kw int) {
	k := i * kh * kw
	PackGemmB(dst, w, k, o, k, true)
}

// PackPlanes packs w [O][I][KH][KW] for ConvPlanes, as many values: dst[I][KH][KW][O].
func PackPlanes(dst, w []float32, o, i, kh, kw int) {
	k := i * kh * kw
	for a := range o {
		for t, v := range w[a*k : (a+1)*k] {
			dst[t*o+a] = v
		}
	}
}

// PackedDepthwiseSize is the number of values in packed depthwise weights.
func PackedDepthwiseSize(c, kh, kw int) int { return roundUp(c, Lanes) * kh * kw }

// PackDepthwise packs w [C][1][KH][KW] for Depthwise: dst[C/16][KH][KW][16].
func PackDepthwise(dst, w []float32, c, kh, kw int) {
	taps := kh * kw
	PackGemmB(dst, w, taps, c, taps, true)
}

// packRows packs cols columns of b [k][...] with rows ld apart into panels at dst, while a program runs.
func packRows(dst, b uintptr, ld, k, cols int) {
	for j := 0; j < cols; j += Lanes {
		w := min(Lanes, cols-j)
		d := at(dst, j*k*4)
		src := at(b, j*4)
		for range k {
			row := lanes(d)
			if w == Lanes {
				*row = *lanes(src)
			} else {
				clear(row[copy(row[:], floats(src, w)):])
			}
			d, src = at(d, laneBytes), at(src, ld*4)
		}
	}
}

// packTransposed packs cols rows of b [...][k], ld apart, into panels of 16 at dst.
func packTransposed(set *Set, s *Scratch, dst, b uintptr, ld, k, cols int) {
	g := &s.Args.Transpose
	for j := 0; j < cols; j += Lanes {
		*g = TransposeArgs{Src: at(b, j*ld*4), Dst: at(dst, j*k*4), LdS: int64(ld) * 4, LdD: laneBytes}
		rows := min(Lanes, cols-j)
		if rows < Lanes {
			clear(floats(g.Dst, k*Lanes))
		}
		transposeTile(set, g, rows, k)
	}
}

// transposeTile transposes rows ≤ 16 by cols, the main part with the kernel and the edges in Go.
func transposeTile(set *Set, g *TransposeArgs, rows, cols int) {
	main := cols &^ 7
	if rows < Lanes {
		main = 0
	}
	if main > 0 {
		g.Cols = int64(main)
		set.Transpose.Fn(g)
	}
	if main < cols {
		g.Src, g.Dst = at(g.Src, main*4), at(g.Dst, main*int(g.LdD))
		transposeBlock(g, rows, cols-main)
	}
}
