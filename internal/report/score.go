package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Score says how near what a node computes is to what it should be.
type Score struct {
	SNR   float64 // signal to noise in dB: +Inf where nothing differs
	Facts []Fact  // more of it, for the panel
}

// shade is a step of the scale that colours nodes by their score.
type shade struct {
	From  float64 `json:"-"` // dB
	Label string  `json:"label"`
	Fill  string  `json:"fill"`
	Text  string  `json:"text"`
}

// scale goes from bad to good: the colours are the seven of RdYlBu by Brewer
// (2003), which people with any kind of colour vision tell apart, without the
// one in the middle.
var scale = []shade{
	{math.Inf(-1), "below 10 dB", "#d73027", "#fff"},
	{10, "10 to 20", "#fc8d59", "#1d2530"},
	{20, "20 to 30", "#fee090", "#1d2530"},
	{30, "30 to 40", "#e0f3f8", "#1d2530"},
	{40, "40 to 80", "#91bfdb", "#1d2530"},
	{80, "80 and more", "#4575b4", "#fff"},
}

// shadeOf returns the place of a score in the scale; what is no number is bad.
func shadeOf(snr float64) int {
	for i, s := range slices.Backward(scale) {
		if snr >= s.From {
			return i
		}
	}
	return 0
}

// Noise returns how much noise nodes with a score add to what reaches it:
// powers relative to the signal's, 0.01 for 20 dB. What only hands on that
// something went wrong above it adds little, so the most stands where a model
// was broken. Values without a score pass on that of their operands; what is
// wrong with constants counts where they meet a value that depends on an input.
func (g *Graph) Noise(scores map[string]Score) map[string]float64 {
	reaching, varies := make([]float64, len(g.Nodes)), make([]bool, len(g.Nodes))
	edges := slices.Clone(g.Edges)
	slices.SortStableFunc(edges, func(a, b [2]int) int { return cmp.Compare(a[1], b[1]) })
	added := map[string]float64{}
	for i, n := range g.Nodes { // program order: a node comes after what it reads
		varies[i] = n.Op == "input"
		for len(edges) > 0 && edges[0][1] == i {
			reaching[i] = max(reaching[i], reaching[edges[0][0]])
			varies[i] = varies[i] || varies[edges[0][0]]
			edges = edges[1:]
		}
		if s, ok := scores[n.ID]; ok && varies[i] {
			own := noise(s.SNR)
			added[n.ID] = max(0, own-reaching[i])
			reaching[i] = own
		}
	}
	return added
}

// noise is the power of the noise relative to the signal's; more than any where
// that is no number.
func noise(snr float64) float64 {
	const most = 1e9
	if math.IsNaN(snr) {
		return most
	}
	return min(math.Pow(10, -snr/10), most)
}

// decibels writes an SNR for people.
func decibels(snr float64) string {
	switch {
	case math.IsInf(snr, 1):
		return "∞ dB"
	case math.IsNaN(snr):
		return "NaN"
	}
	return fmt.Sprintf("%.1f dB", snr)
}

// payloadScore is a score as the page's script reads it.
type payloadScore struct {
	Text  string  `json:"text"`
	Shade int     `json:"shade"`
	Noise float64 `json:"noise"` // relative to the signal
	Added float64 `json:"added"` // of it, by this node
	Facts []Fact  `json:"facts"`
}

// scored returns the scores of the nodes of the last step.
func (p *Page) scored() map[string]payloadScore {
	if len(p.Scores) == 0 || len(p.Steps) == 0 {
		return nil
	}
	out := map[string]payloadScore{}
	added := p.Steps[len(p.Steps)-1].Graph.Noise(p.Scores)
	for id, s := range p.Scores {
		out[id] = payloadScore{decibels(s.SNR), shadeOf(s.SNR), noise(s.SNR), added[id], s.Facts}
	}
	return out
}
