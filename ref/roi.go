package ref

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/hone-ml/hone/tensor"
)

// Suppression is what NonMaxSuppression can be told. Without MinScore every
// box is a candidate.
type Suppression struct {
	MaxPerClass int
	IoU         float64
	MinScore    *float64
	Centers     bool // boxes are [x center, y center, width, height], else two corners [y,x,y,x]
}

// NonMaxSuppression computes ONNX's NonMaxSuppression of boxes [N,B,4] with
// scores [N,classes,B]: rows of (batch, class, box), best first, of boxes that
// overlap no better one of their class by more than IoU.
func NonMaxSuppression(boxes, scores *tensor.Tensor, s Suppression) (*tensor.Tensor, error) {
	if boxes.Rank() != 3 || scores.Rank() != 3 || boxes.Shape[2] != 4 || boxes.Shape[0] != scores.Shape[0] || boxes.Shape[1] != scores.Shape[2] {
		return nil, fmt.Errorf("boxes %s must be [N,B,4] and scores %s [N,classes,B]", boxes, scores)
	}
	n, classes, count := scores.Shape[0], scores.Shape[1], scores.Shape[2]
	bs, ss := Float64s(boxes), Float64s(scores)
	rects := make([]rect, n*count)
	for i := range rects {
		rects[i] = newRect(bs[i*4:i*4+4], s.Centers)
	}
	var rows []int64
	for t := range n * classes {
		image, score := rects[t/classes*count:][:count], ss[t*count:(t+1)*count]
		var order []int
		for i, v := range score {
			if s.MinScore == nil || v > *s.MinScore {
				order = append(order, i)
			}
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(score[b], score[a]) })
		var kept []rect
		for _, i := range order {
			if len(kept) >= s.MaxPerClass {
				break
			}
			if !image[i].meets(kept, s.IoU) {
				kept = append(kept, image[i])
				rows = append(rows, int64(t/classes), int64(t%classes), int64(i))
			}
		}
	}
	return tensor.Int64s(rows, len(rows)/3, 3), nil
}

type rect struct{ x0, y0, x1, y1 float64 }

func newRect(b []float64, centers bool) rect {
	if centers {
		return rect{b[0] - b[2]/2, b[1] - b[3]/2, b[0] + b[2]/2, b[1] + b[3]/2}
	}
	return rect{math.Min(b[1], b[3]), math.Min(b[0], b[2]), math.Max(b[1], b[3]), math.Max(b[0], b[2])}
}

func (r rect) area() float64 { return (r.x1 - r.x0) * (r.y1 - r.y0) }

// meets reports whether r overlaps any of the others by more than a bound.
func (r rect) meets(others []rect, iou float64) bool {
	for i := range others {
		o := &others[i]
		if iou >= 0 && (r.x1 <= o.x0 || o.x1 <= r.x0 || r.y1 <= o.y0 || o.y1 <= r.y0) {
			continue // apart, which most are
		}
		if r.iou(*o) > iou {
			return true
		}
	}
	return false
}

// iou returns the intersection over union, 0 for boxes that do not meet.
func (r rect) iou(o rect) float64 {
	w := math.Min(r.x1, o.x1) - math.Max(r.x0, o.x0)
	h := math.Min(r.y1, o.y1) - math.Max(r.y0, o.y0)
	if w <= 0 || h <= 0 || r.area() <= 0 || o.area() <= 0 {
		return 0
	}
	return w * h / (r.area() + o.area() - w*h)
}

// RoiPooling is what RoiAlign and MaxRoiPool can be told.
type RoiPooling struct {
	Height, Width int
	Scale         float64
	Samples       int  // a bin's samples along each dim, 0 for as many as it has pixels
	HalfPixel     bool // shift positions by half a pixel
	Max           bool // the largest sample, else their mean
}

// maxSamples bounds the samples of one bin along a dim: more than any image
// has pixels.
const maxSamples = 1 << 14

// RoiAlign computes ONNX's RoiAlign (He et al., "Mask R-CNN", 2017): x is
// [N,C,H,W], rois is [R,4] as (x0,y0,x1,y1), images is [R]; the result is
// [R,C,Height,Width].
func RoiAlign(x, rois, images *tensor.Tensor, o RoiPooling) (*tensor.Tensor, error) {
	if x.Rank() != 4 || rois.Rank() != 2 || rois.Shape[1] != 4 || images.Len() != rois.Shape[0] {
		return nil, fmt.Errorf("input %s must be [N,C,H,W], rois %s [R,4] and batch_indices %s [R]", x, rois, images)
	}
	n, ch, h, w := x.Shape[0], x.Shape[1], x.Shape[2], x.Shape[3]
	shape := []int{rois.Shape[0], ch, o.Height, o.Width}
	y, err := newFloats(shape)
	if err != nil {
		return nil, err
	}
	if len(y) > 0 && h*w == 0 {
		return nil, fmt.Errorf("input %s has no elements to sample", x)
	}
	xs, boxes, batch := Float64s(x), Float64s(rois), Float64s(images)
	bins := o.Height * o.Width
	for r := range shape[0] {
		if !(batch[r] >= 0 && batch[r] < float64(n)) {
			return nil, fmt.Errorf("batch index %v is out of range for %d images", batch[r], n)
		}
		shift, least := 0.0, 1.0
		if o.HalfPixel {
			shift, least = 0.5, math.Inf(-1)
		}
		var at [4]float64
		for i, v := range boxes[r*4 : r*4+4] {
			at[i] = v*o.Scale - shift
		}
		binW := math.Max(at[2]-at[0], least) / float64(o.Width)
		binH := math.Max(at[3]-at[1], least) / float64(o.Height)
		samplesX, err := o.samples(binW)
		if err != nil {
			return nil, err
		}
		samplesY, err := o.samples(binH)
		if err != nil {
			return nil, err
		}
		for bin := range bins {
			var points []point
			for i := range samplesY {
				py := at[1] + (float64(bin/o.Width)+(float64(i)+0.5)/float64(samplesY))*binH
				for j := range samplesX {
					px := at[0] + (float64(bin%o.Width)+(float64(j)+0.5)/float64(samplesX))*binW
					points = append(points, newPoint(py, px, h, w))
				}
			}
			for c := range ch {
				plane := xs[(int(batch[r])*ch+c)*h*w:][:h*w]
				y[(r*ch+c)*bins+bin] = pool(plane, points, o.Max)
			}
		}
	}
	return fromFloat64s(x.DType, y, shape...), nil
}

func (o *RoiPooling) samples(bin float64) (int, error) {
	n := math.Ceil(bin)
	if o.Samples > 0 {
		n = float64(o.Samples)
	}
	if !(n <= maxSamples) {
		return 0, fmt.Errorf("a bin of %v by %v samples is larger than any image", n, n)
	}
	return max(int(n), 0), nil
}

// point is a bilinear sample: four positions in a plane and their weights.
type point struct {
	at [4]int
	w  [4]float64
}

// newPoint returns the sample at (y, x): nothing more than a pixel outside of
// the plane, and the border's pixels nearer than that.
func newPoint(y, x float64, h, w int) (p point) {
	if !(y >= -1 && y <= float64(h) && x >= -1 && x <= float64(w)) {
		return p
	}
	y0, y1, fy := straddle(y, h)
	x0, x1, fx := straddle(x, w)
	p.at = [4]int{y0*w + x0, y0*w + x1, y1*w + x0, y1*w + x1}
	p.w = [4]float64{(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx}
	return p
}

func straddle(v float64, n int) (lo, hi int, frac float64) {
	v = math.Max(v, 0)
	if lo = int(v); lo >= n-1 {
		return n - 1, n - 1, 0
	}
	return lo, lo + 1, v - float64(lo)
}

// pool returns the mean of the samples or, as ONNX defines it, the largest
// weighted pixel of any of them.
func pool(plane []float64, points []point, largest bool) float64 {
	if len(points) == 0 {
		return 0
	}
	sum, best := 0.0, math.Inf(-1)
	for _, p := range points {
		for i, at := range p.at {
			v := p.w[i] * plane[at]
			sum += v
			best = math.Max(best, v)
		}
	}
	if largest {
		return best
	}
	return sum / float64(len(points))
}

// MaxRoiPool computes ONNX's MaxRoiPool (Girshick, "Fast R-CNN", 2015): x is
// [N,C,H,W], rois is [R,5] as (image,x0,y0,x1,y1); the result is
// [R,C,Height,Width], 0 for empty bins.
func MaxRoiPool(x, rois *tensor.Tensor, o RoiPooling) (*tensor.Tensor, error) {
	if x.Rank() != 4 || rois.Rank() != 2 || rois.Shape[1] != 5 {
		return nil, fmt.Errorf("input %s must be [N,C,H,W] and rois %s [R,5]", x, rois)
	}
	n, ch, h, w := x.Shape[0], x.Shape[1], x.Shape[2], x.Shape[3]
	shape := []int{rois.Shape[0], ch, o.Height, o.Width}
	y, err := newFloats(shape)
	if err != nil {
		return nil, err
	}
	xs, boxes, bins := Float64s(x), Float64s(rois), o.Height*o.Width
	for i := range y {
		b := boxes[i/(ch*bins)*5:][:5]
		if !(b[0] >= 0 && b[0] < float64(n)) {
			return nil, fmt.Errorf("batch index %v is out of range for %d images", b[0], n)
		}
		x0, x1 := roiBin(b[1]*o.Scale, b[3]*o.Scale, i%o.Width, o.Width, w)
		y0, y1 := roiBin(b[2]*o.Scale, b[4]*o.Scale, i/o.Width%o.Height, o.Height, h)
		plane := xs[(int(b[0])*ch+i/bins%ch)*h*w:][:h*w]
		for first, r := true, y0; r < y1; r++ {
			for c := x0; c < x1; c++ {
				if v := plane[r*w+c]; first || v > y[i] {
					y[i], first = v, false
				}
			}
		}
	}
	return fromFloat64s(x.DType, y, shape...), nil
}

// roiBin returns the pixels [from, to) of bin i of n over the region [start,
// end], rounded to pixels, of a dim of the given size.
func roiBin(start, end float64, i, n, size int) (from, to int) {
	start, end = math.Round(start), math.Round(end)
	bin := math.Max(end-start+1, 1) / float64(n)
	clamp := func(v float64) int {
		if !(v > 0) {
			return 0
		}
		return int(math.Min(v, float64(size)))
	}
	return clamp(math.Floor(float64(i)*bin) + start), clamp(math.Ceil(float64(i+1)*bin) + start)
}
