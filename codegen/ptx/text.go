package ptx

import (
	"fmt"
	"strings"
)

// Text writes the kernel as a PTX module with its two entries.
func (k *Kernel) Text() (string, error) {
	if err := k.Validate(); err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(".version 7.0\n.target sm_80\n.address_size 64\n")
	for _, e := range []struct {
		name  string
		lanes int
	}{{k.vectorEntry(), k.Lanes()}, {k.scalarEntry(), 1}} {
		w := &writer{k: k, lanes: e.lanes}
		w.entry()
		b.WriteString("\n" + w.String(e.name))
	}
	return b.String(), nil
}

// writer writes one entry. Registers are numbered as they come up.
type writer struct {
	k                   *Kernel
	lanes               int
	body                strings.Builder
	words, halfs, longs int // registers of 32, 16 and 64 bits
	preds               int
	index               string // register of the element's number
	row, channel, gap   string // and of its places in broadcast vectors
}

var scalarParams = []string{"start", "n", "r", "r_mul", "r_shift", "c", "c_mul", "c_shift", "inner", "inner_mul", "inner_shift",
	"gap", "gap_mul", "gap_shift", "gap_inner", "gap_inner_mul", "gap_inner_shift", "gap_outer", "gap_outer_mul", "gap_outer_shift"}

func (w *writer) line(format string, args ...any) {
	fmt.Fprintf(&w.body, "\t"+format+";\n", args...)
}

func (w *writer) word() string { w.words++; return fmt.Sprintf("%%r%d", w.words) }
func (w *writer) half() string { w.halfs++; return fmt.Sprintf("%%h%d", w.halfs) }
func (w *writer) long() string { w.longs++; return fmt.Sprintf("%%d%d", w.longs) }
func (w *writer) pred() string { w.preds++; return fmt.Sprintf("%%p%d", w.preds) }

// String is the whole entry: parameters, registers, body.
func (w *writer) String(name string) string {
	var params []string
	for i := range w.k.Inputs {
		params = append(params, fmt.Sprintf("\t.param .u64 in%d", i))
	}
	for i := range w.k.Outputs {
		params = append(params, fmt.Sprintf("\t.param .u64 out%d", i))
	}
	for _, p := range scalarParams {
		params = append(params, "\t.param .u32 "+p)
	}
	return fmt.Sprintf(".visible .entry %s(\n%s\n)\n{\n\t.reg .b32 %%r<%d>;\n\t.reg .b16 %%h<%d>;\n\t.reg .b64 %%d<%d>;\n\t.reg .pred %%p<%d>;\n%s\tret;\n}\n",
		name, strings.Join(params, ",\n"), w.words+1, w.halfs+1, w.longs+1, w.preds+1, w.body.String())
}

func (w *writer) param(name string) string {
	r := w.word()
	w.line("ld.param.u32 %s, [%s]", r, name)
	return r
}

func (w *writer) entry() {
	// The element: start + lanes * thread. A thread past the end returns.
	block, width, thread := w.word(), w.word(), w.word()
	w.line("mov.u32 %s, %%ctaid.x", block)
	w.line("mov.u32 %s, %%ntid.x", width)
	w.line("mov.u32 %s, %%tid.x", thread)
	t := w.word()
	w.line("mad.lo.u32 %s, %s, %s, %s", t, block, width, thread)
	w.index = w.word()
	w.line("mad.lo.u32 %s, %s, %d, %s", w.index, t, w.lanes, w.param("start"))
	last, p := w.word(), w.pred()
	w.line("add.u32 %s, %s, %d", last, w.index, w.lanes)
	w.line("setp.gt.u32 %s, %s, %s", p, last, w.param("n"))
	w.line("@%s ret", p)

	lanes := make([][]string, w.lanes) // of each, a register an input
	for i, in := range w.k.Inputs {
		for lane, r := range w.load(i, in) {
			lanes[lane] = append(lanes[lane], r)
		}
	}
	results := make([][]string, len(w.k.Outputs))
	for _, inputs := range lanes {
		p := new(program)
		in := make([]reg, len(inputs))
		for i := range in {
			in[i] = p.fresh()
		}
		outs := w.k.lower(p, in)
		names := w.instructions(p, inputs)
		for i, o := range outs {
			results[i] = append(results[i], names[o])
		}
	}
	for i, o := range w.k.Outputs {
		w.store(i, w.k.typeOf(o), results[i])
	}
}

// place is the register with the number of an input's element.
func (w *writer) place(b Broadcast) string {
	switch {
	case b == Row && w.row == "":
		w.row = w.remainder(w.index, "r")
	case b == Channel && w.channel == "":
		w.channel = w.remainder(w.quotient(w.index, "inner"), "c")
	case b == Gap && w.gap == "":
		w.gap = w.word()
		run := w.remainder(w.quotient(w.index, "gap"), "gap_outer")
		w.line("mad.lo.u32 %s, %s, %s, %s", w.gap, run, w.param("gap_inner"), w.remainder(w.index, "gap_inner"))
	}
	switch b {
	case Row:
		return w.row
	case Gap:
		return w.gap
	case Channel:
		return w.channel
	}
	return w.index
}

// quotient divides by a parameter, see divider.
func (w *writer) quotient(n, by string) string {
	high, q, p, r := w.word(), w.word(), w.pred(), w.word()
	w.line("mul.hi.u32 %s, %s, %s", high, n, w.param(by+"_mul"))
	w.line("shr.u32 %s, %s, %s", q, high, w.param(by+"_shift"))
	w.line("setp.eq.u32 %s, %s, 1", p, w.param(by))
	w.line("selp.b32 %s, %s, %s, %s", r, n, q, p)
	return r
}

func (w *writer) remainder(n, by string) string {
	q, product, r := w.quotient(n, by), w.word(), w.word()
	w.line("mul.lo.u32 %s, %s, %s", product, q, w.param(by))
	w.line("sub.u32 %s, %s, %s", r, n, product)
	return r
}

// address is the register with where element i of a tensor lies.
func (w *writer) address(tensor string, size int, i string) string {
	base, global := w.long(), w.long()
	w.line("ld.param.u64 %s, [%s]", base, tensor)
	w.line("cvta.to.global.u64 %s, %s", global, base)
	if i == "" {
		return global
	}
	at := w.long()
	w.line("mad.wide.u32 %s, %s, %d, %s", at, i, size, global)
	return at
}
