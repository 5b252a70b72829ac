package ops

import (
	"math"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// The models of ai.onnx.ml: linear ones, support vector machines, trees.
func init() {
	add(map[string]Impl{
		"ml.LinearRegressor":        {Infer: inferRegressor("targets"), Eval: one(linearRegressor)},
		"ml.LinearClassifier":       {Infer: inferClassifier, Eval: linearClassifier},
		"ml.SVMRegressor":           {Infer: inferRegressor(""), Eval: one(svmRegressor)},
		"ml.SVMClassifier":          {Infer: inferClassifier, Eval: svmClassifier},
		"ml.TreeEnsembleRegressor":  {Infer: inferRegressor("n_targets"), Eval: one(treeRegressor)},
		"ml.TreeEnsembleClassifier": {Infer: inferClassifier, Eval: treeClassifier},
		"ml.TreeEnsemble":           {Infer: inferTreeEnsemble, Eval: one(treeEnsemble)},
	})
}

// sampleCount returns the number of rows of operand 0, [N,C] or [C].
func (x *Inference) sampleCount() (ir.Dim, error) {
	switch t := x.In(0); t.Rank() {
	case -1:
		return x.Fresh(), nil
	case 1:
		return ir.Const(1), nil
	case 2:
		return t.Dims[0], nil
	default:
		return ir.Dim{}, x.Errorf("the samples %s must be [N,C]", t)
	}
}

func inferRegressor(targets string) func(x *Inference) error {
	return func(x *Inference) error {
		n, err := x.sampleCount()
		if err != nil {
			return err
		}
		columns := int64(1)
		if targets != "" {
			columns = x.Int(targets)
		}
		x.Set(0, ir.TensorOf(tensor.Float32, n, ir.Const(columns)))
		return nil
	}
}

// labels returns a classifier's labels; without any, they are places.
func (a attrs) labels() *tensor.Tensor {
	if t := a.list("classlabels_int64s", "classlabels_strings"); t != nil {
		return t
	}
	return a.list("classlabels_ints", "classlabels_strings")
}

func inferClassifier(x *Inference) error {
	n, err := x.sampleCount()
	if err != nil {
		return err
	}
	d, columns := tensor.Int64, ir.Dim{}
	if l := x.labels(); l != nil {
		d = l.DType
		columns = ir.Const(int64(l.Len()))
	}
	pairs := x.op.Name == "ml.SVMClassifier" && len(x.Floats("prob_a")) == 0
	if c, _ := columns.Int(); c < 2 || pairs && c != 2 {
		columns = x.Fresh()
	}
	x.Set(0, ir.TensorOf(d, n))
	x.Set(1, ir.TensorOf(tensor.Float32, n, columns))
	return nil
}

// setClasses gives the labels that the places stand for, and the scores. One
// label, or none, stands for the class against the rest: 1 or 0.
func (c *Call) setClasses(places []int, scores *tensor.Tensor) error {
	labels := c.labels()
	if labels == nil || labels.Len() == 1 {
		d := tensor.Int64
		if labels != nil {
			d = labels.DType
		}
		y := tensor.New(d, len(places))
		for i, p := range places {
			positive := p > 0 || p == 0 && labels != nil
			switch {
			case d == tensor.String && positive:
				y.Strings[i] = labels.Strings[0]
			case d == tensor.Int64 && labels == nil:
				tensor.Of[int64](y)[i] = int64(max(p, 0))
			case d == tensor.Int64 && positive:
				tensor.Of[int64](y)[i] = 1
			}
		}
		c.Set(0, y)
		c.Set(1, scores)
		return nil
	}
	y := tensor.New(labels.DType, len(places))
	for i, p := range places {
		if p < 0 || p >= labels.Len() {
			return c.Errorf("class %d of %d labels", p, labels.Len())
		}
		if labels.DType == tensor.String {
			y.Strings[i] = labels.Strings[p]
		} else {
			tensor.Of[int64](y)[i] = tensor.Of[int64](labels)[p]
		}
	}
	c.Set(0, y)
	c.Set(1, scores)
	return nil
}

func (a attrs) classCount() int {
	if l := a.labels(); l != nil {
		return l.Len()
	}
	return 0
}

// floats returns a list attribute, or the tensor that may stand for it.
func (a attrs) floats(name string) []float64 {
	if t := a.Tensor(name + "_as_tensor"); t != nil {
		return ref.Float64s(t)
	}
	return floatsOf(a.Floats(name))
}

func linearRegressor(c *Call) (tensor.Value, error) {
	return ref.LinearRegressor(c.In(0), c.floats("coefficients"), c.floats("intercepts"), int(c.Int("targets")), c.Str("post_transform"))
}

func linearClassifier(c *Call) error {
	places, scores, err := ref.LinearClassifier(c.In(0), c.floats("coefficients"), c.floats("intercepts"), c.classCount(), c.Str("post_transform"))
	if err != nil {
		return err
	}
	return c.setClasses(places, scores)
}

func (c *Call) svm() *ref.SVM {
	m := &ref.SVM{
		Kernel: c.Str("kernel_type"), Vectors: c.floats("support_vectors"), Coefficients: c.floats("coefficients"), Rho: c.floats("rho"),
		PerClass: intsOf(c.Ints("vectors_per_class")), ProbA: c.floats("prob_a"), ProbB: c.floats("prob_b"), Transform: c.Str("post_transform"),
		Classes: max(c.classCount(), 1), NumVectors: int(c.Int("n_supports")),
	}
	for _, n := range m.PerClass {
		m.NumVectors += n
	}
	if p := c.floats("kernel_params"); len(p) >= 3 {
		m.Gamma, m.Coef0, m.Degree = p[0], p[1], math.Trunc(p[2])
	}
	if m.NumVectors == 0 {
		m.Kernel = "LINEAR"
	}
	return m
}

func svmRegressor(c *Call) (tensor.Value, error) {
	return c.svm().Regress(c.In(0), c.Bool("one_class"))
}

func svmClassifier(c *Call) error {
	places, scores, err := c.svm().Classify(c.In(0))
	if err != nil {
		return err
	}
	return c.setClasses(places, scores)
}

// forest builds the trees of the two older operators, whose nodes and votes
// are named by tree and node ids. votes is the prefix of the votes' attributes.
func (c *Call) forest(votes, weights string, targets int) (*ref.Forest, error) {
	trees, ids, modes := c.Ints("nodes_treeids"), c.Ints("nodes_nodeids"), c.Strs("nodes_modes")
	features, yes, no, missing := c.Ints("nodes_featureids"), c.Ints("nodes_truenodeids"), c.Ints("nodes_falsenodeids"), c.Ints("nodes_missing_value_tracks_true")
	splits := c.floats("nodes_values")
	n := len(trees)
	for _, l := range []int{len(ids), len(modes), len(features), len(yes), len(no), len(splits)} {
		if l != n {
			return nil, c.Errorf("attributes of %d and %d nodes", n, l)
		}
	}
	f := &ref.Forest{Nodes: make([]ref.TreeNode, n), Targets: targets}
	type id struct{ tree, node int64 }
	place, rooted := make(map[id]int, n), map[int64]bool{}
	for i := range n {
		place[id{trees[i], ids[i]}] = i
		if !rooted[trees[i]] {
			rooted[trees[i]] = true
			f.Roots = append(f.Roots, i)
		}
	}
	for i := range n {
		mode, ok := ref.TreeModes[modes[i]]
		if !ok {
			return nil, c.Errorf("node %d: mode %q is not known", i, modes[i])
		}
		node := ref.TreeNode{Mode: mode, Feature: int(features[i]), Split: splits[i], MissingTrue: at(missing, i) != 0}
		if mode != ref.TreeLeaf {
			y, ok1 := place[id{trees[i], yes[i]}]
			m, ok2 := place[id{trees[i], no[i]}]
			if !ok1 || !ok2 {
				return nil, c.Errorf("node %d: a child is missing", i)
			}
			node.Yes, node.No = y, m
		}
		f.Nodes[i] = node
	}
	voteTrees, voteNodes, voteTargets, w := c.Ints(votes+"_treeids"), c.Ints(votes+"_nodeids"), c.Ints(votes+"_ids"), c.floats(weights)
	if len(voteNodes) != len(voteTrees) || len(voteTargets) != len(voteTrees) || len(w) != len(voteTrees) {
		return nil, c.Errorf("attributes of %d, %d, %d and %d votes", len(voteTrees), len(voteNodes), len(voteTargets), len(w))
	}
	for i, t := range voteTrees {
		p, ok := place[id{t, voteNodes[i]}]
		if !ok {
			return nil, c.Errorf("vote %d: there is no node %d in tree %d", i, voteNodes[i], t)
		}
		f.Nodes[p].Votes = append(f.Nodes[p].Votes, ref.Vote{Target: int(voteTargets[i]), Weight: w[i]})
	}
	return f, nil
}

func treeRegressor(c *Call) (tensor.Value, error) {
	f, err := c.forest("target", "target_weights", int(c.Int("n_targets")))
	if err != nil {
		return nil, err
	}
	return f.Regress(c.In(0), tensor.Float32, c.Str("aggregate_function"), c.Str("post_transform"), c.floats("base_values"))
}

func treeClassifier(c *Call) error {
	f, err := c.forest("class", "class_weights", c.classCount())
	if err != nil {
		return err
	}
	places, scores, err := f.Classify(c.In(0), c.Str("post_transform"), c.floats("base_values"))
	if err != nil {
		return err
	}
	return c.setClasses(places, scores)
}

func inferTreeEnsemble(x *Inference) error {
	n, err := x.sampleCount()
	if err != nil {
		return err
	}
	x.Set(0, ir.TensorOf(x.In(0).DType, n, ir.Const(x.Int("n_targets"))))
	return nil
}

var (
	treeAggregates = []string{"AVERAGE", "SUM", "MIN", "MAX"}
	treeTransforms = []string{"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"}
)

// treeEnsemble evaluates TreeEnsemble, whose inner nodes and leaves have lists
// of their own; here the leaves lie behind the inner nodes.
func treeEnsemble(c *Call) (tensor.Value, error) {
	features, yes, no := c.Ints("nodes_featureids"), c.Ints("nodes_truenodeids"), c.Ints("nodes_falsenodeids")
	yesLeaf, noLeaf, missing := c.Ints("nodes_trueleafs"), c.Ints("nodes_falseleafs"), c.Ints("nodes_missing_value_tracks_true")
	splits, modes, weights := c.Tensor("nodes_splits"), c.Tensor("nodes_modes"), c.Tensor("leaf_weights")
	targets := c.Ints("leaf_targetids")
	n := len(features)
	if splits == nil || modes == nil || weights == nil || modes.DType != tensor.Uint8 {
		return nil, c.Errorf("nodes_splits, nodes_modes or leaf_weights is missing")
	}
	for _, l := range []int{len(yes), len(no), len(yesLeaf), len(noLeaf), splits.Len(), modes.Len()} {
		if l != n {
			return nil, c.Errorf("attributes of %d and %d nodes", n, l)
		}
	}
	if weights.Len() != len(targets) {
		return nil, c.Errorf("%d weights for %d leaves", weights.Len(), len(targets))
	}
	f := &ref.Forest{Nodes: make([]ref.TreeNode, n+len(targets)), Targets: int(c.Int("n_targets"))}
	var members []float64
	if t := c.Tensor("membership_values"); t != nil {
		members = ref.Float64s(t)
	}
	split := ref.Float64s(splits)
	child := func(id, leaf int64) int {
		if leaf != 0 && id >= 0 && id < int64(len(targets)) {
			return n + int(id)
		}
		if leaf != 0 || id < 0 || id >= int64(n) {
			return -1
		}
		return int(id)
	}
	for i := range n {
		node := ref.TreeNode{
			Mode: ref.TreeMode(modes.Data[i]), Feature: int(features[i]), Split: split[i], MissingTrue: at(missing, i) != 0,
			Yes: child(yes[i], yesLeaf[i]), No: child(no[i], noLeaf[i]),
		}
		if node.Mode >= ref.TreeLeaf {
			return nil, c.Errorf("node %d: mode %d is not known", i, node.Mode)
		}
		if node.Mode == ref.TreeMember {
			end := slices.IndexFunc(members, math.IsNaN)
			if end < 0 {
				return nil, c.Errorf("node %d: its membership_values are missing", i)
			}
			node.Members, members = members[:end], members[end+1:]
		}
		f.Nodes[i] = node
	}
	for i, w := range ref.Float64s(weights) {
		f.Nodes[n+i] = ref.TreeNode{Mode: ref.TreeLeaf, Votes: []ref.Vote{{Target: int(targets[i]), Weight: w}}}
	}
	for _, r := range c.Ints("tree_roots") {
		f.Roots = append(f.Roots, int(r))
	}
	a, p := c.Int("aggregate_function"), c.Int("post_transform")
	if a < 0 || a >= int64(len(treeAggregates)) || p < 0 || p >= int64(len(treeTransforms)) {
		return nil, c.Errorf("aggregate_function %d or post_transform %d is not known", a, p)
	}
	return f.Regress(c.In(0), c.In(0).DType, treeAggregates[a], treeTransforms[p], nil)
}
