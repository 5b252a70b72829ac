package ptx

import (
	"fmt"
	"strings"
)

// load brings an input's elements into registers, one a lane: float32 bits, 0 and 1, or integers of 64 bits.
func (w *writer) load(i int, in Input) []string {
	tensor := fmt.Sprintf("in%d", i)
	one := w.lanes == 1
	place := ""
	switch in.Broadcast {
	case Scalar:
		one = true
	case Channel:
		one, place = true, w.place(Channel)
	default:
		place = w.place(in.Broadcast)
	}
	at := w.address(tensor, in.Type.Size(), place)
	if one {
		r := w.loadOne(at, in.Type)
		same := make([]string, w.lanes)
		for lane := range same {
			same[lane] = r
		}
		return same
	}
	return w.unpack(w.loadWords(at, w.lanes*in.Type.Size()/4), in.Type)
}

func (w *writer) loadOne(at string, t Type) string {
	if t.integer() {
		l := w.long()
		if t == I64 {
			w.line("ld.global.nc.b64 %s, [%s]", l, at)
			return l
		}
		r := w.word()
		w.line("ld.global.nc.b32 %s, [%s]", r, at)
		w.line("cvt.s64.s32 %s, %s", l, r)
		return l
	}
	r := w.word()
	switch t {
	case F32:
		w.line("ld.global.nc.b32 %s, [%s]", r, at)
	case F16:
		h := w.half()
		w.line("ld.global.nc.b16 %s, [%s]", h, at)
		w.line("cvt.f32.f16 %s, %s", r, h)
	case BF16:
		u := w.word()
		w.line("ld.global.nc.u16 %s, [%s]", u, at)
		w.line("shl.b32 %s, %s, 16", r, u)
	case Bool:
		u := w.word()
		w.line("ld.global.nc.u8 %s, [%s]", u, at)
		w.line("min.u32 %s, %s, 1", r, u)
	}
	return r
}

// loadWords reads 32-bit words in accesses of 16 bytes at most.
func (w *writer) loadWords(at string, n int) (words []string) {
	for len(words) < n {
		count := min(n-len(words), 4)
		offset := 4 * len(words)
		var part []string
		for range count {
			part = append(part, w.word())
		}
		w.line("ld.global.nc%s.b32 %s, [%s+%d]", vector(count), tuple(part), at, offset)
		words = append(words, part...)
	}
	return words
}

func (w *writer) storeWords(at string, words []string) {
	for offset := 0; len(words) > 0; {
		count := min(len(words), 4)
		w.line("st.global%s.b32 [%s+%d], %s", vector(count), at, offset, tuple(words[:count]))
		words, offset = words[count:], offset+4*count
	}
}

func vector(n int) string {
	if n == 1 {
		return ""
	}
	return fmt.Sprintf(".v%d", n)
}

func tuple(regs []string) string {
	if len(regs) == 1 {
		return regs[0]
	}
	return "{" + strings.Join(regs, ", ") + "}"
}

// unpack splits words into elements.
func (w *writer) unpack(words []string, t Type) (out []string) {
	for i, word := range words {
		switch t {
		case I32:
			l := w.long()
			w.line("cvt.s64.s32 %s, %s", l, word)
			out = append(out, l)
		case I64:
			if i%2 == 0 {
				l := w.long()
				w.line("mov.b64 %s, {%s, %s}", l, word, words[i+1])
				out = append(out, l)
			}
		case F32:
			out = append(out, word)
		case F16:
			lo, hi, a, b := w.half(), w.half(), w.word(), w.word()
			w.line("mov.b32 {%s, %s}, %s", lo, hi, word)
			w.line("cvt.f32.f16 %s, %s", a, lo)
			w.line("cvt.f32.f16 %s, %s", b, hi)
			out = append(out, a, b)
		case BF16:
			a, b := w.word(), w.word()
			w.line("shl.b32 %s, %s, 16", a, word)
			w.line("and.b32 %s, %s, 0xffff0000", b, word)
			out = append(out, a, b)
		case Bool:
			for byte := range 4 {
				u, r := w.word(), w.word()
				w.line("bfe.u32 %s, %s, %d, 8", u, word, 8*byte)
				w.line("min.u32 %s, %s, 1", r, u)
				out = append(out, r)
			}
		}
	}
	return out
}

// store writes an output's elements, one register a lane.
func (w *writer) store(i int, t Type, values []string) {
	at := w.address(fmt.Sprintf("out%d", i), t.Size(), w.index)
	if w.lanes == 1 {
		w.storeOne(at, t, values[0])
		return
	}
	w.storeWords(at, w.pack(values, t))
}

func (w *writer) storeOne(at string, t Type, v string) {
	switch t {
	case F32:
		w.line("st.global.b32 [%s], %s", at, v)
	case F16:
		w.line("st.global.b16 [%s], %s", at, w.narrow(v, t))
	case BF16:
		w.line("st.global.b16 [%s], %s", at, w.narrow(v, t))
	case I32:
		w.line("st.global.b32 [%s], %s", at, w.low(v))
	case I64:
		w.line("st.global.b64 [%s], %s", at, v)
	case Bool:
		w.line("st.global.u8 [%s], %s", at, v)
	}
}

// narrow rounds to 16 bits: what is rounded already stays.
func (w *writer) narrow(v string, t Type) string {
	h := w.half()
	w.line("cvt.rn.%s.f32 %s, %s", t, h, v)
	return h
}

// pack is the inverse of unpack.
func (w *writer) pack(values []string, t Type) (words []string) {
	switch t {
	case F32:
		return values
	case I32:
		for _, v := range values {
			words = append(words, w.low(v))
		}
	case I64:
		for _, v := range values {
			lo, hi := w.word(), w.word()
			w.line("mov.b64 {%s, %s}, %s", lo, hi, v)
			words = append(words, lo, hi)
		}
	case Bool:
		for i := 0; i < len(values); i += 4 {
			word := values[i]
			for j := 1; j < 4; j++ {
				next := w.word()
				w.line("bfi.b32 %s, %s, %s, %d, 8", next, values[i+j], word, 8*j)
				word = next
			}
			words = append(words, word)
		}
	default:
		for i := 0; i < len(values); i += 2 {
			word := w.word()
			w.line("mov.b32 %s, {%s, %s}", word, w.narrow(values[i], t), w.narrow(values[i+1], t))
			words = append(words, word)
		}
	}
	return words
}
