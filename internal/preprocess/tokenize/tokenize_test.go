package tokenize

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func unzip(t testing.TB, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	b, err := io.ReadAll(z)
	require.NoError(t, err)
	return b
}

// The answers are those of Hugging Face's tokenizers library
// (testdata/make.py); minilm is the tokenizer of all-MiniLM-L6-v2.
func TestTokenizesAsHuggingFace(t *testing.T) {
	files, err := filepath.Glob("testdata/*.cases.json.gz")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := strings.TrimSuffix(file, ".cases.json.gz")
		t.Run(filepath.Base(name), func(t *testing.T) {
			var cases []struct {
				Text       string
				Pair       *string
				Max        int
				IDs, Types []int
			}
			require.NoError(t, json.Unmarshal(unzip(t, file), &cases))
			tok, err := Load(unzip(t, name+".json.gz"))
			require.NoError(t, err)
			for _, c := range cases {
				pair := ""
				if c.Pair != nil {
					pair = *c.Pair
				}
				e, err := tok.Encode(c.Text, pair, c.Pair != nil, c.Max)
				require.NoError(t, err)
				require.Equal(t, Encoding{c.IDs, c.Types}, e, "%q %q, at most %d", c.Text, pair, c.Max)
			}
		})
	}
}

// tiny is a tokenizer.json with the given parts; the model has letters a to c.
func tiny(parts string) []byte {
	return []byte(`{"model": {"type": "WordPiece", "vocab": {"[UNK]": 0, "a": 1, "##a": 2, "ab": 3, "b": 4, "c": 5}}` + parts + `}`)
}

func TestRefusesWhatItDoesNotKnow(t *testing.T) {
	for parts, want := range map[string]string{
		`, "normalizer": {"type": "Nmt"}`:                                         `normalizer: "Nmt" is not supported`,
		`, "pre_tokenizer": {"type": "Magic"}`:                                    `pre_tokenizer: Magic: "Magic" is not supported`,
		`, "post_processor": {"type": "Magic"}`:                                   `post_processor: Magic: "Magic" is not supported`,
		`, "model": {"type": "Magic"}`:                                            `model: "Magic" is not supported`,
		`, "model": {"type": "BPE", "vocab": {"a": 1}, "merges": ["a b"]}`:        `merge 0`,
		`, "model": {"type": "BPE", "vocab": {"a": 1}, "merges": ["a"]}`:          `not a pair`,
		`, "model": {"type": "BPE", "vocab": {}, "merges": [], "dropout": 0.1}`:   `dropout`,
		`, "model": {"type": "BPE", "vocab": {}, "merges": [], "unk_token": "u"}`: `unknown token "u"`,
		`, "model": {"type": "Unigram", "vocab": [["a", 0]], "unk_id": 1}`:        `unk_id 1`,
		`, "model": {"type": "WordPiece", "vocab": {"a": 1}}`:                     `unknown token "[UNK]"`,
		`, "model": null`: `the file has none`,
		`, "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(?=x)"}, "behavior": "Isolated"}`:                                                     `pre_tokenizer: Split`,
		`, "pre_tokenizer": {"type": "Split", "pattern": {"String": "x"}, "behavior": "Odd"}`:                                                             `behavior "Odd"`,
		`, "normalizer": {"type": "Replace", "pattern": {}}`:                                                                                              `neither`,
		`, "normalizer": {"type": "Precompiled", "precompiled_charsmap": "/////w=="}`:                                                                     `cut short`,
		`, "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[X]", "type_id": 0}}], "pair": [], "special_tokens": {}}`: `special token "[X]"`,
		`, "post_processor": {"type": "BertProcessing", "sep": ["[SEP]"], "cls": ["[CLS]", 1]}`:                                                           `token and its id`,
	} {
		_, err := Load(tiny(parts))
		require.ErrorContains(t, err, want, parts)
	}
	_, err := Load([]byte("{"))
	require.ErrorContains(t, err, "tokenizer.json")
}

func TestOldFilesWithoutAModelType(t *testing.T) {
	for model, want := range map[string][]int{
		`{"vocab": {"a": 1, "b": 2, "ab": 3}, "merges": ["a b"]}`: {3},
		`{"vocab": [["u", 0], ["ab", -1]], "unk_id": 0}`:          {1},
		`{"vocab": {"[UNK]": 0, "a": 1, "##b": 2}}`:               {1, 2},
	} {
		tok, err := Load([]byte(`{"model": ` + model + `}`))
		require.NoError(t, err)
		e, err := tok.Encode("ab", "", false, 0)
		require.NoError(t, err)
		require.Equal(t, want, e.IDs)
	}
}

func TestTruncation(t *testing.T) {
	tok, err := Load(tiny(`, "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": {"type": "BertProcessing", "sep": ["s", 9], "cls": ["c", 8]}`))
	require.NoError(t, err)
	e, err := tok.Encode("a b c", "", false, 4)
	require.NoError(t, err)
	require.Equal(t, []int{8, 1, 4, 9}, e.IDs)
	_, err = tok.Encode("a", "", false, 1)
	require.ErrorContains(t, err, "no room")
	e, err = tok.Encode("a b c", "", false, 2)
	require.NoError(t, err)
	require.Equal(t, []int{8, 9}, e.IDs)
}

func TestHostileFiles(t *testing.T) {
	deep := `, "normalizer": ` + strings.Repeat(`{"type": "Sequence", "normalizers": [`, 5000) + strings.Repeat(`]}`, 5000)
	_, err := Load(tiny(deep))
	require.ErrorContains(t, err, "nested more than 32 deep")

	double := strings.TrimSuffix(strings.Repeat(`{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"},`, 60), ",")
	tok, err := Load(tiny(`, "normalizer": {"type": "Sequence", "normalizers": [` + double + `]}`))
	require.NoError(t, err)
	_, err = tok.Encode("a", "", false, 0)
	require.ErrorContains(t, err, "the normalized text passes")

	_, err = Load(tiny(`, "post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}, {"Sequence": {"id": "A"}}], "pair": []}`))
	require.ErrorContains(t, err, "used twice")
	_, err = Load([]byte(`{"model": {"type": "WordPiece", "vocab": {"[UNK]": 0}, "continuing_subword_prefix": "` + strings.Repeat("#", 100) + `"}}`))
	require.ErrorContains(t, err, "100 bytes")

	var many strings.Builder
	for range 50_000 {
		many.WriteString(`{"content": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` + strings.Repeat("a", many.Len()%50) + `b"},`)
	}
	tok, err = Load(tiny(`, "added_tokens": [` + strings.TrimSuffix(many.String(), ",") + `]`))
	require.NoError(t, err)
	_, err = tok.Encode(strings.Repeat("a", 1<<16), "", false, 0)
	require.NoError(t, err)
}

// A megabyte without a space takes about as long as one with them.
func TestLongWordsAreNotQuadratic(t *testing.T) {
	for _, name := range []string{"gpt2", "llama", "unigram", "wordpiece"} {
		tok, err := Load(unzip(t, "testdata/"+name+".json.gz"))
		require.NoError(t, err)
		e, err := tok.Encode(strings.Repeat("the", 1<<18), "", false, 0)
		require.NoError(t, err)
		require.NotEmpty(t, e.IDs)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(tiny(""), "ab a")
	for _, name := range []string{"wordpiece", "gpt2", "clip", "unigram", "llama", "spm", "split_contiguous"} {
		f.Add(unzip(f, "testdata/"+name+".json.gz"), "Hello [MASK] wörld <0x0A>\n")
	}
	f.Fuzz(func(t *testing.T, b []byte, text string) {
		tok, err := Load(b)
		if err != nil {
			return
		}
		if e, err := tok.Encode(text, text, true, 64); err == nil {
			require.LessOrEqual(t, len(e.IDs), 64)
			require.Len(t, e.Types, len(e.IDs))
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	text := strings.Repeat("The quick brown fox jumps over the lazy dog, doesn't it? ", 20)
	for _, name := range []string{"minilm", "gpt2", "unigram"} {
		tok, err := Load(unzip(b, "testdata/"+name+".json.gz"))
		require.NoError(b, err)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				tok.Encode(text, "", false, 0)
			}
		})
	}
}
