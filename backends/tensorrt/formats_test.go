package tensorrt

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/internal/npy"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes/layers"
	"github.com/hone-ml/hone/passes/precision"
	"github.com/hone-ml/hone/tensor"
)

// calibration writes batches of random inputs as a user keeps calibration data: a folder a batch, a file an input.
func calibration(t testing.TB, m *ir.Module) string {
	dir := t.TempDir()
	batches, err := calibrate.Seeded(m.Main().Body.Args, 4, nil)
	require.NoError(t, err)
	for i, b := range batches {
		folder := filepath.Join(dir, string(rune('a'+i)))
		require.NoError(t, os.Mkdir(folder, 0o755))
		for j, a := range m.Main().Body.Args {
			var file bytes.Buffer
			require.NoError(t, npy.Write(&file, b[j].(*tensor.Tensor)))
			require.NoError(t, os.WriteFile(filepath.Join(folder, a.Name+".npy"), file.Bytes(), 0o600))
		}
	}
	return dir
}

// layerBytes are those of the weights that formats of few bits store.
func layerBytes(t testing.TB, m *ir.Module) float64 {
	found, err := layers.Find(m, nil)
	require.NoError(t, err)
	n := 0
	for _, l := range found {
		n += 4 * l.Weight.Len()
	}
	return float64(n)
}

// Every format is built by NVIDIA's builder for every compute capability that it takes it for, of a convolutional
// model and of a transformer, with weights of the size that the format has, and near to float32.
func TestFormats(t *testing.T) {
	needLibrary(t)
	formats := []struct {
		precision   string
		sm          []int
		float, bits float64    // of all else and of the layers, a number
		snr         [2]float64 // least, of each model
	}{
		{"fp32", []int{80, 86, 89, 120}, 32, 32, [2]float64{100, 100}},
		{"fp16", []int{75, 80, 86, 89, 120}, 16, 16, [2]float64{50, 55}},
		{"bf16", []int{80, 86, 89, 120}, 16, 16, [2]float64{38, 40}},
		{"int8", []int{80, 86, 89, 120}, 32, 8, [2]float64{28, 45}},
		{"int8+fp16", []int{75, 80, 86, 89, 120}, 16, 8, [2]float64{28, 45}},
		{"int8+bf16", []int{80, 86, 89, 120}, 16, 8, [2]float64{28, 40}},
		{"fp8", []int{89, 120}, 32, 8, [2]float64{20, 40}},
		{"fp8+fp16", []int{89, 120}, 16, 8, [2]float64{20, 40}},
		{"int4", []int{80, 86, 89, 120}, 32, 4, [2]float64{33, 45}},
		{"int4+fp16", []int{80, 86, 89, 120}, 16, 4, [2]float64{33, 45}},
	}
	for i, name := range []string{"digits", "hf_bert"} {
		if testing.Short() && i > 0 {
			continue
		}
		m := open(t, name, map[string][]string{"digits": {"image=4x1x8x8"}, "hf_bert": {"input_ids=2x16", "attention_mask=2x16"}}[name])
		data := calibration(t, m)
		full, layer := 0.0, layerBytes(t, m)
		for _, f := range formats {
			t.Run(name+"/"+f.precision, func(t *testing.T) {
				o := Options{SM: f.sm, Precision: f.precision, Calibrate: data, Accuracy: true}
				if testing.Short() {
					o.SM = f.sm[:1]
				}
				engine, rep, err := Compile(t.Context(), m, o)
				require.NoError(t, err)
				p, err := ReadPlan(engine)
				require.NoError(t, err)
				require.Equal(t, o.SM, p.Capabilities)
				if f.precision == "fp32" {
					full = float64(p.WeightBytes)
				}
				for _, a := range rep.Accuracy {
					t.Logf("%s %s: %s; plan %d bytes, weights %d (%.3f), attention fused in %d", name, f.precision, a, rep.Bytes, p.WeightBytes, float64(p.WeightBytes)/full, p.AttentionKernels())
					require.GreaterOrEqual(t, a.SNR, f.snr[i], a.Output)
				}
				require.NotEmpty(t, rep.Accuracy)
				if name == "hf_bert" {
					want := (full-layer)*f.float/32 + layer*f.bits/32
					require.InDelta(t, want, p.WeightBytes, 0.06*want, "embeddings are no layers; scales and alignment add a little")
				}
			})
		}
	}
}

// What a compute capability or the options do not allow is refused before calibration and build, with what to do.
func TestFormatRefusals(t *testing.T) {
	m := open(t, "digits", nil)
	for _, c := range []struct {
		precision string
		sm        []int
		says      string
	}{
		{"fp8", []int{86, 89}, "precision fp8 needs compute capability 8.9 at least, and 8.6 is asked for: build a plan of its own for that, with int8"},
		{"bf16", []int{75}, "precision bf16 needs compute capability 8.0 at least, and 7.5 is asked for"},
		{"int4+fp16", []int{75}, "precision int4 needs compute capability 8.0"},
		{"int8", []int{75}, "compute capability 7.5 does not support: int8+fp16"},
		{"int8", []int{86}, "precision int8 needs calibration data: a folder of .npy inputs, --calibrate DIR"},
		{"int8+fp8", []int{89}, "names two formats for the layers"},
		{"fp16+bf16", []int{89}, "names two float types"},
		{"int2", []int{89}, "is not known"},
	} {
		_, _, err := Compile(t.Context(), m, Options{SM: c.sm, Precision: c.precision, Library: "/nonexistent"})
		require.ErrorContains(t, err, c.says)
	}
	_, err := Explain(t.Context(), m, Options{SM: []int{86}, Precision: "fp16", Keep: "Gemn"})
	require.ErrorContains(t, err, `"Gemn" matches no operation of the model`)
	_, err = Explain(t.Context(), m, Options{SM: []int{86}, Precision: "fp16", Calibrate: "/nonexistent"})
	require.ErrorContains(t, err, "no such file")
}

// Ops are kept in float32 by operator, by name and by measure, and the table says why.
func TestKeep(t *testing.T) {
	m := open(t, "digits", nil)
	kept := func(o Options) (ops []string, why []string) {
		o.SM, o.Precision = []int{86}, "fp16"
		table, err := Explain(t.Context(), m, o)
		require.NoError(t, err)
		for _, r := range table {
			if r.Precision == "f32" && r.Op != "Cast" {
				ops = append(ops, r.Op+" "+r.Name)
				why = append(why, r.Kept)
			}
		}
		return ops, why
	}
	none, _ := kept(Options{})
	require.Empty(t, none)
	ops, _ := kept(Options{Keep: "Gemm"})
	require.Len(t, ops, 1)
	require.Contains(t, ops[0], "Gemm")
	ops, _ = kept(Options{Keep: "Gemm|*onv_0"})
	require.Len(t, ops, 2)
	ops, why := kept(Options{Choice: precision.Choice{Worst: 3}})
	require.Len(t, ops, 3)
	for _, w := range why {
		require.Contains(t, w, "among the 3 that lose most")
	}
	ops, _ = kept(Options{Choice: precision.Choice{MinSNR: 300}, Calibrate: "../../testdata/digits/calibration_images.npy"})
	require.Greater(t, len(ops), 10)
}
