package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// String is what `hone inspect` shows: a line for each fact, the layers by kind.
func (p *Plan) String() string {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-13s%s\n", name, fmt.Sprintf(format, args...))
	}
	row("engine", "TensorRT for RTX %d.%d.%d.%d", p.Version[0], p.Version[1], p.Version[2], p.Version[3])
	targets := fmt.Sprint(p.Capabilities)
	if p.UnknownMask != 0 {
		targets += fmt.Sprintf(" and unknown ones, mask %#x", p.UnknownMask)
	}
	row("targets", "%s", strings.Trim(targets, "[]"))
	row("size", "%d bytes, weights %d", p.Size, p.WeightBytes)
	for _, v := range p.Bindings {
		kind := "output"
		if v.Input {
			kind = "input"
		}
		row(kind, "%s", v)
	}
	for i, profile := range p.Profiles {
		for _, r := range profile {
			row(fmt.Sprintf("profile %d", i), "%s=%s..%s..%s", r.Input, bare(r.Min), bare(r.Opt), bare(r.Max))
		}
	}
	kinds := map[string]int{}
	for _, l := range p.Layers {
		kinds[l.Kind]++
	}
	row("layers", "%d", len(p.Layers))
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		row("", "%4d %s", kinds[k], k)
	}
	if n := p.AttentionKernels(); n > 0 {
		row("attention", "fused in %d layers", n)
	}
	return b.String()
}

func (b Binding) String() string { return b.Name + " " + b.Type + shape(b.Shape, ",") }

func shape(dims []int64, sep string) string {
	var out []string
	for _, d := range dims {
		if d < 0 {
			out = append(out, "?")
		} else {
			out = append(out, fmt.Sprint(d))
		}
	}
	return "[" + strings.Join(out, sep) + "]"
}

func bare(dims []int64) string { return strings.Trim(shape(dims, "x"), "[]") }
