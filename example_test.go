package hone_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/internal/npy"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/testdata/digits"
)

const model = "testdata/digits/digits.onnx"

// picture returns the first picture that the model did not see in training.
func picture() *tensor.Tensor {
	all, err := npy.Read(bytes.NewReader(digits.Images))
	if err != nil {
		log.Fatal(err)
	}
	return tensor.Float32s(tensor.Of[float32](all)[:64], 1, 1, 8, 8)
}

// The main job: a model becomes a bundle, and the bundle answers.
func Example() {
	ctx := context.Background()
	m, err := hone.Open(model)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	compiled, err := hone.Compile(ctx, m, hone.CompileOptions{})
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "hone")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "digits.hone")
	if err := compiled.WriteFile(ctx, file); err != nil {
		log.Fatal(err)
	}

	session, err := hone.Load(file, hone.SessionOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	outputs, err := session.Run(ctx, map[string]*tensor.Tensor{"image": picture()})
	if err != nil {
		log.Fatal(err)
	}
	scores := tensor.Of[float32](outputs["logits"])
	fmt.Println("this is a", slices.Index(scores, slices.Max(scores)))
	// Output: this is a 6
}

func ExampleOpen() {
	m, err := hone.Open(model, hone.OpenOptions{Dims: map[string]int64{"N": 4}})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	s := hone.Summarize(m.Module())
	fmt.Println(s.Ops, "operators,", s.Parameters, "parameters")
	fmt.Println(s.Inputs, "to", s.Outputs)
	// Output:
	// 17 operators, 33626 parameters
	// [{image f32[4,1,8,8]}] to [{logits f32[4,10]}]
}

func ExampleCompile() {
	m, err := hone.Open(model)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	compiled, err := hone.Compile(context.Background(), m, hone.CompileOptions{Pipeline: "O2"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(compiled.Stats.OpsBefore, "operators before, fewer after:", compiled.Stats.OpsAfter < compiled.Stats.OpsBefore)
	// Output: 17 operators before, fewer after: true
}

// A session says what it takes, and errors say what was wrong.
func ExampleSession_Run() {
	m, err := hone.Open(model)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	compiled, err := hone.Compile(context.Background(), m, hone.CompileOptions{})
	if err != nil {
		log.Fatal(err)
	}
	session, err := compiled.Session(hone.SessionOptions{Threads: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	for _, p := range session.Inputs() {
		fmt.Println(p.Name, p.Type)
	}
	_, err = session.Run(context.Background(), map[string]*tensor.Tensor{"imag": picture()})
	fmt.Println(err)
	// Output:
	// image f32[N,1,8,8]
	// there is no input "imag"; did you mean "image"?; the model takes image f32[N,1,8,8]
}

func ExampleVerify() {
	ctx := context.Background()
	m, err := hone.Open(model)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	compiled, err := hone.Compile(ctx, m, hone.CompileOptions{})
	if err != nil {
		log.Fatal(err)
	}
	session, err := compiled.Session(hone.SessionOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	report, err := hone.Verify(ctx, m, nil, map[string]*tensor.Tensor{"image": picture()}, hone.VerifyOptions{Runner: session})
	if err != nil {
		log.Fatal(err)
	}
	for _, o := range report.Outputs {
		fmt.Printf("%s: error below 1e-4 of the scale: %v, same class: %.0f %%\n", o.Name, o.MaxRel < 1e-4, 100*o.Top1)
	}
	fmt.Println("ok:", report.OK())
	// Output:
	// logits: error below 1e-4 of the scale: true, same class: 100 %
	// ok: true
}
