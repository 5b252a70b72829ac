package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/backends/tensorrt"
	"github.com/hone-ml/hone/backends/tensorrt/cuda"
	"github.com/hone-ml/hone/internal/npy"
	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/testdata/digits"
)

// The scripts run this test binary as hone.
func TestMain(m *testing.M) {
	tensorrt.ChildMain() // doctor starts this program again
	testscript.Main(m, map[string]func(){"hone": func() {
		patience = time.Hour // what a script says does not depend on the machine
		Main()
	}})
}

// TestScripts runs testdata/script: sessions of a user at a shell, in a folder
// that holds digits.onnx, images.npy (360 pictures), one.npy and one.png (the
// first of them), and tests/right and tests/wrong, ONNX backend tests.
// $EXAMPLES is the folder of the examples.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", Setup: setUp,
		Cmds:      map[string]func(*testscript.TestScript, bool, []string){"usage": usage, "truncate": truncate, "bad": badCalibration},
		Condition: func(name string) (bool, error) { return has(t.Context(), name) },
	})
}

// has tells whether this machine has what a script asks for with [name].
func has(ctx context.Context, name string) (bool, error) {
	switch name {
	case "tensorrt":
		_, err := tensorrt.Find(ctx)
		return err == nil, nil
	case "gpu":
		_, err := cuda.Devices()
		return err == nil, nil
	}
	return false, fmt.Errorf("a script asks for %q", name)
}

// badCalibration COMMAND [flags] runs a compressing command on data that it has
// to refuse, and looks for the reason.
func badCalibration(ts *testscript.TestScript, _ bool, args []string) {
	for _, c := range []struct{ path, says string }{
		{"nowhere", "there is no file nowhere"},
		{"none", "calibration data: none holds no .npy files"},
		{"empty.npy", `input "image": empty.npy: `},
		{"text.npy", `input "image": text.npy: `},
		{"nan.npy", "nan.npy: element 5 is NaN: calibration needs finite inputs"},
		{"wide.npy", `wide.npy: holds f32\[1,1,9,9\], the model takes f32\[N,1,8,8\]`},
	} {
		full := append([]string{args[0], "digits.onnx", "-o", "keep.onnx", "--calibration", c.path}, args[1:]...)
		if err := ts.Exec("hone", full...); err == nil {
			ts.Fatalf("%v takes %s", args, c.path)
		}
		if said := ts.ReadFile("stderr"); !regexp.MustCompile(c.says).MatchString(said) {
			ts.Fatalf("%v with %s says %q, not %q", args, c.path, said, c.says)
		}
	}
}

// truncate FILE SIZE cuts a file short.
func truncate(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), n))
}

// usage runs hone and wants code 2, one line of error and no output.
func usage(ts *testscript.TestScript, _ bool, args []string) {
	var exit *exec.ExitError
	if err := ts.Exec("hone", args...); !errors.As(err, &exit) || exit.ExitCode() != 2 {
		ts.Fatalf("hone %v: %v, want exit code 2", args, err)
	}
	if line := ts.ReadFile("stderr"); !strings.HasPrefix(line, "hone: ") || strings.Count(line, "\n") != 1 {
		ts.Fatalf("hone %v says %q, want one line", args, line)
	}
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("hone %v writes %q", args, out)
	}
}

func setUp(env *testscript.Env) error {
	examples, err := filepath.Abs("../../../examples")
	if err != nil {
		return err
	}
	env.Setenv("EXAMPLES", examples)
	env.Setenv("HONE_CACHE", testenv.Cache())
	images, err := npy.Read(bytes.NewReader(digits.Images))
	if err != nil {
		return err
	}
	pixels := tensor.Of[float32](images)[:64]
	one := tensor.Float32s(pixels, 1, 1, 8, 8)
	picture := image.NewGray(image.Rect(0, 0, 8, 8))
	for i, p := range pixels {
		picture.Pix[i] = uint8(p*255 + 0.5)
	}
	var asNpy, asPng bytes.Buffer
	if err := npy.Write(&asNpy, one); err != nil {
		return err
	}
	if err := png.Encode(&asPng, picture); err != nil {
		return err
	}
	broken := one.Clone()
	tensor.Of[float32](broken)[5] = float32(math.NaN())
	var nan, wide bytes.Buffer
	for b, t := range map[*bytes.Buffer]*tensor.Tensor{&nan: broken, &wide: tensor.New(tensor.Float32, 1, 1, 9, 9)} {
		if err := npy.Write(b, t); err != nil {
			return err
		}
	}
	files := map[string][]byte{
		"nan.npy": nan.Bytes(), "wide.npy": wide.Bytes(),
		"digits.onnx": digits.Model, "images.npy": digits.Images, "one.npy": asNpy.Bytes(), "one.png": asPng.Bytes(),
	}
	if err := writeFiles(env.WorkDir, files); err != nil {
		return err
	}
	return backendTests(env.WorkDir, one)
}

// backendTests writes two tests in ONNX's layout: the answer of one is right.
func backendTests(dir string, x *tensor.Tensor) error {
	m, err := hone.Open(filepath.Join(dir, "digits.onnx"))
	if err != nil {
		return err
	}
	defer m.Close()
	out, err := m.Reference(context.Background(), map[string]*tensor.Tensor{"image": x}, nil)
	if err != nil {
		return err
	}
	files := map[string][]byte{}
	for _, name := range []string{"right", "wrong"} {
		y := out["logits"].Clone()
		if name == "wrong" {
			tensor.Of[float32](y)[3]++
		}
		files["tests/"+name+"/model.onnx"] = digits.Model
		files["tests/"+name+"/test_data_set_0/input_0.pb"] = tensorProto(x)
		files["tests/"+name+"/test_data_set_0/output_0.pb"] = tensorProto(y)
	}
	return writeFiles(dir, files)
}

func writeFiles(dir string, files map[string][]byte) error {
	for name, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// tensorProto encodes a tensor as onnx.TensorProto: dims, data_type, raw_data.
func tensorProto(t *tensor.Tensor) []byte {
	var b []byte
	for _, d := range t.Shape {
		b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), uint64(d))
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), uint64(t.DType))
	return protowire.AppendBytes(protowire.AppendTag(b, 9, protowire.BytesType), t.Data)
}
