package ref

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/tensor"
)

func words(s ...string) *tensor.Tensor { return tensor.StringsOf(s, len(s)) }

func TestStringConcatBroadcasts(t *testing.T) {
	y, err := StringConcat(tensor.StringsOf([]string{"a", "b"}, 2, 1), words("x", "", "ü"))
	require.NoError(t, err)
	require.Equal(t, tensor.StringsOf([]string{"ax", "a", "aü", "bx", "b", "bü"}, 2, 3), y)
	_, err = StringConcat(words("a", "b"), words("a", "b", "c"))
	require.Error(t, err)
}

func TestStringSplit(t *testing.T) {
	for _, c := range []struct {
		in        []string
		delimiter string
		most      int
		want      [][]string
	}{
		{[]string{"a,b", "c", ""}, ",", -1, [][]string{{"a", "b"}, {"c"}, {""}}},
		{[]string{"a,b,c", ",,"}, ",", 1, [][]string{{"a", "b,c"}, {"", ","}}},
		{[]string{"a,b"}, ",", 0, [][]string{{"a,b"}}},
		{[]string{" a  b\tc ", "", "x"}, "", -1, [][]string{{"a", "b", "c"}, {}, {"x"}}},
		{[]string{" a  b c ", "x"}, "", 1, [][]string{{"a", "b c "}, {"x"}}},
		{[]string{"eggs; milk"}, "; ", -1, [][]string{{"eggs", "milk"}}},
		{nil, ",", -1, nil},
	} {
		pieces, counts, err := StringSplit(words(c.in...), c.delimiter, c.most)
		require.NoError(t, err)
		most := pieces.Shape[1]
		for i, want := range c.want {
			require.Equal(t, int64(len(want)), tensor.Of[int64](counts)[i])
			for k := range most {
				s := ""
				if k < len(want) {
					s = want[k]
				}
				require.Equal(t, s, pieces.Strings[i*most+k], "%q", c.in[i])
			}
		}
	}
}

func TestStringNormalizer(t *testing.T) {
	in := words("Monday", "tuesday", "MONDAY")
	for _, c := range []struct {
		action    string
		sensitive bool
		stop      []string
		want      []string
	}{
		{"NONE", false, nil, []string{"Monday", "tuesday", "MONDAY"}},
		{"UPPER", false, []string{"monday"}, []string{"TUESDAY"}},
		{"LOWER", true, []string{"Monday"}, []string{"tuesday", "monday"}},
		{"NONE", false, []string{"MONDAY", "Tuesday"}, []string{""}},
	} {
		y, err := StringNormalizer(in, c.action, c.sensitive, c.stop)
		require.NoError(t, err)
		require.Equal(t, words(c.want...), y)
		y, err = StringNormalizer(in.Reshaped(1, 3), c.action, c.sensitive, c.stop)
		require.NoError(t, err)
		require.Equal(t, []int{1, len(c.want)}, y.Shape)
	}
	_, err := StringNormalizer(in, "TITLE", false, nil)
	require.ErrorContains(t, err, "TITLE")
	_, err = StringNormalizer(in.Reshaped(3, 1), "NONE", false, nil)
	require.Error(t, err)
}

func TestRegexFullMatch(t *testing.T) {
	y, err := RegexFullMatch(words("a@b.com", "xa@b.comx", "", "a@b.com\n"), `\w@\w\.com|x`)
	require.NoError(t, err)
	require.Equal(t, []bool{true, false, false, false}, tensor.Of[bool](y))
	for _, bad := range []string{"(", "a)(b", `\1`} {
		_, err := RegexFullMatch(words("a"), bad)
		require.Error(t, err)
	}
}

func TestTfIdfCountsNGramsWithSkips(t *testing.T) {
	g := NGrams{
		Pool: []string{"2", "3", "5", "5", "7", "8", "6"}, Counts: []int64{0, 3}, Indexes: []int64{0, 1, 2, 3, 4},
		MinLen: 1, MaxLen: 2, MaxSkip: 1, Mode: "TF",
	}
	x := tensor.Int64s([]int64{2, 5, 7, 2, 8, 1, 6, 5}, 1, 8)
	y, err := TfIdfVectorizer(x, g)
	require.NoError(t, err)
	require.Equal(t, tensor.Float32s([]float32{2, 0, 2, 1, 1}, 1, 5), y) // 8 1 6 has a gap of one

	g.Mode, g.Weights = "TFIDF", []float32{0.5, 1, 1, 3, 1}
	y, err = TfIdfVectorizer(x.Reshaped(8), g)
	require.NoError(t, err)
	require.Equal(t, tensor.Float32s([]float32{1, 0, 2, 3, 1}, 5), y)

	g.Mode, g.MaxSkip, g.MinLen = "IDF", 0, 2
	y, err = TfIdfVectorizer(x, g)
	require.NoError(t, err)
	require.Equal(t, tensor.Float32s([]float32{0, 0, 0, 3, 0}, 1, 5), y)

	for _, spoil := range []func(*NGrams){
		func(g *NGrams) { g.Counts = []int64{0, 99} },
		func(g *NGrams) { g.Counts = []int64{3, 0} },
		func(g *NGrams) { g.Indexes = []int64{0, -1} },
		func(g *NGrams) { g.Indexes = []int64{0, 1 << 40} },
		func(g *NGrams) { g.Weights = g.Weights[:2] },
		func(g *NGrams) { g.MaxLen = 0 },
	} {
		bad := g
		spoil(&bad)
		_, err := TfIdfVectorizer(x, bad)
		require.Error(t, err)
	}
}
