// Package digits holds a small trained model and the pictures to judge it by: a
// convolutional network for scikit-learn's handwritten digits, 8x8 grey pixels
// from 0 to 1, trained by scripts/train_digits.py.
package digits

import _ "embed" // the files below

// Model is an ONNX file: image f32[N,1,8,8] to logits f32[N,10].
//
//go:embed digits.onnx
var Model []byte

// Images is a .npy file with the 360 pictures that training did not see:
// f32[360,1,8,8].
//
//go:embed test_images.npy
var Images []byte

// Labels is a .npy file with the digits that they show: i64[360].
//
//go:embed test_labels.npy
var Labels []byte
