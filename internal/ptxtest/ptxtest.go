// Package ptxtest runs PTX text on the CPU, so that tests can see what a kernel
// computes where there is no GPU. It knows the part of the language that hone's
// kernels are written in, and refuses all else: no approximations, no shared
// memory, no barriers. Every operation it knows is one that the PTX ISA rounds
// exactly, so its results are a GPU's, bit for bit.
//
// Accesses outside of a buffer, and those that are not aligned, are errors, as
// they are on a GPU. It knows nothing of who writes the text.
package ptxtest

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Module is parsed text.
type Module struct{ entries map[string]*entry }

type entry struct {
	params []string
	wide   []bool // of each, whether it has 64 bits
	regs   int
	code   []instruction
}

// instruction is one line: guarded by a predicate where guard is not -1.
type instruction struct {
	line    string
	name    string
	guard   int
	dst     []int // registers
	args    []operand
	address operand // of loads and stores
	offset  uint64
	param   string // of ld.param
}

// operand is a register, or a number where reg is -1.
type operand struct {
	reg int
	num uint64
}

var (
	entryStart = regexp.MustCompile(`(?s)\.visible \.entry (\w+)\((.*?)\)\s*\{(.*?)\n\}`)
	paramDecl  = regexp.MustCompile(`\.param \.u(32|64) (\w+)`)
	statement  = regexp.MustCompile(`^(?:@(%\w+) )?([\w.]+)(?: (.*))?$`)
	memory     = regexp.MustCompile(`\[([%\w]+)(?:\+(\d+))?\]`)
)

// Parse reads a module.
func Parse(text string) (*Module, error) {
	if !strings.HasPrefix(text, ".version 7.0\n.target sm_80\n.address_size 64\n") {
		return nil, fmt.Errorf("the head is none of PTX 7.0 for sm_80")
	}
	m := &Module{entries: map[string]*entry{}}
	for _, e := range entryStart.FindAllStringSubmatch(text, -1) {
		parsed, err := parseEntry(e[2], e[3])
		if err != nil {
			return nil, fmt.Errorf("entry %s: %w", e[1], err)
		}
		m.entries[e[1]] = parsed
	}
	return m, nil
}

func parseEntry(params, body string) (*entry, error) {
	e := &entry{}
	for _, p := range paramDecl.FindAllStringSubmatch(params, -1) {
		e.params = append(e.params, p[2])
		e.wide = append(e.wide, p[1] == "64")
	}
	p := &parser{names: map[string]int{}}
	for line := range strings.SplitSeq(body, ";") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, ".reg ") {
			continue
		}
		in, err := p.statement(line)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		e.code = append(e.code, in)
	}
	e.regs = len(p.names)
	return e, nil
}

// parser numbers registers by name.
type parser struct{ names map[string]int }

func (p *parser) reg(name string) int {
	n, ok := p.names[name]
	if !ok {
		n = len(p.names)
		p.names[name] = n
	}
	return n
}

func (p *parser) operand(text string) (operand, error) {
	if strings.HasPrefix(text, "%") {
		return operand{reg: p.reg(text)}, nil
	}
	if n, err := strconv.ParseInt(text, 0, 64); err == nil {
		return operand{reg: -1, num: uint64(n)}, nil
	}
	n, err := strconv.ParseUint(text, 0, 64)
	return operand{reg: -1, num: n}, err
}

func (p *parser) statement(line string) (in instruction, err error) {
	m := statement.FindStringSubmatch(line)
	if m == nil {
		return in, fmt.Errorf("no statement")
	}
	in = instruction{line: line, name: m[2], guard: -1}
	if m[1] != "" {
		in.guard = p.reg(m[1])
	}
	rest := m[3]
	if at := memory.FindStringSubmatch(rest); at != nil {
		rest = strings.Replace(rest, at[0], "", 1)
		in.param = at[1]
		if strings.HasPrefix(at[1], "%") {
			in.address, _ = p.operand(at[1])
		}
		if at[2] != "" {
			in.offset, _ = strconv.ParseUint(at[2], 10, 64)
		}
	}
	var list []operand
	tuple := 0 // operands in braces at the start
	inBraces := false
	for field := range strings.SplitSeq(rest, ",") {
		field = strings.TrimSpace(field)
		inBraces = inBraces || strings.HasPrefix(field, "{")
		if text := strings.Trim(field, "{} "); text != "" {
			o, err := p.operand(text)
			if err != nil {
				return in, err
			}
			list = append(list, o)
			if inBraces {
				tuple++
			}
		}
		inBraces = inBraces && !strings.HasSuffix(field, "}")
	}
	results := 1
	switch {
	case in.name == "ret" || strings.HasPrefix(in.name, "st."):
		results = 0
	case strings.HasPrefix(rest, "{"): // vector loads and unpacking moves
		results = tuple
	}
	if results > len(list) {
		return in, fmt.Errorf("no destination")
	}
	for _, o := range list[:results] {
		if o.reg < 0 {
			return in, fmt.Errorf("a number as destination")
		}
		in.dst = append(in.dst, o.reg)
	}
	in.args = list[results:]
	_, known := alu[in.name]
	if !known && in.name != "ret" && !strings.HasPrefix(in.name, "ld.") && !strings.HasPrefix(in.name, "st.") && !strings.HasPrefix(in.name, "mov.") && in.name != "cvta.to.global.u64" {
		return in, fmt.Errorf("%s is not among the operations that are known", in.name)
	}
	return in, nil
}

// Params says of each parameter of an entry whether it has 64 bits, which here are pointers.
func (m *Module) Params(name string) []bool {
	if e := m.entries[name]; e != nil {
		return e.wide
	}
	return nil
}

// Launch runs an entry on blocks of threads. Parameters are uint32, or []byte for
// pointers to global memory.
func (m *Module) Launch(name string, blocks, threads int, params ...any) error {
	e := m.entries[name]
	if e == nil {
		return fmt.Errorf("no entry %s", name)
	}
	if len(params) != len(e.params) {
		return fmt.Errorf("entry %s takes %d parameters, %d given", name, len(e.params), len(params))
	}
	g := &grid{values: map[string]uint64{}}
	for i, p := range params {
		switch p := p.(type) {
		case []byte:
			g.buffers = append(g.buffers, p)
			g.values[e.params[i]] = uint64(len(g.buffers)) << 40
		case uint32:
			g.values[e.params[i]] = uint64(p)
		default:
			return fmt.Errorf("parameter %s is a %T", e.params[i], p)
		}
	}
	for b := range blocks {
		for t := range threads {
			x := &thread{grid: g, r: make([]uint64, e.regs), block: uint64(b), width: uint64(threads), id: uint64(t)}
			if err := x.run(e); err != nil {
				return fmt.Errorf("%s, block %d, thread %d: %w", name, b, t, err)
			}
		}
	}
	return nil
}

type grid struct {
	values  map[string]uint64 // of parameters; a buffer's number from 1 in the high bits of pointers
	buffers [][]byte
}

func (g *grid) at(address uint64, size int) ([]byte, error) {
	n, offset := address>>40, address&(1<<40-1)
	if n == 0 || n > uint64(len(g.buffers)) || offset+uint64(size) > uint64(len(g.buffers[n-1])) {
		return nil, fmt.Errorf("illegal address: %d bytes at offset %d of buffer %d", size, offset, n)
	}
	if offset%uint64(size) != 0 {
		return nil, fmt.Errorf("misaligned address: %d bytes at offset %d", size, offset)
	}
	return g.buffers[n-1][offset:], nil
}

type thread struct {
	*grid
	r                []uint64
	block, width, id uint64
}

func (x *thread) value(o operand) uint64 {
	if o.reg < 0 {
		return o.num
	}
	return x.r[o.reg]
}

func (x *thread) run(e *entry) error {
	for i := range e.code {
		in := &e.code[i]
		if in.guard >= 0 && x.r[in.guard] == 0 {
			continue
		}
		if in.name == "ret" {
			return nil
		}
		if err := x.step(in); err != nil {
			return fmt.Errorf("%q: %w", in.line, err)
		}
	}
	return fmt.Errorf("no ret at the end")
}

func (x *thread) step(in *instruction) error {
	switch {
	case strings.HasPrefix(in.name, "ld.param."):
		v, ok := x.values[in.param]
		if !ok {
			return fmt.Errorf("no parameter %s", in.param)
		}
		x.r[in.dst[0]] = v
		return nil
	case strings.HasPrefix(in.name, "ld.global."), strings.HasPrefix(in.name, "st.global."):
		return x.access(in)
	case strings.HasPrefix(in.name, "mov."), in.name == "cvta.to.global.u64":
		return x.move(in)
	}
	var a [4]uint64
	for i, o := range in.args {
		a[i] = x.value(o)
	}
	x.r[in.dst[0]] = alu[in.name](a)
	return nil
}

// special are the registers that tell a thread which it is.
func (x *thread) special(line string) (uint64, bool) {
	for name, v := range map[string]uint64{"%ctaid.x": x.block, "%ntid.x": x.width, "%tid.x": x.id} {
		if strings.HasSuffix(line, name) {
			return v, true
		}
	}
	return 0, false
}

// move copies, joins two halves, or parts a whole into them.
func (x *thread) move(in *instruction) error {
	if in.name == "mov.u32" {
		v, ok := x.special(in.line)
		if !ok {
			return fmt.Errorf("no special register")
		}
		x.r[in.dst[0]] = v
		return nil
	}
	half := 16
	if in.name == "mov.b64" {
		half = 32
	}
	mask := uint64(1)<<half - 1
	switch {
	case len(in.dst) == 2:
		v := x.value(in.args[0])
		x.r[in.dst[0]], x.r[in.dst[1]] = v&mask, v>>half&mask
	case len(in.args) == 2:
		x.r[in.dst[0]] = x.value(in.args[0])&mask | x.value(in.args[1])&mask<<half
	default:
		x.r[in.dst[0]] = x.value(in.args[0])
	}
	return nil
}

// access loads or stores one element or a vector of them, which is aligned as a whole.
func (x *thread) access(in *instruction) error {
	parts := strings.Split(in.name, ".")
	size, err := strconv.Atoi(parts[len(parts)-1][1:])
	if err != nil {
		return err
	}
	size /= 8
	load := parts[0] == "ld"
	count := len(in.args)
	if load {
		count = len(in.dst)
	}
	b, err := x.at(x.value(in.address)+in.offset, size*count)
	if err != nil {
		return err
	}
	for i := range count {
		var word [8]byte
		if load {
			copy(word[:size], b[i*size:])
			x.r[in.dst[i]] = binary.LittleEndian.Uint64(word[:])
			continue
		}
		binary.LittleEndian.PutUint64(word[:], x.value(in.args[i]))
		copy(b[i*size:], word[:size])
	}
	return nil
}
