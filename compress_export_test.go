package hone_test

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/frontend/onnx"
	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/internal/compare"
	"github.com/hone-ml/hone/internal/npy"
	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

// exports are the compressed models that onnxruntime must answer as the
// interpreter does.
var exports = []string{
	"O2,quantize{mode=static,calibration=DATA},dce",
	"O2,quantize{mode=weights},dce",
	"O2,quantize{mode=dynamic},dce",
	"O2,prune{method=2:4},dce",
	"O2,cluster{bits=4,storage=uint4},dce",
	"O2,cluster{bits=6},dce",
}

// tapped runs a model in onnxruntime, with its optimizations off: they multiply
// integers where the model says to restore and multiply floats, which rounds
// otherwise. Every quantized value becomes an output. It prints a line "name
// file" for each.
const tapped = `
import sys, numpy as np, onnx, onnxruntime as ort
model, folder, names = sys.argv[1], sys.argv[2], sys.argv[3:]
m = onnx.load(model)
onnx.checker.check_model(model, full_check=True)
outputs = [o.name for o in m.graph.output]
for n in m.graph.node:
    if n.op_type in ("QuantizeLinear", "DynamicQuantizeLinear") and n.output[0] not in outputs:
        outputs.append(n.output[0])
        m.graph.output.append(onnx.ValueInfoProto(name=n.output[0]))
o = ort.SessionOptions()
o.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
o.log_severity_level = 3
s = ort.InferenceSession(m.SerializeToString(), o, providers=["CPUExecutionProvider"])
inputs = {n: np.load(f"{folder}/in_{i}.npy") for i, n in enumerate(names)}
for i, (n, v) in enumerate(zip(outputs, s.run(outputs, inputs))):
    np.save(f"{folder}/out_{i}.npy", v)
    print(n)
`

// Compressed exports pass onnx.checker and run in onnxruntime, where what is
// quantized differs from the interpreter's by one quantum at most, in a
// thousandth of the elements at most. Each quantized value is judged on the same
// quanta before it, for a difference grows from layer to layer; so are the
// outputs, which must be near. End to end the outputs stay within a quantum of
// 8 bits, but for a thousandth of their elements.
func TestCompressedExportsInOnnxruntime(t *testing.T) {
	models := []string{"digits"}
	if testenv.Full() {
		models = append(models, "resnet18", "mobilenet_v2", "minilm_l6", "hf_bert")
	} else {
		t.Log("the digits only; resnet18, mobilenet_v2, minilm_l6 and hf_bert with HONE_FULL")
	}
	for _, name := range models {
		for _, pipeline := range exports {
			t.Run(name+"/"+strings.Split(pipeline, ",")[1], func(t *testing.T) { exportAnswers(t, name, pipeline) })
		}
	}
}

func exportAnswers(t *testing.T, name, pipeline string) {
	dir := t.TempDir()
	model, err := hone.Open(testenv.Model(t, name))
	require.NoError(t, err)
	args := model.Module().Main().Body.Args
	batches, err := calibrate.Seeded(args, 3, nil)
	require.NoError(t, err)
	data := filepath.Join(dir, "calibration")
	var names []string
	for i, b := range batches {
		folder := filepath.Join(data, fmt.Sprint(i))
		require.NoError(t, os.MkdirAll(folder, 0o755))
		for j, a := range args {
			save(t, filepath.Join(folder, a.Name+".npy"), b[j].(*tensor.Tensor))
		}
	}
	inputs := batches[2]
	for j, a := range args {
		names = append(names, a.Name)
		save(t, filepath.Join(dir, fmt.Sprintf("in_%d.npy", j)), inputs[j].(*tensor.Tensor))
	}
	require.NoError(t, os.RemoveAll(filepath.Join(data, "2")))
	require.NoError(t, model.Optimize(passes.NewContext(t.Context()), withData(pipeline, data)))
	file := filepath.Join(dir, "small.onnx")
	require.NoError(t, onnx.WriteFile(t.Context(), file, model.Module(), onnx.ExportOptions{}))

	out, err := exec.Command(testenv.Python(t), append([]string{"-c", tapped, file, dir}, names...)...).CombinedOutput()
	require.NoError(t, err, string(out))
	theirs := map[string]*tensor.Tensor{}
	for i, n := range strings.Fields(string(out)) {
		theirs[n], err = npy.ReadFile(filepath.Join(dir, fmt.Sprintf("out_%d.npy", i)))
		require.NoError(t, err)
	}

	small, err := hone.Open(file)
	require.NoError(t, err)
	quanta, differ, compared := 0, 0, 0
	outs, err := interp.New(small.Module()).Run(t.Context(), inputs, interp.Options{Observe: func(v *ir.Value, x tensor.Value) {
		want := theirs[v.Origin.Name]
		if v.Def() == nil || want == nil || want.DType.IsFloat() || !strings.HasSuffix(v.Def().Name, "QuantizeLinear") || v.Index() != 0 {
			return
		}
		compared++
		a, b := x.(*tensor.Tensor).Data, want.Data
		require.Len(t, a, len(b))
		quanta += len(a)
		for i := range a {
			d := int(a[i]) - int(b[i])
			if want.DType == tensor.Int8 {
				d = int(int8(a[i])) - int(int8(b[i]))
			}
			if d != 0 {
				differ++
				require.LessOrEqual(t, max(d, -d), 1, "%s, element %d", v.Origin.Name, i)
			}
		}
		copy(a, b)
	}})
	require.NoError(t, err)
	ends, err := interp.New(small.Module()).Run(t.Context(), inputs, interp.Options{})
	require.NoError(t, err)
	worst, off, elements := 0.0, 0, 0
	for i, p := range hone.Outputs(small.Module()) {
		want := theirs[p.Name]
		d, err := compare.Tensors(outs[i].(*tensor.Tensor), want)
		require.NoError(t, err)
		worst = math.Max(worst, d.MaxAbs/d.Scale)
		w := tensor.Of[float32](want)
		quantum := float64(slices.Max(w)-slices.Min(w)) / 255
		for j, x := range tensor.Of[float32](ends[i].(*tensor.Tensor)) {
			elements++
			if math.Abs(float64(x)-float64(w[j])) > quantum {
				off++
			}
		}
	}
	t.Logf("%d of %d quanta in %d values differ; outputs within %.2g of their scale; end to end %d of %d off by more than a quantum",
		differ, quanta, compared, worst, off, elements)
	require.LessOrEqual(t, float64(differ), 0.001*float64(quanta))
	require.LessOrEqual(t, worst, bound)
	require.LessOrEqual(t, float64(off), 0.001*float64(elements))
}

func save(t *testing.T, path string, x *tensor.Tensor) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, npy.Write(f, x))
	require.NoError(t, f.Close())
}
