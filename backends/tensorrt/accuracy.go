package tensorrt

import (
	"context"
	"fmt"

	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/internal/compare"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/passes/precision"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// Accuracy is how far an output of the model that is handed to TensorRT is from
// the model's own, both by the reference interpreter: what the precision
// costs, before any GPU has a say.
type Accuracy struct {
	Output string
	SNR    float64 // dB, the least over the batches; +Inf where nothing differs
	Top1   float64 // share of rows with the same largest element
	Random bool    // the inputs were made at random
}

func (a Accuracy) String() string {
	on := "calibration data"
	if a.Random {
		on = "random inputs"
	}
	return fmt.Sprintf("%.1f dB, same top-1 in %.1f %%, on %s", a.SNR, 100*a.Top1, on)
}

// measureBatches is how many batches of calibration data the accuracy is measured on.
const measureBatches = 4

// accuracy runs both modules on the first batches, or on random inputs of the
// profile's usual shapes.
func accuracy(ctx context.Context, before, after *ir.Module, batches []calibrate.Batch, o Options) (out []Accuracy, err error) {
	random := batches == nil
	if random {
		if batches, err = calibrate.Seeded(before.Main().Body.Args, precision.SeededBatches, o.usualShapes()); err != nil {
			return nil, err
		}
	}
	batches = batches[:min(len(batches), measureBatches)]
	narrow, err := calibrate.As(batches, after.Main().Body.Args)
	if err != nil {
		return nil, err
	}
	for i, b := range batches {
		want, err := interp.New(before).Run(ctx, b, interp.Options{})
		if err != nil {
			return nil, fmt.Errorf("running the model for its accuracy: %w", err)
		}
		got, err := interp.New(after).Run(ctx, narrow[i], interp.Options{})
		if err != nil {
			return nil, fmt.Errorf("running the legalized model for its accuracy: %w", err)
		}
		for j, name := range before.Main().Outputs {
			w, ok := want[j].(*tensor.Tensor)
			g, same := got[j].(*tensor.Tensor)
			if !ok || !same || !w.DType.IsFloat() {
				continue
			}
			if g.DType != w.DType {
				if g, err = ref.Cast(g, w.DType, ref.CastOptions{}); err != nil {
					return nil, err
				}
			}
			d, err := compare.Tensors(g, w)
			if err != nil {
				return nil, fmt.Errorf("output %q: %w", name, err)
			}
			if i == 0 {
				out = append(out, Accuracy{Output: name, SNR: d.SNR, Top1: d.Top1, Random: random})
				continue
			}
			for k := range out {
				if a := &out[k]; a.Output == name {
					a.SNR, a.Top1 = min(a.SNR, d.SNR), min(a.Top1, d.Top1)
				}
			}
		}
	}
	return out, nil
}

// usualShapes are those of the first profile, by input.
func (o Options) usualShapes() map[string][]int64 {
	shapes := map[string][]int64{}
	for _, p := range o.Profiles[:min(1, len(o.Profiles))] {
		for _, r := range p {
			shapes[r.Input] = r.Opt
		}
	}
	return shapes
}
