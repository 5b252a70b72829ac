package passes

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hone-ml/hone/ir"
)

// Pipeline is a list of passes, itself a pass. Its text is
//
//	pipeline = step { "," step }
//	step     = name [ "{" option { "," option } "}" ] | "fix" "(" pipeline ")"
//	option   = name [ "=" value ]
//
// where fix repeats its passes until none of them changes anything.
type Pipeline struct {
	steps []Pass
	fix   bool
	text  string
}

// maxRounds bounds a fixpoint group. A group that still changes something
// after so many rounds has rules that undo each other.
const maxRounds = 50

// watched is the number of last rounds whose applications are remembered, to
// name the rules that undo each other.
const watched = 4

// Name returns the text of the pipeline.
func (p *Pipeline) Name() string { return p.text }

// Steps returns the passes.
func (p *Pipeline) Steps() []Pass { return p.steps }

// Run runs the passes in order.
func (p *Pipeline) Run(c *Context, m *ir.Module) (bool, error) {
	outer := c.watch
	defer func() { c.watch = outer }()
	any := false
	for round := 0; ; round++ {
		changed := false
		for _, s := range p.steps {
			ch, err := p.step(c, s, m)
			if err != nil {
				return any, err
			}
			changed = changed || ch
		}
		any = any || changed
		if !p.fix || !changed {
			return any, nil
		}
		if round == maxRounds {
			return any, fmt.Errorf("%s still changes the module after %d rounds: %s", p.text, maxRounds, c.unstable())
		}
		if round == maxRounds-watched {
			c.watch = map[string]int{}
		}
	}
}

func (p *Pipeline) step(c *Context, s Pass, m *ir.Module) (bool, error) {
	if _, ok := s.(*Pipeline); ok {
		return s.Run(c, m)
	}
	return c.run(s, m)
}

// NewPipeline makes a pipeline of passes.
func NewPipeline(steps ...Pass) *Pipeline {
	names := make([]string, len(steps))
	for i, s := range steps {
		names[i] = s.Name()
	}
	return &Pipeline{steps: steps, text: strings.Join(names, ",")}
}

// Fix makes a group that repeats its passes until none changes anything.
func Fix(steps ...Pass) *Pipeline {
	p := NewPipeline(steps...)
	p.fix, p.text = true, "fix("+p.text+")"
	return p
}

// levels are the named pipelines.
var levels = map[string]string{}

// RegisterLevel names a pipeline: "O2". It may be used as a step of others.
// It panics where the text is wrong or breaks an order: named pipelines are
// part of the program.
func RegisterLevel(name, text string) {
	p, err := ParsePipeline(text)
	if err == nil {
		err = CheckOrder(p)
	}
	if err != nil {
		panic("passes: " + name + ": " + err.Error())
	}
	levels[name] = text
}

// Level returns the text of a named pipeline.
func Level(name string) (string, bool) { t, ok := levels[name]; return t, ok }

// ParsePipeline reads the text of a pipeline.
func ParsePipeline(text string) (*Pipeline, error) {
	p := &pipelineParser{text: text}
	pl, err := p.pipeline(0)
	if err != nil {
		return nil, fmt.Errorf("pipeline %q: column %d: %w", text, p.pos+1, err)
	}
	if p.pos < len(text) {
		return nil, fmt.Errorf("pipeline %q: column %d: unexpected %q", text, p.pos+1, text[p.pos:])
	}
	return pl, nil
}

type pipelineParser struct {
	text string
	pos  int
}

func (p *pipelineParser) accept(c byte) bool {
	p.space()
	if p.pos < len(p.text) && p.text[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *pipelineParser) space() {
	for p.pos < len(p.text) && strings.IndexByte(" \t\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
}

func (p *pipelineParser) until(stops string) string {
	p.space()
	start := p.pos
	for p.pos < len(p.text) && strings.IndexByte(stops, p.text[p.pos]) < 0 {
		p.pos++
	}
	return strings.TrimSpace(p.text[start:p.pos])
}

func (p *pipelineParser) pipeline(depth int) (*Pipeline, error) {
	start := p.pos
	pl := &Pipeline{}
	for {
		s, err := p.step(depth)
		if err != nil {
			return nil, err
		}
		pl.steps = append(pl.steps, s)
		if !p.accept(',') {
			pl.text = strings.TrimSpace(p.text[start:p.pos])
			return pl, nil
		}
	}
}

func (p *pipelineParser) step(depth int) (Pass, error) {
	if depth > 16 {
		return nil, fmt.Errorf("nested too deep")
	}
	name := p.until(",{}() \t\n")
	if name == "" {
		return nil, errors.New("expected the name of a pass")
	}
	if name == "fix" && p.accept('(') {
		pl, err := p.pipeline(depth + 1)
		if err != nil {
			return nil, err
		}
		if !p.accept(')') {
			return nil, fmt.Errorf("expected )")
		}
		pl.fix, pl.text = true, "fix("+pl.text+")"
		return pl, nil
	}
	if text, ok := levels[name]; ok {
		pl, err := ParsePipeline(text)
		if err != nil {
			return nil, err
		}
		pl.text = name
		return pl, nil
	}
	opts, err := p.options()
	if err != nil {
		return nil, err
	}
	return New(name, opts)
}

// options reads what stands in braces.
func (p *pipelineParser) options() (Options, error) {
	opts := Options{}
	if !p.accept('{') {
		return opts, nil
	}
	for !p.accept('}') {
		name := p.until("=,}")
		value := "true"
		if p.accept('=') {
			value = p.until(",}")
		}
		if _, ok := opts[name]; ok {
			return nil, fmt.Errorf("option %q is given twice", name)
		}
		opts[name] = value
		if !p.accept(',') && (p.pos >= len(p.text) || p.text[p.pos] != '}') {
			return nil, fmt.Errorf("expected , or }")
		}
	}
	return opts, nil
}
