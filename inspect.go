package hone

import (
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
)

// Summary says what is in a model.
type Summary struct {
	Name       string         `json:"name"`
	Level      string         `json:"level"`
	Producer   string         `json:"producer,omitempty"`
	Opsets     []ir.Opset     `json:"opsets,omitempty"`
	Inputs     []PortSummary  `json:"inputs"`
	Outputs    []PortSummary  `json:"outputs"`
	Ops        int            `json:"ops"`
	Histogram  map[string]int `json:"histogram"`
	Parameters int64          `json:"parameters"` // elements of constants
	Bytes      int64          `json:"bytes"`      // of constants
	MACs       string         `json:"macs"`       // multiply-accumulates of products and convolutions, symbolic
}

// PortSummary is an input or output as text.
type PortSummary struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Summarize counts what is in a module.
func Summarize(m *ir.Module) *Summary {
	s := &Summary{
		Name: m.Name, Level: m.Level.String(), Producer: m.Source.Producer, Opsets: m.Source.Opsets,
		Ops: passes.CountOps(m), Histogram: map[string]int{},
	}
	for _, p := range Inputs(m) {
		s.Inputs = append(s.Inputs, PortSummary{p.Name, p.Type.String()})
	}
	for _, p := range Outputs(m) {
		s.Outputs = append(s.Outputs, PortSummary{p.Name, p.Type.String()})
	}
	macs := ir.Const(0)
	for _, f := range m.Funcs {
		f.Body.Walk(func(op *ir.Op) bool {
			switch op.Name {
			case ir.YieldName:
				return true
			case ir.ConstantName:
				if d := op.Result(0).Data(); d != nil {
					s.Parameters += int64(d.Len())
					s.Bytes += int64(d.DType.WireSize(d.Len()))
				}
				return true
			}
			s.Histogram[op.Name]++
			macs = macs.Add(ops.MACs(op))
			return true
		})
	}
	s.MACs = macs.String()
	return s
}
