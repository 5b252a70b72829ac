package ref

import (
	"fmt"
	"math"
	"slices"

	"github.com/hone-ml/hone/tensor"
)

// TreeMode is the comparison that a node makes; the values of the first seven
// are those of TreeEnsemble's nodes_modes.
type TreeMode uint8

// What is compared is the sample's feature, on the left, with the split.
const (
	TreeLEQ TreeMode = iota
	TreeLT
	TreeGTE
	TreeGT
	TreeEQ
	TreeNEQ
	TreeMember
	TreeLeaf
)

// TreeModes maps the names of the older operators.
var TreeModes = map[string]TreeMode{
	"BRANCH_LEQ": TreeLEQ, "BRANCH_LT": TreeLT, "BRANCH_GTE": TreeGTE, "BRANCH_GT": TreeGT,
	"BRANCH_EQ": TreeEQ, "BRANCH_NEQ": TreeNEQ, "LEAF": TreeLeaf,
}

// TreeNode is an inner node or a leaf.
type TreeNode struct {
	Mode        TreeMode
	Feature     int
	Split       float64
	Members     []float64
	MissingTrue bool // a missing value, NaN, counts as true
	Yes, No     int  // places of the children
	Votes       []Vote
}

// Vote is what a leaf gives to a target.
type Vote struct {
	Target int
	Weight float64
}

// Forest is an ensemble of decision trees.
type Forest struct {
	Nodes   []TreeNode
	Roots   []int
	Targets int
}

// Check reports children, features and targets that are out of bounds, and a
// number of targets that is none.
func (f *Forest) Check(features int) error {
	if f.Targets < 0 || f.Targets > 1<<20 {
		return fmt.Errorf("%d targets", f.Targets)
	}
	for i, n := range f.Nodes {
		if n.Mode > TreeLeaf {
			return fmt.Errorf("node %d: mode %d is not known", i, n.Mode)
		}
		if n.Mode != TreeLeaf && (n.Yes < 0 || n.Yes >= len(f.Nodes) || n.No < 0 || n.No >= len(f.Nodes)) {
			return fmt.Errorf("node %d: a child is missing", i)
		}
		if n.Mode != TreeLeaf && (n.Feature < 0 || n.Feature >= features) {
			return fmt.Errorf("node %d: feature %d of %d", i, n.Feature, features)
		}
		for _, v := range n.Votes {
			if v.Target < 0 || v.Target >= f.Targets {
				return fmt.Errorf("node %d: target %d of %d", i, v.Target, f.Targets)
			}
		}
	}
	for _, r := range f.Roots {
		if r < 0 || r >= len(f.Nodes) {
			return fmt.Errorf("root %d of %d nodes", r, len(f.Nodes))
		}
	}
	return nil
}

func (n *TreeNode) holds(x float64) bool {
	if n.MissingTrue && math.IsNaN(x) {
		return true
	}
	switch n.Mode {
	case TreeLEQ:
		return x <= n.Split
	case TreeLT:
		return x < n.Split
	case TreeGTE:
		return x >= n.Split
	case TreeGT:
		return x > n.Split
	case TreeEQ:
		return x == n.Split
	case TreeNEQ:
		return x != n.Split
	}
	return slices.Contains(n.Members, x)
}

// leaf walks down from a root.
func (f *Forest) leaf(root int, x []float64) (*TreeNode, error) {
	n := &f.Nodes[root]
	for range f.Nodes {
		if n.Mode == TreeLeaf {
			return n, nil
		}
		next := n.No
		if n.holds(x[n.Feature]) {
			next = n.Yes
		}
		n = &f.Nodes[next]
	}
	return nil, fmt.Errorf("the tree of node %d has a cycle", root)
}

// Scores aggregates the trees' votes for one sample: SUM, AVERAGE, MIN or
// MAX.
func (f *Forest) Scores(x []float64, aggregate string) ([]float64, error) {
	scores, seen := make([]float64, f.Targets), make([]bool, f.Targets)
	for _, root := range f.Roots {
		leaf, err := f.leaf(root, x)
		if err != nil {
			return nil, err
		}
		for _, v := range leaf.Votes {
			s := &scores[v.Target]
			switch {
			case aggregate == "SUM" || aggregate == "AVERAGE":
				*s += v.Weight
			case aggregate != "MIN" && aggregate != "MAX":
				return nil, fmt.Errorf("aggregate_function %q is not one of SUM, AVERAGE, MIN, MAX", aggregate)
			case !seen[v.Target]:
				*s = v.Weight
			case aggregate == "MIN":
				*s = min(*s, v.Weight)
			default:
				*s = max(*s, v.Weight)
			}
			seen[v.Target] = true
		}
	}
	if aggregate == "AVERAGE" {
		for i := range scores {
			scores[i] /= float64(len(f.Roots))
		}
	}
	return scores, nil
}

// samples returns the rows of x, [N,C] or [C].
func samples(x *tensor.Tensor) (rows [][]float64, features int, err error) {
	n := 1
	switch x.Rank() {
	case 1:
		features = x.Shape[0]
	case 2:
		n, features = x.Shape[0], x.Shape[1]
	default:
		return nil, 0, fmt.Errorf("the samples %s must be [N,C]", x)
	}
	v := Float64s(x)
	for i := range n {
		rows = append(rows, v[i*features:(i+1)*features])
	}
	return rows, features, nil
}

// Regress predicts [N,targets] of type d: the aggregated votes, plus a base
// for each target, transformed.
func (f *Forest) Regress(x *tensor.Tensor, d tensor.DType, aggregate, transform string, base []float64) (*tensor.Tensor, error) {
	rows, features, err := samples(x)
	if err != nil {
		return nil, err
	}
	if err := f.Check(features); err != nil {
		return nil, err
	}
	if len(base) != 0 && len(base) != f.Targets {
		return nil, fmt.Errorf("%d base values for %d targets", len(base), f.Targets)
	}
	var out []float64
	for _, row := range rows {
		scores, err := f.Scores(row, aggregate)
		if err != nil {
			return nil, err
		}
		for i, b := range base {
			scores[i] += b
		}
		if scores, err = postTransform(scores, transform, NoSecond); err != nil {
			return nil, err
		}
		out = append(out, scores...)
	}
	return fromFloat64s(d, out, len(rows), f.Targets), nil
}

// Classify predicts the class of each sample, as its place among the labels,
// and its scores [N,classes]. Of two classes of which only one gets votes, its
// score decides: the first one's votes count for the second one too, as
// gradient boosting is exported.
func (f *Forest) Classify(x *tensor.Tensor, transform string, base []float64) ([]int, *tensor.Tensor, error) {
	rows, features, err := samples(x)
	if err != nil {
		return nil, nil, err
	}
	if err := f.Check(features); err != nil {
		return nil, nil, err
	}
	voted, positive := map[int]bool{}, true
	for _, n := range f.Nodes {
		for _, v := range n.Votes {
			voted[v.Target] = true
			positive = positive && v.Weight >= 0
		}
	}
	binary := f.Targets == 2 && len(voted) == 1
	labels, columns := make([]int, len(rows)), max(f.Targets, 1)
	var out []float64
	for i, row := range rows {
		scores, err := f.Scores(row, "SUM")
		if err != nil {
			return nil, nil, err
		}
		second := NoSecond
		if binary {
			s := scores[0] + scores[1] // one of them is 0
			switch {
			case len(base) == 1:
				s += base[0]
			case len(base) == 2 && voted[0]:
				s += base[0]
			case len(base) == 2:
				s += base[1]
			}
			border := 0.0
			if positive {
				border = 0.5
			}
			if s > border {
				labels[i] = 1
			}
			switch {
			case voted[1]:
				scores = []float64{0, s}
			case positive:
				scores, second = []float64{s}, Complement
			default:
				scores, second = []float64{s}, Opposite
			}
		} else {
			for k, b := range base {
				if k < len(scores) {
					scores[k] += b
				}
			}
			labels[i] = argMax(scores)
			if f.Targets == 1 && scores[0] <= 0 {
				labels[i] = -1
			}
		}
		if scores, err = postTransform(scores, transform, second); err != nil {
			return nil, nil, err
		}
		columns = len(scores)
		out = append(out, scores...)
	}
	return labels, fromFloat64s(tensor.Float32, out, len(rows), columns), nil
}
