package ops

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// inferred parses "%a: type, ... ; const lines ; op" in IR text and returns
// the types that the op's results are inferred to have.
func inferred(t *testing.T, args, consts, op string, results int) ([]string, error) {
	t.Helper()
	name, types := "%y", "f32[*]"
	if results > 1 {
		name = fmt.Sprintf("%%y:%d", results)
		types += strings.Repeat(", f32[*]", results-1)
	}
	src := fmt.Sprintf("module @t opset=28\nfunc @main(%s) -> () {\n%s\n%s = %s : %s\nreturn()\n}\n", args, consts, name, op, types)
	m, err := ir.Parse(src, ir.ParseOptions{})
	require.NoError(t, err, src)
	if err := InferModule(m); err != nil {
		return nil, err
	}
	var got []string
	for _, r := range m.Main().Body.Last().Prev().Results() {
		got = append(got, r.Type.String())
	}
	return got, nil
}

func TestNeuralNetworkShapes(t *testing.T) {
	const image = "%x: f32[N,3,H,W]"
	for _, c := range []struct {
		args, consts, op string
		want             []string
	}{
		{image + ", %w: f32[64,3,7,7]", "", "Conv(%x, %w) {pads=[3,3,3,3], strides=[2,2]}", []string{"f32[N,64,(H+1)/2,(W+1)/2]"}},
		{image + ", %w: f32[64,3,3,3]", "", "Conv(%x, %w) {auto_pad=\"SAME_UPPER\", strides=[2,1]}", []string{"f32[N,64,(H+1)/2,W]"}},
		{"%x: f32[N,8,32], %w: f32[8,1,3]", "", "Conv(%x, %w) {dilations=[2], group=8}", []string{"f32[N,8,28]"}},
		{"%x: f32[N,8,32], %w: f32[8,1,K]", "", "Conv(%x, %w) {group=8}", []string{"f32[N,8,-K+33]"}},
		{"%x: f32[*], %w: f32[*]", "", "Conv(%x, %w)", []string{"f32[*]"}},
		{"%x: u8[1,3,4,4], %w: u8[2,3,2,2]", "", "ConvInteger(%x, %w)", []string{"i32[1,2,3,3]"}},
		{"%x: f32[N,16,H,W], %w: f32[16,4,3,3]", "", "ConvTranspose(%x, %w) {group=2, output_padding=[1,1], pads=[1,1,1,1], strides=[2,2]}", []string{"f32[N,8,2*H,2*W]"}},
		{"%x: f32[N,16,H], %w: f32[16,4,3]", "", "ConvTranspose(%x, %w) {output_shape=[9], strides=[2]}", []string{"f32[N,4,9]"}},
		{"%x: f32[N,C,L]", "%i = const i64[2] [5, 5]\n%b = const i64[2] [1, 5]", "Col2Im(%x, %i, %b)", []string{"f32[N,C/5,5,5]"}},
		{"%x: f32[N,C,L], %w: f32[C,1,4]", "", "CausalConvWithState(%x, %w)", []string{"f32[N,C,L]", "f32[N,C,3]"}},

		{image, "", "MaxPool(%x) {kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]}", []string{"f32[N,3,(H+1)/2,(W+1)/2]", "i64[N,3,(H+1)/2,(W+1)/2]"}},
		{"%x: f32[N,3,H]", "", "AveragePool(%x) {ceil_mode=1, kernel_shape=[2], strides=[2]}", []string{"f32[N,3,(H+1)/2]"}},
		{"%x: f32[N,3,H]", "", "AveragePool(%x) {ceil_mode=1, kernel_shape=[2], pads=[0,1], strides=[2]}", []string{"f32[N,3,min((H+1)/2,H/2+1)]"}},
		{image, "", "GlobalAveragePool(%x)", []string{"f32[N,3,1,1]"}},
		{image + ", %i: i64[N,3,H,W]", "", "MaxUnpool(%x, %i) {kernel_shape=[2,2], strides=[2,2]}", []string{"f32[N,3,2*H,2*W]"}},
		{image + ", %r: f32[R,4], %b: i64[R]", "", "RoiAlign(%x, %r, %b) {output_height=7, output_width=5}", []string{"f32[R,3,7,5]"}},

		{"%x: f16[B,T,768], %s: f16[768]", "", "LayerNormalization(%x, %s) {axis=-1}", []string{"f16[B,T,768]", "f32[B,T,1]", "f32[B,T,1]"}},
		{image, "", "Dropout(%x)", []string{"f32[N,3,H,W]", "bool[N,3,H,W]"}},

		{image, "%s = const f32[4] [1.0, 1.0, 2.0, 0.5]", "Resize(%x, _, %s)", []string{"f32[N,3,2*H,W/2]"}},
		{image, "%s = const i64[2] [5, 7]", "Resize(%x, _, _, %s) {axes=[2,3]}", []string{"f32[N,3,5,7]"}},
		{"%x: f32[1,3,8,8]", "%s = const i64[2] [16, 32]", "Resize(%x, _, _, %s) {axes=[2,3], keep_aspect_ratio_policy=\"not_larger\"}", []string{"f32[1,3,16,16]"}},
		{image + ", %g: f32[N,A,B,2]", "", "GridSample(%x, %g)", []string{"f32[N,3,A,B]"}},
		{"%t: f32[N,2,3]", "%s = const i64[4] [2, 3, 5, 7]", "AffineGrid(%t, %s)", []string{"f32[2,5,7,2]"}},
		{"%x: f32[T,B,9], %w: f32[2,20,9], %r: f32[2,20,5]", "", "LSTM(%x, %w, %r) {direction=\"bidirectional\", hidden_size=5}", []string{"f32[T,2,B,5]", "f32[2,B,5]", "f32[2,B,5]"}},
		{"%x: f32[B,T,9], %w: f32[1,15,9], %r: f32[1,15,5]", "", "GRU(%x, %w, %r) {layout=1}", []string{"f32[B,T,1,5]", "f32[B,1,5]"}},

		{"%q: f32[B,T,64], %k: f32[B,S,32], %v: f32[B,S,32], %p: f32[B,2,P,16]", "", "Attention(%q, %k, %v, _, %p, %p) {kv_num_heads=2, q_num_heads=4}",
			[]string{"f32[B,T,64]", "f32[B,2,P+S,16]", "f32[B,2,P+S,16]", "f32[B,4,T,P+S]"}},
		{"%q: f32[B,T,64], %k: f32[B,T,32], %v: f32[B,T,48]", "", "LinearAttention(%q, %k, %v) {kv_num_heads=2, q_num_heads=4, update_rule=\"linear\"}",
			[]string{"f32[B,T,96]", "f32[B,2,16,24]"}},
	} {
		t.Run(c.op, func(t *testing.T) {
			got, err := inferred(t, c.args, c.consts, c.op, len(c.want))
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestNeuralNetworkContradictions(t *testing.T) {
	for _, c := range []struct{ args, op, says string }{
		{"%x: f32[N,3,8], %w: f32[4,2,3]", "Conv(%x, %w)", "3 is not 2"},
		{"%x: f32[N,3,8], %w: f32[4,3,3,3]", "Conv(%x, %w)", "ranks"},
		{"%x: f32[N,3,8]", "MaxPool(%x) {kernel_shape=[2,2]}", "kernel"},
		{"%x: f32[N,3,8]", "MaxPool(%x) {kernel_shape=[2], pads=[1]}", "pads"},
		{"%x: f32[N,3]", "AveragePool(%x) {kernel_shape=[2]}", "spatial"},
		{"%x: f32[N,3], %s: f32[3]", "LayerNormalization(%x, %s) {axis=2}", "axis"},
		{"%x: f32[N,3]", "LSTM(%x, %x, %x)", "3 dims"},
		{"%x: f32[N,3,4]", "Attention(%x, %x, %x)", "heads"},
	} {
		_, err := inferred(t, c.args, "", c.op, 1)
		require.ErrorContains(t, err, c.says, c.op)
	}
}

// converted parses an op of a model of the given opset and brings it to the
// newest form, or back from that to the opset's. It returns the body.
func converted(t *testing.T, opset int, back bool, args, op string) (string, error) {
	t.Helper()
	src := fmt.Sprintf("module @t opset=28\nfunc @main(%s) -> (y: f32[*]) {\n%%y = %s : f32[*]\nreturn(%%y)\n}\n", args, op)
	m, err := ir.Parse(src, ir.ParseOptions{})
	require.NoError(t, err)
	o := m.Main().Body.First()
	for at := opset; !back; {
		i := slices.IndexFunc(Lookup(o.Name).Upgrades, func(u Upgrade) bool { return u.To > at })
		if i < 0 {
			break
		}
		u := Lookup(o.Name).Upgrades[i]
		require.NoError(t, u.Do(ir.Before(o), o))
		at = u.To
	}
	for _, d := range Lookup(o.Name).Downgrades {
		if opset < d.From && back {
			if err := d.Do(ir.Before(o), o); err != nil {
				return "", err
			}
		}
	}
	text, err := ir.Print(m)
	require.NoError(t, err)
	_, body, _ := strings.Cut(text, "{\n")
	body, _, _ = strings.Cut(body, "  return(")
	return strings.TrimSpace(body), nil
}

func TestNeuralNetworkUpgrades(t *testing.T) {
	bn := "%x: f32[2,3,4], %s: f32[3]"
	for _, c := range []struct {
		opset    int
		args, op string
		want     string
	}{
		{1, "%x: f32[1,3,4]", "LpPool(%x) {kernel_shape=[2], p=2.0}", "%0 = LpPool(%x) {kernel_shape=[2], p=2} : f32[*]"},
		{6, bn, "BatchNormalization(%x, %s, %s, %s, %s) {is_test=1, spatial=1}", "%0 = BatchNormalization(%x, %s, %s, %s, %s) : f32[*]"},
		{7, "%x: f32[2,3]", "Dropout(%x) {ratio=0.5}", "%0 = Dropout(%x) : f32[*]"},
		{10, "%x: f32[2,3], %s: f32[2]", "Resize(%x, %s) {mode=\"linear\"}",
			"%0 = Resize(%x, _, %s) {coordinate_transformation_mode=\"asymmetric\", mode=\"linear\", nearest_mode=\"floor\"} : f32[*]"},
		{7, "%x: f32[2,3]", "Upsample(%x) {mode=\"bilinear\", scales=[1.0, 2.0]}",
			"%0 = const f32[2] [1.0, 2.0]\n  %1 = Resize(%x, _, %0) {coordinate_transformation_mode=\"asymmetric\", mode=\"linear\", nearest_mode=\"floor\"} : f32[*]"},
		{16, "%x: f32[1,1,2,2]", "GridSample(%x, %x) {mode=\"bicubic\"}", "%0 = GridSample(%x, %x) {mode=\"cubic\"} : f32[*]"},
		{10, "%x: f32[1,1,2,2]", "RoiAlign(%x, %x, %x)", "%0 = RoiAlign(%x, %x, %x) {coordinate_transformation_mode=\"output_half_pixel\"} : f32[*]"},
		{1, "%x: f32[1,1,2]", "LSTM(%x, %x, %x) {output_sequence=1}", "%0 = LSTM(%x, %x, %x) : f32[*]"},
	} {
		t.Run(c.op, func(t *testing.T) {
			got, err := converted(t, c.opset, false, c.args, c.op)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestNeuralNetworkDowngrades(t *testing.T) {
	x := "%x: f32[1,1,2,2], %s: f32[4]"
	for _, c := range []struct {
		opset          int
		op, want, says string
	}{
		{9, "AveragePool(%x) {ceil_mode=0, dilations=[1,1], kernel_shape=[2,2]}", "%0 = AveragePool(%x) {kernel_shape=[2, 2]} : f32[*]", ""},
		{18, "AveragePool(%x) {dilations=[1,2], kernel_shape=[2,2]}", "", "dilations"},
		{13, "BatchNormalization(%x, %s, %s, %s, %s) {training_mode=1}", "", "training_mode"},
		{11, "Dropout(%x) {seed=1}", "%0 = Dropout(%x) : f32[*]", ""},
		{11, "Dropout(%x, %s, %s)", "", "training_mode"},
		{12, "Resize(%x, _, %s) {axes=[0,1,2,3]}", "%0 = const f32[0] []\n  %1 = Resize(%x, %0, %s) : f32[*]", ""},
		{10, "Resize(%x, _, %s) {coordinate_transformation_mode=\"asymmetric\", mode=\"linear\"}", "%1 = Resize(%x, %s) {mode=\"linear\"} : f32[*]", ""},
		{10, "Resize(%x, _, %s)", "", "asymmetric"},
		{16, "GridSample(%x, %x)", "%0 = GridSample(%x, %x) {mode=\"bilinear\"} : f32[*]", ""},
		{15, "RoiAlign(%x, %x, %x)", "", "half_pixel"},
		{13, "LSTM(%x, %x, %x) {layout=0}", "%0 = LSTM(%x, %x, %x) : f32[*]", ""},
		{13, "LSTM(%x, %x, %x) {layout=1}", "", "layout"},
	} {
		t.Run(c.op, func(t *testing.T) {
			got, err := converted(t, c.opset, true, x, c.op)
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			require.Contains(t, got, c.want)
		})
	}
}

// Slices to the end of a dim say so by the largest int64, which no float64 holds.
func TestOperandsAreReadExactly(t *testing.T) {
	x := tensor.Int64s([]int64{math.MaxInt64, math.MinInt64, -1})
	require.Equal(t, []int{math.MaxInt64, math.MinInt64, -1}, intsIn(x))
	require.Nil(t, intsIn(nil))
	require.Equal(t, []int{3}, intsIn(tensor.Float32s([]float32{3}, 1)), "OneHot's depth may be any number")
	require.Panics(t, func() { intsIn(tensor.StringsOf([]string{"3"}, 1)) })
}
