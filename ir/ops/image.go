package ops

import (
	"github.com/hone-ml/hone/internal/preprocess/imaging"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	add(map[string]Impl{
		"ImageDecoder": {Infer: inferImageDecoder, Eval: evalImageDecoder},
	})
}

func inferImageDecoder(x *Inference) error {
	channels := int64(3)
	if x.Str("pixel_format") == "Grayscale" {
		channels = 1
	}
	x.Set(0, ir.TensorOf(tensor.Uint8, x.Fresh(), x.Fresh(), ir.Const(channels)))
	return nil
}

// evalImageDecoder gives [height, width, channels]. As ONNX asks, bytes that
// are no picture give an empty one; a format that hone knows but does not
// read fails instead, since there the model is not to blame.
func evalImageDecoder(c *Call) error {
	if c.In(0).DType != tensor.Uint8 {
		return c.Errorf("the picture's bytes are %s, not u8", c.In(0))
	}
	b := c.In(0).Data
	p, err := imaging.DecodeAsStored(b, 0)
	switch {
	case err != nil && imaging.IsJPEG2000(b):
		return err
	case err != nil:
		p = imaging.New(0, 0, 3)
	}
	switch format := c.Str("pixel_format"); format {
	case "Grayscale":
		p = p.Grey()
	case "RGB", "BGR":
		p = p.RGB()
		if format == "BGR" {
			p = &imaging.Picture{W: p.W, H: p.H, Channels: 3, Pix: append([]byte{}, p.Pix...)}
			for i := 0; i < len(p.Pix); i += 3 {
				p.Pix[i], p.Pix[i+2] = p.Pix[i+2], p.Pix[i]
			}
		}
	default:
		return c.Errorf("pixel_format %q is not one of RGB, BGR, Grayscale", format)
	}
	c.Set(0, tensor.From(tensor.Uint8, p.Pix, p.H, p.W, p.Channels))
	return nil
}
