package onnxgo_test

import (
	"fmt"
	"log"
	"os"

	"github.com/owulveryck/onnx-go"
	"gorgonia.org/tensor"

	// was: "github.com/owulveryck/onnx-go/backend/x/gorgonnx"
	gorgonnx "github.com/hone-ml/hone/frontend/onnxgo"
)

// six is a handwritten digit, 8 rows of 8 pixels of 16 greys.
var six = []float32{
	0, 0, 1, 13, 7, 0, 0, 0,
	0, 0, 7, 14, 2, 0, 0, 0,
	0, 0, 13, 5, 0, 0, 0, 0,
	0, 0, 16, 3, 0, 0, 0, 0,
	0, 3, 16, 10, 12, 12, 3, 0,
	0, 3, 16, 11, 5, 9, 12, 0,
	0, 1, 13, 11, 4, 13, 11, 0,
	0, 0, 1, 12, 16, 11, 2, 0,
}

// image is a batch of one image, of greys from 0 to 1.
func image(pixels []float32) tensor.Tensor {
	scaled := make([]float32, len(pixels))
	for i, v := range pixels {
		scaled[i] = v / 16
	}
	return tensor.New(tensor.WithShape(1, 1, 8, 8), tensor.WithBacking(scaled))
}

// likeliest returns the class with the highest score.
func likeliest(scores []float32) int {
	best := 0
	for i, s := range scores {
		if s > scores[best] {
			best = i
		}
	}
	return best
}

// A program on onnx-go, as its README shows one, that runs on hone: only the
// import of the backend has changed.
func Example() {
	backend := gorgonnx.NewGraph()
	model := onnx.NewModel(backend)
	b, err := os.ReadFile("../../testdata/digits/digits.onnx")
	if err != nil {
		log.Fatal(err)
	}
	if err := model.UnmarshalBinary(b); err != nil {
		log.Fatal(err)
	}
	if err := model.SetInput(0, image(six)); err != nil {
		log.Fatal(err)
	}
	if err := backend.Run(); err != nil {
		log.Fatal(err)
	}
	output, err := model.GetOutputTensors()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("this is a", likeliest(output[0].Data().([]float32)))
	// Output: this is a 6
}

// The same bytes through hone's own decoder, on kernels compiled for this CPU.
func ExampleGraph_Unmarshal() {
	backend := gorgonnx.New(gorgonnx.Compiled())
	defer backend.Close()
	model := onnx.NewModel(backend)
	b, err := os.ReadFile("../../testdata/digits/digits.onnx")
	if err != nil {
		log.Fatal(err)
	}
	if err := backend.Unmarshal(model, b); err != nil { // was: model.UnmarshalBinary(b)
		log.Fatal(err)
	}
	if err := model.SetInput(0, image(six)); err != nil {
		log.Fatal(err)
	}
	if err := backend.Run(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(backend.Inputs(), "this is a", likeliest(backend.Value("logits").Data().([]float32)))
	// Output: [image] this is a 6
}
