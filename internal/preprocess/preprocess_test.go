package preprocess

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hone-ml/hone/internal/npy"
	"github.com/hone-ml/hone/internal/preprocess/imaging"
	"github.com/hone-ml/hone/tensor"
	"github.com/stretchr/testify/require"
)

const picture = "imaging/testdata/rgb.png" // 37 x 29

func preset(t *testing.T, name string, resize, crop int) Image {
	t.Helper()
	s, err := Preset(name, "x")
	require.NoError(t, err)
	m := s.Images[0]
	m.Resize.Size, m.Crop = []int{resize}, []int{crop}
	return m
}

// The answers are Pillow's and numpy's (testdata/make.py).
func TestPicturesAsInPython(t *testing.T) {
	tensorflow := preset(t, "tensorflow", 1, 1)
	tensorflow.Resize, tensorflow.Crop = &Resize{"exact", []int{10, 12}, imaging.Bilinear}, nil
	for name, m := range map[string]Image{
		"imagenet":   preset(t, "imagenet", 20, 16),
		"lite0":      preset(t, "imagenet-efficientnet-lite0", 20, 15),
		"tensorflow": tensorflow,
		"letterbox_bgr_f16": {Input: "x", Colour: "BGR", Layout: "NCHW", Type: "f16", Scale: 1. / 255,
			Resize: &Resize{"letterbox", []int{24}, imaging.Bilinear}, Pad: []int{114, 114, 114}},
		"grey_u8": {Input: "x", Colour: "grey", Layout: "NCHW", Type: "u8",
			Resize: &Resize{"exact", []int{7, 9}, imaging.Nearest}},
	} {
		t.Run(name, func(t *testing.T) {
			s := Spec{Images: []Image{m}}
			require.NoError(t, s.Validate())
			got, err := s.Apply(Source{Path: picture})
			require.NoError(t, err)
			want, err := npy.ReadFile(filepath.Join("testdata", name+".npy"))
			require.NoError(t, err)
			require.Equal(t, want.String(), got["x"].String())
			if want.DType != tensor.Float32 {
				require.Equal(t, want.Data, got["x"].Data)
				return
			}
			require.InDeltaSlice(t, tensor.Of[float32](want), tensor.Of[float32](got["x"]), 1e-6)
		})
	}
}

func TestBatchesAndLayouts(t *testing.T) {
	s, err := Preset("raw", "x")
	require.NoError(t, err)
	got, err := s.Apply(Source{Input: "x", Path: picture}, Source{Input: "x", Path: "imaging/testdata/plain.bmp"})
	require.NoError(t, err)
	require.Equal(t, "f32[2,3,29,37]", got["x"].String())
	_, err = s.Apply(Source{Path: picture}, Source{Path: "imaging/testdata/orient1.png"})
	require.ErrorContains(t, err, "different sizes")

	m := s.Images[0]
	m.Layout, m.Colour, m.Type = "HWC", "RGBA", "u8"
	s = Spec{Images: []Image{m}}
	got, err = s.Apply(Source{Path: picture})
	require.NoError(t, err)
	require.Equal(t, "u8[29,37,4]", got["x"].String())
	require.Equal(t, uint8(255), got["x"].Data[3])
	_, err = s.Apply(Source{Path: picture}, Source{Path: picture})
	require.ErrorContains(t, err, "holds one picture")
}

func TestTargetSizes(t *testing.T) {
	for _, c := range []struct {
		mode     string
		size     []int
		w, h     int
		toW, toH int
	}{
		{"short", []int{256}, 500, 375, 341, 256},
		{"short", []int{256}, 375, 500, 256, 341},
		{"long", []int{100}, 500, 375, 100, 75},
		{"long", []int{100}, 3, 500, 1, 100},
		{"exact", []int{20, 30}, 500, 375, 30, 20},
		{"letterbox", []int{640}, 810, 1080, 480, 640},
		{"letterbox", []int{320, 640}, 1000, 100, 640, 64},
		{"short", []int{10}, 7, 7, 10, 10},
	} {
		w, h := (&Resize{Mode: c.mode, Size: c.size}).target(c.w, c.h)
		require.Equal(t, [2]int{c.toW, c.toH}, [2]int{w, h}, "%+v", c)
	}
}

func TestSounds(t *testing.T) {
	wav := func(samples ...int16) *bytes.Reader {
		b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data")
		b = binary.LittleEndian.AppendUint32(b, uint32(2*len(samples)))
		for _, s := range samples {
			b = binary.LittleEndian.AppendUint16(b, uint16(s))
		}
		return bytes.NewReader(b)
	}
	for name, c := range map[string]struct {
		a     Audio
		shape string
		want  []float32
	}{
		"as it is":   {Audio{Layout: "T"}, "f32[4]", []float32{0, 0.25, 0.5, 0.75}},
		"cut":        {Audio{Layout: "NT", Length: 2}, "f32[1,2]", []float32{0, 0.25}},
		"padded":     {Audio{Layout: "NCT", Length: 5}, "f32[1,1,5]", []float32{0, 0.25, 0.5, 0.75, 0}},
		"frames":     {Audio{Layout: "NT", Window: 2, Hop: 1}, "f32[1,3,2]", []float32{0, 0.25, 0.25, 0.5, 0.5, 0.75}},
		"one frame":  {Audio{Layout: "NT", Window: 6, Hop: 3}, "f32[1,1,6]", []float32{0, 0.25, 0.5, 0.75, 0, 0}},
		"scaled":     {Audio{Layout: "T", Scale: 32768}, "f32[4]", []float32{0, 8192, 16384, 24576}},
		"normalised": {Audio{Layout: "T", Normalize: true}, "f32[4]", []float32{-1.3416407, -0.4472136, 0.4472136, 1.3416407}},
	} {
		t.Run(name, func(t *testing.T) {
			c.a.Input, c.a.Rate, c.a.Type = "x", 8000, "f32"
			s := Spec{Audio: []Audio{c.a}}
			require.NoError(t, s.Validate())
			got, err := s.Apply(Source{Reader: wav(0, 8192, 16384, 24576)})
			require.NoError(t, err)
			require.Equal(t, c.shape, got["x"].String())
			require.InDeltaSlice(t, c.want, tensor.Of[float32](got["x"]), 1e-5)
		})
	}
	s := Spec{Audio: []Audio{{Input: "x", Rate: 16000, Layout: "NT", Type: "f16"}}}
	got, err := s.Apply(Source{Reader: wav(1, 2, 3)})
	require.NoError(t, err)
	require.Equal(t, "f16[1,6]", got["x"].String())
}

const tinyTokenizer = `{"model": {"type": "WordPiece", "vocab": {"[UNK]": 0, "a": 1, "##b": 2, "c": 3, "[PAD]": 9}},
	"pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": {"type": "BertProcessing", "sep": ["s", 6], "cls": ["c", 5]}}`

func TestTexts(t *testing.T) {
	all := []string{"input_ids", "attention_mask", "token_type_ids"}
	s, err := TextSpec([]byte(tinyTokenizer), all, 6)
	require.NoError(t, err)
	require.Equal(t, all, s.Inputs())
	got, err := s.Apply(Source{Text: "ab c"}, Source{Text: "c", Pair: "a"}, Source{Text: ""})
	require.NoError(t, err)
	require.Equal(t, map[string]*tensor.Tensor{
		"input_ids":      tensor.Int64s([]int64{5, 1, 2, 3, 6, 5, 3, 6, 1, 6, 5, 6, 9, 9, 9}, 3, 5),
		"attention_mask": tensor.Int64s([]int64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0}, 3, 5),
		"token_type_ids": tensor.Int64s([]int64{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0}, 3, 5),
	}, got)

	s.Texts[0].Pad, s.Texts[0].PadLeft, s.Texts[0].Type = "max", true, "i32"
	got, err = s.Apply(Source{Input: "attention_mask", Reader: strings.NewReader("c")})
	require.NoError(t, err)
	require.Equal(t, []int32{9, 9, 9, 5, 3, 6}, tensor.Of[int32](got["input_ids"]))
	require.Equal(t, []int32{0, 0, 0, 1, 1, 1}, tensor.Of[int32](got["attention_mask"]))

	s.Texts[0].PadToken = "<pad>"
	_, err = s.Apply(Source{Text: "c"})
	require.ErrorContains(t, err, `"<pad>" is not in the vocabulary`)

	_, err = TextSpec([]byte(tinyTokenizer), []string{"tokens"}, 0)
	require.ErrorContains(t, err, "[tokens]")
}

func everything(t testing.TB) Spec {
	text, err := TextSpec([]byte(tinyTokenizer), []string{"input_ids"}, 8)
	require.NoError(t, err)
	s, err := Preset("imagenet", "pixels")
	require.NoError(t, err)
	s.Texts = text.Texts
	s.Audio = []Audio{{Input: "wave", Rate: 16000, Layout: "NT", Type: "f32"}}
	return s
}

func TestJSONRoundTrip(t *testing.T) {
	s := everything(t)
	b, err := json.Marshal(s)
	require.NoError(t, err)
	back, err := Parse(b)
	require.NoError(t, err)
	require.Equal(t, s.Inputs(), back.Inputs())
	require.Equal(t, s.Images, back.Images, "scale, mean and std come back exactly")
	again, err := json.Marshal(back)
	require.NoError(t, err)
	require.Equal(t, b, again)

	empty, err := Parse([]byte("{}"))
	require.NoError(t, err)
	_, err = empty.Apply(Source{Path: picture})
	require.ErrorContains(t, err, "no preprocessing")
}

func TestRefusesBadSpecs(t *testing.T) {
	image := func(change string) string {
		return `{"images": [{"input": "x", "colour": "RGB", "layout": "NCHW", "type": "f32"` + change + `}]}`
	}
	for in, want := range map[string]string{
		`[]`:                          "array",
		`{"pictures": []}`:            `unknown field "pictures"`,
		image(`, "clolour": ""`):      `unknown field "clolour"`,
		image(`, "colour": "CMYK"`):   `colour is "CMYK"`,
		image(`, "layout": "WHC"`):    `layout is "WHC"`,
		image(`, "type": "i64"`):      `type is "i64"`,
		image(`, "crop": [0]`):        "crop is [0]",
		image(`, "crop": []`):         "crop is []",
		image(`, "pad": [1]`):         "pad has 1 values",
		image(`, "pad": [1, 2, 256]`): "from 0 to 255",
		image(`, "mean": [1, 2]`):     "mean has 2 values",
		image(`, "std": [0]`):         "std is 0",
		image(`, "input": ""`):        "names no input",
		image(`, "resize": {"mode": "fill", "size": [1], "filter": "nearest"}`):                                                                 `mode is "fill"`,
		image(`, "resize": {"mode": "short", "size": [1, 2], "filter": "nearest"}`):                                                             "size [1 2]",
		image(`, "resize": {"mode": "short", "size": [99999], "filter": "nearest"}`):                                                            "size [99999]",
		image(`, "resize": {"mode": "short", "size": [224], "filter": "lanczos"}`):                                                              `filter is "lanczos"`,
		`{"audio": [{"input": "x", "rate": 1, "layout": "NT", "type": "f32"}]}`:                                                                 "rate is 1",
		`{"audio": [{"input": "x", "rate": 8000, "layout": "TN", "type": "f32"}]}`:                                                              `layout is "TN"`,
		`{"audio": [{"input": "x", "rate": 8000, "layout": "NT", "type": "f32", "hop": 4}]}`:                                                    "hop 4",
		`{"texts": [{"ids": "x", "type": "i64", "pad": "max", "tokenizer": {}}]}`:                                                               "no max_length",
		`{"texts": [{"ids": "x", "type": "f32", "pad": "max", "tokenizer": {}}]}`:                                                               `type is "f32"`,
		`{"audio": [{"input": "x", "rate": 8000, "layout": "NT", "type": "f32"}, {"input": "x", "rate": 8000, "layout": "NT", "type": "f32"}]}`: "made twice",
	} {
		_, err := Parse([]byte(in))
		require.ErrorContains(t, err, want, in)
	}
}

func TestBadTokenizerIsFoundByValidate(t *testing.T) {
	s, err := Parse([]byte(`{"texts": [{"ids": "x", "type": "i64", "pad": "longest", "tokenizer": {}}]}`))
	require.NoError(t, err)
	require.ErrorContains(t, s.Validate(), `preprocessing of "x": tokenizer.json: model: the file has none`)
	_, err = s.Apply(Source{Text: "hello"})
	require.ErrorContains(t, err, "the file has none")
}

func TestApplyErrorsNameTheInput(t *testing.T) {
	s := everything(t)
	for want, src := range map[string]Source{
		`no preprocessing for input "y", only for pixels, wave, input_ids`: {Input: "y"},
		`only for pixels`:                        {},
		`input "pixels": missing.png`:            {Input: "pixels", Path: "missing.png"},
		`input "pixels": input: not an image`:    {Input: "pixels", Reader: strings.NewReader("x")},
		`input "wave": ` + picture + `: WAV`:     {Input: "wave", Path: picture},
		`input "wave": a picture or sound needs`: {Input: "wave", Text: "hello"},
	} {
		_, err := s.Apply(src)
		require.Error(t, err)
		require.Contains(t, strings.ReplaceAll(err.Error(), "open ", ""), want)
	}
}

// A picture one pixel wide must not be blown up to gigabytes.
func TestExtremeRatiosAreRefused(t *testing.T) {
	header, err := os.ReadFile("imaging/testdata/plain.bmp")
	require.NoError(t, err)
	const h = 1 << 16
	b := append([]byte{}, header[:54]...)
	binary.LittleEndian.PutUint32(b[18:], 1)
	binary.LittleEndian.PutUint32(b[22:], h)
	b = append(b, make([]byte, 4*h)...)
	s, err := Preset("imagenet", "x")
	require.NoError(t, err)
	s.Images[0].Resize.Size = []int{maxSide}
	_, err = s.Apply(Source{Reader: bytes.NewReader(b)})
	require.ErrorContains(t, err, "would be resized")
}

func TestPresets(t *testing.T) {
	for name := range presets {
		s, err := Preset(name, "")
		require.NoError(t, err)
		require.NoError(t, s.Validate(), name)
		require.NotEmpty(t, s.Inputs()[0])
	}
	_, err := Preset("imagnet", "")
	require.ErrorContains(t, err, "imagenet, imagenet-efficientnet-lite0, raw, tensorflow")

	s, err := Preset("imagenet-efficientnet-lite0", "")
	require.NoError(t, err)
	require.Equal(t, []string{"image"}, s.Inputs())
	got, err := s.Apply(Source{Path: picture})
	require.NoError(t, err)
	require.Equal(t, "f32[1,3,224,224]", got["image"].String())

	// The caller's changes stay the caller's.
	s.Images[0].Mean[0] = math.Pi
	again, err := Preset("imagenet-efficientnet-lite0", "")
	require.NoError(t, err)
	require.Equal(t, 127./255, again.Images[0].Mean[0])
}

func TestGuess(t *testing.T) {
	for _, c := range []struct {
		d     tensor.DType
		dims  []int
		shape string // what a picture becomes; "" for no guess
	}{
		{tensor.Float32, []int{1, 3, 224, 224}, "f32[1,3,224,224]"},
		{tensor.Float32, []int{-1, 3, -1, -1}, "f32[1,3,224,224]"},
		{tensor.Float32, []int{0, 3, 299, 0}, "f32[1,3,299,224]"},
		{tensor.Float16, []int{1, 3, 64, 32}, "f16[1,3,64,32]"},
		{tensor.Float32, []int{1, 192, 192, 3}, "f32[1,192,192,3]"},
		{tensor.Float32, []int{1, 1, 28, 28}, "f32[1,1,28,28]"},
		{tensor.Float32, []int{1, 28, 28, 1}, "f32[1,28,28,1]"},
		{tensor.Float32, []int{1, 4, 84, 84}, "f32[1,4,84,84]"},
		{tensor.Uint8, []int{1, 320, 320, 3}, "u8[1,320,320,3]"},
		{tensor.Int64, []int{1, 3, 224, 224}, ""},
		{tensor.Float32, []int{1, 3, 224}, ""},
		{tensor.Float32, []int{1, 64, 56, 56}, ""},
		{tensor.Float32, []int{1, 3, 1, 1}, ""},
		{tensor.Float32, []int{1, 3, 224, 100000}, ""},
	} {
		s, ok := Guess("x", c.d, c.dims)
		require.Equal(t, c.shape != "", ok, "%v", c.dims)
		if !ok {
			continue
		}
		require.NoError(t, s.Validate())
		got, err := s.Apply(Source{Input: "x", Path: picture})
		require.NoError(t, err)
		require.Equal(t, c.shape, got["x"].String())
	}
}

func FuzzSpec(f *testing.F) {
	b, err := json.Marshal(everything(f))
	require.NoError(f, err)
	f.Add(b)
	f.Add([]byte(`{"images": [{"input": "x", "colour": "grey", "layout": "HWC", "type": "u8", "resize": {"mode": "letterbox", "size": [3, 4], "filter": "bicubic"}, "crop": [2]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Parse(b)
		if err != nil {
			return
		}
		_ = s.Validate() // must return, whatever it finds
		out, err := json.Marshal(s)
		require.NoError(t, err)
		again, err := Parse(out)
		require.NoError(t, err)
		require.Equal(t, s.Inputs(), again.Inputs())
	})
}
