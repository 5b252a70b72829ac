// Package clusters turns pointwise clusters of the IR (hone.Fused ops of the
// fused level without an anchor) into GPU kernels of codegen/ptx: what TensorRT
// has no operator for can run beside the plan. It knows the IR and ptx; it
// launches nothing.
package clusters

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hone-ml/hone/codegen/ptx"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes/fuse"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// Target is the table of what a GPU kernel of hone's computes in one pass.
func Target() fuse.Target {
	return fuse.Target{
		Anchor:      func(*ir.Op, []*ir.Op) bool { return false },
		Pointwise:   takes,
		MaxOps:      64,
		MaxOperands: 16,
	}
}

// Cluster is a kernel with the shapes it is launched on. Operands are those of
// the fused op that the kernel reads; constants of one element are part of it.
type Cluster struct {
	Kernel   *ptx.Kernel
	Operands []int
	Shape    ir.Type // of the results
	places   [5]place
}

// Launch is the shape of a launch, the dims bound by bind.
func (c *Cluster) Launch(bind func(ir.Dim) (int, error)) (s ptx.Shape, err error) {
	n := func(d ir.Dim) (v int) {
		if d.IsInt(0) || err != nil {
			return 0
		}
		v, err = bind(d)
		return v
	}
	row, channel, gap := c.places[ptx.Row], c.places[ptx.Channel], c.places[ptx.Gap]
	s = ptx.Shape{N: n(c.Shape.NumElements()), R: n(row.count), C: n(channel.count), Inner: n(channel.inner),
		Gap: n(gap.gap), GapInner: n(gap.inner), GapOuter: n(gap.count)}
	return s, err
}

var dtypes = map[tensor.DType]ptx.Type{tensor.Float32: ptx.F32, tensor.Float16: ptx.F16, tensor.BFloat16: ptx.BF16, tensor.Bool: ptx.Bool,
	tensor.Int32: ptx.I32, tensor.Int64: ptx.I64}

// takes reports whether op may be part of a cluster: it has a form in ptx, and
// its operands broadcast in a way that a kernel reads.
func takes(op *ir.Op) bool {
	if forms[op.Name] == nil || op.NumResults() != 1 {
		return false
	}
	out := op.Result(0).Type
	if _, ok := dtypes[out.DType]; !ok || !out.Ranked {
		return false
	}
	for _, v := range op.Operands() {
		if v == nil {
			continue
		}
		if _, ok := dtypes[v.Type.DType]; !ok || !v.Type.Ranked {
			return false
		}
		if _, ok := broadcast(v.Type, out); !ok {
			return false
		}
	}
	k := &building{kernel: &ptx.Kernel{Name: "k"}}
	return k.try(op)
}

// place says which element of an operand belongs to an element of the result,
// see ptx.Broadcast. Row has a count; Channel count and inner; Gap has count runs of
// inner elements, each for gap elements of the result.
type place struct {
	kind              ptx.Broadcast
	count, inner, gap ir.Dim
}

// broadcast finds the place of an operand. It goes by runs of axes that the
// operand has (k) or repeats (r); axes of one element are in any run.
func broadcast(in, out ir.Type) (place, bool) {
	shift := out.Rank() - in.Rank()
	if shift < 0 {
		return place{}, false
	}
	runs := ""
	var sizes []ir.Dim
	for i, d := range out.Dims {
		has := ir.Const(1)
		if i >= shift {
			has = in.Dims[i-shift]
		}
		kind := "k"
		switch {
		case d.IsInt(1) && has.IsInt(1):
			continue
		case has.IsInt(1):
			kind = "r"
		case !has.Equal(d):
			return place{}, false
		}
		if !strings.HasSuffix(runs, kind) {
			runs += kind
			sizes = append(sizes, ir.Const(1))
		}
		sizes[len(sizes)-1] = sizes[len(sizes)-1].Mul(d)
	}
	size := func(fromEnd int) ir.Dim { return sizes[len(sizes)-fromEnd] }
	switch runs {
	case "", "k":
		return place{kind: ptx.Full}, true
	case "r":
		return place{kind: ptx.Scalar}, true
	case "rk":
		return place{kind: ptx.Row, count: size(1)}, true
	case "kr", "rkr":
		return place{kind: ptx.Channel, count: size(2), inner: size(1)}, true
	case "krk", "rkrk":
		return place{kind: ptx.Gap, count: size(3), inner: size(1), gap: size(2).Mul(size(1))}, true
	}
	return place{}, false
}

// Build makes the kernel of a fused op, or of a pointwise op that stands alone.
func Build(op *ir.Op, name string) (*Cluster, error) {
	list, args, results := []*ir.Op{op}, op.Operands(), op.Results()
	if body := op.Region(ops.FusedRegion); body != nil {
		list, args, results = slices.Collect(body.Ops()), body.Args, body.Results()
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("%s is no cluster", ops.Describe(op))
	}
	c := &Cluster{Kernel: &ptx.Kernel{Name: name}, Shape: op.Result(0).Type}
	for _, r := range op.Results() {
		if !sameDims(r.Type, c.Shape) {
			return nil, fmt.Errorf("%s: results of two shapes, %s and %s", ops.Describe(op), c.Shape, r.Type)
		}
	}
	k := &building{kernel: c.Kernel, values: map[*ir.Value]int{}, constants: map[*ir.Value]*ir.Data{}}
	for i, v := range op.Operands() {
		arg := args[i]
		if arg == nil {
			continue // left out
		}
		if d := v.Data(); d != nil && d.Len() == 1 && d.DType != tensor.Bool {
			k.constants[arg] = d
			continue
		}
		at, ok := broadcast(v.Type, c.Shape)
		t, known := dtypes[v.Type.DType]
		if !ok || !known {
			return nil, fmt.Errorf("%s: operand %d, %s, does not broadcast to %s as a kernel reads it", ops.Describe(op), i, v.Type, c.Shape)
		}
		switch p := &c.places[at.kind]; {
		case p.kind == ptx.Full:
			*p = at
		case !p.count.Equal(at.count) || !p.inner.Equal(at.inner) || !p.gap.Equal(at.gap):
			return nil, fmt.Errorf("%s: vectors along more axes than a kernel reads", ops.Describe(op))
		}
		k.values[arg] = len(c.Kernel.Inputs)
		c.Kernel.Inputs = append(c.Kernel.Inputs, ptx.Input{Type: t, Broadcast: at.kind})
		c.Operands = append(c.Operands, i)
	}
	for _, inner := range list {
		if inner.Name == ir.YieldName {
			continue
		}
		if d := inner.Result(0).Data(); inner.Name == ir.ConstantName && d != nil && d.Len() == 1 {
			k.constants[inner.Result(0)] = d
			continue
		}
		form := forms[inner.Name]
		if form == nil {
			return nil, fmt.Errorf("%s has no form as a GPU kernel", ops.Describe(inner))
		}
		v := form(k, inner)
		if k.err != nil {
			return nil, fmt.Errorf("%s: %w", ops.Describe(inner), k.err)
		}
		k.values[inner.Result(0)] = v
	}
	for _, v := range results {
		c.Kernel.Outputs = append(c.Kernel.Outputs, k.value(v))
	}
	if k.err != nil {
		return nil, k.err
	}
	return c, c.Kernel.Validate()
}

func sameDims(a, b ir.Type) bool {
	if a.Rank() != b.Rank() {
		return false
	}
	for i := range a.Dims {
		if !a.Dims[i].Equal(b.Dims[i]) {
			return false
		}
	}
	return true
}

// scalar is the one element of a constant.
func scalar(d *ir.Data) (f float32, n int64, err error) {
	t, err := d.Tensor()
	if err != nil {
		return 0, 0, err
	}
	switch t.DType {
	case tensor.Int64:
		n = tensor.Of[int64](t)[0]
	case tensor.Int32:
		n = int64(tensor.Of[int32](t)[0])
	}
	return float32(ref.Float64s(t)[0]), n, nil
}
