package ref

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/tensor"
)

// linearScores returns rows · coefficientsᵀ + intercepts for each row.
func linearScores(x *tensor.Tensor, coefficients, intercepts []float64, targets int) ([][]float64, error) {
	rows, features, err := samples(x)
	if err != nil {
		return nil, err
	}
	if targets < 1 || len(coefficients) != targets*features || len(intercepts) != 0 && len(intercepts) != targets {
		return nil, fmt.Errorf("%d coefficients and %d intercepts for %d features and %d targets", len(coefficients), len(intercepts), features, targets)
	}
	scores := make([][]float64, len(rows))
	for i, row := range rows {
		scores[i] = make([]float64, targets)
		for t := range targets {
			s := 0.0
			if len(intercepts) > 0 {
				s = intercepts[t]
			}
			for k, v := range row {
				s += v * coefficients[t*features+k]
			}
			scores[i][t] = s
		}
	}
	return scores, nil
}

// LinearRegressor predicts f32[N,targets].
func LinearRegressor(x *tensor.Tensor, coefficients, intercepts []float64, targets int, transform string) (*tensor.Tensor, error) {
	scores, err := linearScores(x, coefficients, intercepts, targets)
	if err != nil {
		return nil, err
	}
	return transformed(scores, targets, transform, NoSecond)
}

// transformed applies the post transform to rows of scores.
func transformed(scores [][]float64, columns int, transform string, second Second) (*tensor.Tensor, error) {
	var out []float64
	for _, s := range scores {
		s, err := postTransform(s, transform, second)
		if err != nil {
			return nil, err
		}
		columns = len(s)
		out = append(out, s...)
	}
	return fromFloat64s(tensor.Float32, out, len(scores), columns), nil
}

// LinearClassifier predicts each sample's class, as its place among the
// labels, and its scores [N,classes]. One row of coefficients tells two
// classes apart by the sign of the score.
func LinearClassifier(x *tensor.Tensor, coefficients, intercepts []float64, classes int, transform string) ([]int, *tensor.Tensor, error) {
	_, features, err := samples(x)
	if err != nil {
		return nil, nil, err
	}
	rows := 1
	if features > 0 {
		rows = len(coefficients) / features
	}
	scores, err := linearScores(x, coefficients, intercepts, rows)
	if err != nil {
		return nil, nil, err
	}
	labels := make([]int, len(scores))
	for i, s := range scores {
		if rows > 1 {
			labels[i] = argMax(s)
		} else if s[0] > 0 {
			labels[i] = 1
		}
	}
	second := NoSecond
	if rows == 1 && classes == 2 {
		second = Complement
	}
	z, err := transformed(scores, max(rows, 1), transform, second)
	return labels, z, err
}

// SVM is a support vector machine. Without vectors it is linear.
type SVM struct {
	Kernel              string // LINEAR, POLY, RBF or SIGMOID
	Gamma, Coef0        float64
	Degree              float64
	Vectors             []float64 // [n, features]
	PerClass            []int     // vectors of each class
	Coefficients        []float64
	Rho                 []float64
	ProbA, ProbB        []float64
	Transform           string
	Classes, NumVectors int
}

func (m *SVM) kernel(a, b []float64) (float64, error) {
	dot, dist := 0.0, 0.0
	for i, v := range a {
		dot += v * b[i]
		dist += (v - b[i]) * (v - b[i])
	}
	switch m.Kernel {
	case "LINEAR":
		return dot, nil
	case "POLY":
		return math.Pow(m.Gamma*dot+m.Coef0, m.Degree), nil
	case "SIGMOID":
		return math.Tanh(m.Gamma*dot + m.Coef0), nil
	case "RBF":
		return math.Exp(-m.Gamma * dist), nil
	}
	return 0, fmt.Errorf("kernel_type %q is not one of LINEAR, POLY, RBF, SIGMOID", m.Kernel)
}

// kernels returns the kernel of a sample with each support vector.
func (m *SVM) kernels(row []float64) ([]float64, error) {
	out := make([]float64, m.NumVectors)
	for i := range out {
		v, err := m.kernel(row, m.Vectors[i*len(row):(i+1)*len(row)])
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func (m *SVM) check(features int) error {
	if m.NumVectors < 0 || m.NumVectors*features != len(m.Vectors) {
		return fmt.Errorf("%d support vectors of %d features in %d numbers", m.NumVectors, features, len(m.Vectors))
	}
	if len(m.Rho) == 0 {
		return fmt.Errorf("there is no rho")
	}
	return nil
}

// Regress predicts f32[N,1]: a value or, for one class, 1 for members and -1
// for others.
func (m *SVM) Regress(x *tensor.Tensor, oneClass bool) (*tensor.Tensor, error) {
	rows, features, err := samples(x)
	if err != nil {
		return nil, err
	}
	if err := m.check(features); err != nil {
		return nil, err
	}
	want := m.NumVectors
	if want == 0 {
		want = features
	}
	if len(m.Coefficients) != want {
		return nil, fmt.Errorf("%d coefficients where %d are needed", len(m.Coefficients), want)
	}
	scores := make([][]float64, len(rows))
	for i, row := range rows {
		k := row
		if m.NumVectors > 0 {
			if k, err = m.kernels(row); err != nil {
				return nil, err
			}
		}
		s := m.Rho[0]
		for j, c := range m.Coefficients {
			s += c * k[j]
		}
		if oneClass {
			if s > 0 {
				s = 1
			} else {
				s = -1
			}
		}
		scores[i] = []float64{s}
	}
	return transformed(scores, 1, m.Transform, NoSecond)
}

// Classify predicts each sample's class, as its place among the labels, and
// scores: probabilities [N,classes] where ProbA is given, the decisions
// [N,pairs] else. Classes are told apart pairwise, and the votes are counted.
func (m *SVM) Classify(x *tensor.Tensor) ([]int, *tensor.Tensor, error) {
	rows, features, err := samples(x)
	if err != nil {
		return nil, nil, err
	}
	if err := m.check(features); err != nil {
		return nil, nil, err
	}
	if err := m.checkPairs(features); err != nil {
		return nil, nil, err
	}
	positive := true
	for _, c := range m.Coefficients {
		positive = positive && c >= 0
	}
	labels, columns := make([]int, len(rows)), 1
	var out []float64
	for i, row := range rows {
		scores, votes, err := m.decide(row)
		if err != nil {
			return nil, nil, err
		}
		probable := len(m.ProbA) > 0 && votes != nil
		if probable {
			scores = m.probabilities(scores)
		}
		best, top := argMax(scores), 0.0
		if votes != nil {
			best = argMax(votes)
			top = votes[best]
		} else {
			top = scores[best]
		}
		second := NoSecond
		labels[i] = best
		if len(m.Rho) == 1 {
			if m.Classes == 2 {
				if second = Complement; m.Transform == "NONE" {
					second = Opposite
				}
				if !probable && positive && top >= 0.5 {
					labels[i] = 1
				}
			} else if m.Classes == 1 && top <= 0 {
				labels[i] = -1
			}
		}
		if scores, err = postTransform(scores, m.Transform, second); err != nil {
			return nil, nil, err
		}
		columns = len(scores)
		out = append(out, scores...)
	}
	return labels, fromFloat64s(tensor.Float32, out, len(rows), columns), nil
}

func (m *SVM) checkPairs(features int) error {
	if m.NumVectors == 0 {
		if len(m.Coefficients) != m.Classes*features {
			return fmt.Errorf("%d coefficients for %d classes of %d features", len(m.Coefficients), m.Classes, features)
		}
		return nil
	}
	pairs := m.Classes * (m.Classes - 1) / 2
	total := 0
	for _, n := range m.PerClass {
		if n < 0 {
			return fmt.Errorf("%d support vectors of a class", n)
		}
		total += n
	}
	if len(m.PerClass) != m.Classes || total != m.NumVectors || len(m.Rho) < pairs || len(m.Coefficients) != (m.Classes-1)*m.NumVectors {
		return fmt.Errorf("%d classes with %v support vectors, %d coefficients and %d rho do not fit", m.Classes, m.PerClass, len(m.Coefficients), len(m.Rho))
	}
	if n := len(m.ProbA); n > 0 && (n < pairs || len(m.ProbB) < pairs) {
		return fmt.Errorf("%d and %d probability coefficients for %d pairs", n, len(m.ProbB), pairs)
	}
	return nil
}

// decide returns the decision for each pair of classes and the votes that
// each class gets; for a linear machine, each class's score and no votes.
func (m *SVM) decide(row []float64) (scores, votes []float64, err error) {
	if m.NumVectors == 0 {
		for c := range m.Classes {
			s := m.Rho[0]
			for k, v := range row {
				s += v * m.Coefficients[c*len(row)+k]
			}
			scores = append(scores, s)
		}
		return scores, nil, nil
	}
	k, err := m.kernels(row)
	if err != nil {
		return nil, nil, err
	}
	start := make([]int, m.Classes+1)
	for c, n := range m.PerClass {
		start[c+1] = start[c] + n
	}
	votes = make([]float64, m.Classes)
	for i := range m.Classes {
		for j := i + 1; j < m.Classes; j++ {
			s := m.Rho[len(scores)]
			for v := start[i]; v < start[i+1]; v++ {
				s += m.Coefficients[(j-1)*m.NumVectors+v] * k[v]
			}
			for v := start[j]; v < start[j+1]; v++ {
				s += m.Coefficients[i*m.NumVectors+v] * k[v]
			}
			scores = append(scores, s)
			if s > 0 {
				votes[i]++
			} else {
				votes[j]++
			}
		}
	}
	return scores, votes, nil
}

// probabilities couples the pairwise ones: the second method of Wu, Lin and
// Weng, "Probability estimates for multi-class classification by pairwise
// coupling" (2004), each pairwise one by Platt's sigmoid.
func (m *SVM) probabilities(decisions []float64) []float64 {
	n := m.Classes
	r := make([][]float64, n) // r[i][j]: i, given that it is i or j
	for i := range r {
		r[i] = make([]float64, n)
	}
	pair := 0
	for i := range n {
		for j := i + 1; j < n; j++ {
			p := 1 - logistic(decisions[pair]*m.ProbA[pair]+m.ProbB[pair])
			p = min(max(p, 1e-7), 1-1e-7)
			r[i][j], r[j][i] = p, 1-p
			pair++
		}
	}
	q, p := make([][]float64, n), make([]float64, n)
	for i := range q {
		q[i] = make([]float64, n)
		p[i] = 1 / float64(n)
		for j := range n {
			if j != i {
				q[i][i] += r[j][i] * r[j][i]
				q[i][j] = -r[j][i] * r[i][j]
			}
		}
	}
	for range max(100, n) {
		qp, pqp := quadratic(q, p)
		worst := 0.0
		for _, v := range qp {
			worst = max(worst, math.Abs(v-pqp))
		}
		if worst < 0.005/float64(n) {
			break
		}
		for t := range n {
			qp, pqp := quadratic(q, p)
			p[t] += (pqp - qp[t]) / q[t][t]
			sum := 0.0
			for _, v := range p {
				sum += v
			}
			for i := range p {
				p[i] /= sum
			}
		}
	}
	return p
}

// quadratic returns Q·p and pᵀ·Q·p.
func quadratic(q [][]float64, p []float64) (qp []float64, pqp float64) {
	qp = make([]float64, len(p))
	for i, row := range q {
		for j, v := range row {
			qp[i] += v * p[j]
		}
		pqp += p[i] * qp[i]
	}
	return qp, pqp
}
