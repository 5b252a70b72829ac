"""Writes zml.json: what onnxruntime answers for operators of ai.onnx.ml.

Usage: python ml.py > zml.json   (needs onnx, onnxruntime, scikit-learn, numpy)
"""
import json
import sys

import numpy as np
import onnxruntime as ort
from onnx import TensorProto as T, helper as h, numpy_helper
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.svm import SVC, SVR, OneClassSVM

ort.set_default_logger_severity(4)
rng = np.random.default_rng(5)
TYPES = {np.dtype("float32"): T.FLOAT, np.dtype("float64"): T.DOUBLE, np.dtype("int64"): T.INT64, np.dtype("int32"): T.INT32}
cases = []


def tensor(a):
    a = np.asarray(a)
    if a.dtype.kind in "UO":
        return {"type": "string", "shape": list(a.shape), "s": [str(s) for s in a.reshape(-1)]}
    name = {"float32": "f32", "float64": "f64", "int64": "i64", "int32": "i32"}[str(a.dtype)]
    return {"type": name, "shape": list(a.shape), "s": [text(v) for v in a.reshape(-1).tolist()]}


def value(v):
    if isinstance(v, dict):
        ks = list(v)
        return {"map": tensor(np.array(ks)), "values": tensor(np.array([v[k] for k in ks], dtype=np.float32 if isinstance(v[ks[0]], float) else None))}
    if isinstance(v, list) and v and isinstance(v[0], dict):
        return {"seq": [value(x) for x in v]}
    return tensor(v)


def attr(v):
    if isinstance(v, np.ndarray):
        return {"t": tensor(v)}
    if isinstance(v, (list, tuple)):
        return {"kind": kind(v[0]) + "s", "v": [text(x) for x in v]}
    return {"kind": kind(v), "v": [text(v)]}


def kind(v):
    return {str: "string", float: "float", int: "int"}[type(v)]


def text(v):
    return "%.9g" % v if isinstance(v, float) else str(v)


def vinfo(name, v):
    if isinstance(v, dict):
        k = next(iter(v))
        return h.make_value_info(name, h.make_map_type_proto(
            T.INT64 if isinstance(k, int) else T.STRING,
            h.make_tensor_type_proto(T.STRING if isinstance(v[k], str) else T.FLOAT, [])))
    a = np.asarray(v)
    return h.make_tensor_value_info(name, T.STRING if a.dtype.kind in "UO" else TYPES[a.dtype], list(a.shape))


def case(op, inputs, outs=1, opset=3, title="", **attrs):
    ins = [f"x{i}" for i in range(len(inputs))]
    names = [f"y{i}" for i in range(outs)]
    node = h.make_node(op, ins, names, domain="ai.onnx.ml", **{
        k: numpy_helper.from_array(v) if isinstance(v, np.ndarray) and v.dtype.kind not in "UO"
        else h.make_tensor(k, T.STRING, v.shape, [s.encode() for s in v.reshape(-1)]) if isinstance(v, np.ndarray) else v
        for k, v in attrs.items()})
    g = h.make_graph([node], "g", [vinfo(n, v) for n, v in zip(ins, inputs)], [h.make_empty_tensor_value_info(n) for n in names])
    m = h.make_model(g, opset_imports=[h.make_opsetid("ai.onnx.ml", opset), h.make_opsetid("", 18)], ir_version=9)
    try:
        s = ort.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"])
        got = s.run(None, dict(zip(ins, inputs)))
    except Exception as e:
        print("skipped", op, title, str(e)[:150], file=sys.stderr)
        return
    cases.append({"op": op, "opset": opset, "title": title, "attrs": {k: attr(v) for k, v in attrs.items()},
                  "in": [value(v) for v in inputs], "out": [value(v) for v in got]})


def f32(*shape):
    return rng.standard_normal(shape).astype(np.float32).round(3)


def floats(a):
    return [float(v) for v in np.asarray(a, dtype=np.float32).reshape(-1)]


POST = ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"]


def trees(est, leaf, prefix):
    """The attributes of a tree ensemble; leaf(tree, node) lists its votes."""
    a = {k: [] for k in ("nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_modes", "nodes_values", "nodes_truenodeids",
                         "nodes_falsenodeids", "nodes_missing_value_tracks_true", prefix + "_treeids", prefix + "_nodeids", prefix + "_ids", prefix + "_weights")}
    for t, e in enumerate(est):
        tr = e.tree_
        for n in range(tr.node_count):
            inner = tr.children_left[n] >= 0
            a["nodes_treeids"].append(t)
            a["nodes_nodeids"].append(n)
            a["nodes_featureids"].append(int(tr.feature[n]) if inner else 0)
            a["nodes_modes"].append("BRANCH_LEQ" if inner else "LEAF")
            a["nodes_values"].append(float(np.float32(tr.threshold[n])) if inner else 0.0)
            a["nodes_truenodeids"].append(int(tr.children_left[n]) if inner else 0)
            a["nodes_falsenodeids"].append(int(tr.children_right[n]) if inner else 0)
            a["nodes_missing_value_tracks_true"].append(int(n % 2))
            if not inner:
                for c, w in leaf(tr, n):
                    a[prefix + "_treeids"].append(t)
                    a[prefix + "_nodeids"].append(n)
                    a[prefix + "_ids"].append(c)
                    a[prefix + "_weights"].append(float(np.float32(w)))
    return a


def main():
    X = f32(6, 4)
    Xnan = X.copy()
    Xnan[0, 0] = Xnan[2, 1] = np.nan
    F, y3, y2 = f32(80, 4), rng.integers(0, 3, 80), rng.integers(0, 2, 80)

    # features
    case("ArrayFeatureExtractor", [X, np.array([2, 0, 2])])
    case("ArrayFeatureExtractor", [X[0], np.array([[3, 1]])])
    case("ArrayFeatureExtractor", [np.array([["a", "b"], ["c", "d"]]), np.array([1])])
    case("Binarizer", [X], threshold=0.25)
    case("Imputer", [Xnan], imputed_value_floats=[1.0, 2.0, 3.0, 4.0], replaced_value_float=float("nan"))
    case("Imputer", [np.array([[1, 2], [3, 1]])], imputed_value_int64s=[7], replaced_value_int64=1)
    case("Scaler", [X], offset=[0.5, 1.0, -1.0, 0.0], scale=[2.0, 1.0, 0.5, 3.0])
    case("Scaler", [np.array([[1, 2], [3, 4]])], offset=[1.0], scale=[0.5])
    for norm in ["MAX", "L1", "L2"]:
        case("Normalizer", [X], norm=norm)
        case("Normalizer", [np.array([[-3, -4], [0, 0], [3, -4]], dtype=np.int64)], norm=norm)
        case("Normalizer", [X[0]], norm=norm)
    case("FeatureVectorizer", [X[:, :2], X[:, 2:3]], inputdimensions=[2, 1])
    case("OneHotEncoder", [np.array([[1, 3], [2, 9]])], cats_int64s=[1, 2, 3], zeros=1)
    case("OneHotEncoder", [np.array([1.5, 3.0], dtype=np.float32)], cats_int64s=[1, 2, 3])
    case("OneHotEncoder", [np.array(["b", "x"])], cats_strings=["a", "b"])
    case("LabelEncoder", [np.array(["b", "x", "a"])], keys_strings=["a", "b"], values_int64s=[4, 5], default_int64=-7)
    case("LabelEncoder", [np.array([1.5, np.nan, 2], dtype=np.float32)], opset=4, keys_floats=[1.5, float("nan")], values_strings=["one", "none"])
    case("LabelEncoder", [np.array([3, 4, 5])], keys_int64s=[3, 4], values_floats=[0.5, 0.25])
    case("LabelEncoder", [np.array([3, 4, 5])], opset=4, keys_tensor=np.array([3, 4]), values_tensor=np.array(["x", "y"]), default_tensor=np.array(["z"]))
    case("LabelEncoder", [np.array([1.5, 4.0])], opset=4, keys_tensor=np.array([1.5, 4]), values_tensor=np.array([2.5, 3]), default_tensor=np.array([0.0]))
    case("LabelEncoder", [np.array(["b", "x", "a"])], opset=1, classes_strings=["a", "b"], default_int64=-3)
    case("LabelEncoder", [np.array([0, 1, 7])], opset=1, classes_strings=["a", "b"], default_string="?")
    case("CategoryMapper", [np.array(["b", "x"])], cats_strings=["a", "b"], cats_int64s=[10, 20], default_int64=-1)
    case("CategoryMapper", [np.array([10, 11])], cats_strings=["a", "b"], cats_int64s=[10, 20], default_string="none")
    case("CastMap", [{5: 1.5, 2: 2.5}], cast_to="TO_FLOAT", map_form="DENSE")
    case("CastMap", [{5: 1.5, 2: 2.5}], cast_to="TO_FLOAT", map_form="SPARSE", max_map=8)
    case("CastMap", [{5: 1.5, 2: 2.25}], cast_to="TO_INT64", map_form="DENSE")
    case("CastMap", [{5: 7.5, 2: -2.0}], cast_to="TO_INT64", map_form="SPARSE", max_map=6)
    case("DictVectorizer", [{"b": 2.5, "z": 1.0, "a": 4.0}], string_vocabulary=["a", "c", "b"])
    case("DictVectorizer", [{4: 2.5, 9: 1.0}], int64_vocabulary=[9, 1, 4])
    case("ZipMap", [np.array([[0.25, 0.75], [0.5, 0.5]], dtype=np.float32)], classlabels_int64s=[3, 8])
    case("ZipMap", [np.array([[0.25, 0.75]], dtype=np.float32)], classlabels_strings=["no", "yes"])

    # linear models
    for post in POST:
        case("LinearRegressor", [X], title=post, coefficients=floats(f32(8)), intercepts=[0.5, -0.5], targets=2, post_transform=post)
        case("LinearRegressor", [X], title=post + " one", coefficients=[0.1, 0.02, 0.05, 0.1], intercepts=[0.5], post_transform=post)
        case("LinearClassifier", [X], 2, title=post, coefficients=floats(f32(12)), intercepts=[0.1, 0.2, 0.3], classlabels_ints=[3, 4, 9], post_transform=post)
        case("LinearClassifier", [X], 2, title=post + " strings", coefficients=floats(f32(8)), intercepts=[0.1, 0.2], classlabels_strings=["a", "b"], post_transform=post)
        if post != "PROBIT":  # onnxruntime leaves the second score unset
            case("LinearClassifier", [X], 2, title=post + " one row", coefficients=[0.1, 0.2, 0.05, 0.1], intercepts=[0.5], classlabels_ints=[5, 6], post_transform=post)
    case("LinearRegressor", [X], coefficients=[0.1, 0.2, 0.3, 0.4])
    case("LinearClassifier", [np.array([[1, 2, 3, -4]])], 2, coefficients=floats(f32(12)), intercepts=[0.1, 0.2, 0.3], classlabels_ints=[3, 4, 9])

    # support vector machines
    for kernel in ["linear", "poly", "rbf", "sigmoid"]:
        p = [0.3, 0.5, 2.0]
        opts = dict(kernel=kernel, gamma=p[0], coef0=p[1], degree=2)
        r = SVR(**opts).fit(F, F[:, 0] + F[:, 1])
        case("SVMRegressor", [X], title=kernel, kernel_type=kernel.upper(), kernel_params=p, n_supports=len(r.support_), support_vectors=floats(r.support_vectors_),
             coefficients=floats(r.dual_coef_), rho=floats(r.intercept_))
        c = SVC(**opts).fit(F, y3)
        rho, vec = c._intercept_ if hasattr(c, "_intercept_") else c.intercept_, c.support_vectors_
        case("SVMClassifier", [X], 2, title=kernel, kernel_type=kernel.upper(), kernel_params=p, vectors_per_class=[int(v) for v in c.n_support_],
             support_vectors=floats(vec), coefficients=floats(c.dual_coef_), rho=floats(rho), classlabels_ints=[0, 1, 2])
    one = OneClassSVM(gamma=0.3).fit(F)
    case("SVMRegressor", [X], kernel_type="RBF", kernel_params=[0.3, 0.0, 0.0], n_supports=len(one.support_), support_vectors=floats(one.support_vectors_),
         coefficients=floats(one.dual_coef_), rho=floats(one.intercept_), one_class=1)
    case("SVMRegressor", [X], coefficients=floats(f32(4)), rho=[0.25], kernel_params=[0.0, 0.0, 0.0])
    case("SVMClassifier", [X], 2, title="linear", coefficients=floats(f32(12)), rho=[0.25, 0.25, 0.25], kernel_params=[0.0, 0.0, 0.0], classlabels_ints=[1, 2, 3])
    case("SVMClassifier", [X], 2, title="linear softmax", coefficients=floats(f32(12)), rho=[0.25, 0.25, 0.25], kernel_params=[0.0, 0.0, 0.0], classlabels_strings=["a", "b", "c"], post_transform="SOFTMAX")
    for y, names in [(y3, [2, 4, 6]), (y2, [2, 4])]:
        c = SVC(gamma=0.3).fit(F, y)
        k = len(names) * (len(names) - 1) // 2
        rho, dual = c._intercept_ if hasattr(c, "_intercept_") else c.intercept_, c._dual_coef_ if hasattr(c, "_dual_coef_") else c.dual_coef_
        base = dict(kernel_type="RBF", kernel_params=[0.3, 0.0, 0.0], vectors_per_class=[int(v) for v in c.n_support_], support_vectors=floats(c.support_vectors_),
                    coefficients=floats(dual), rho=floats(rho), classlabels_ints=names)
        case("SVMClassifier", [X], 2, title=f"probable {len(names)}", prob_a=floats(-1 - rng.random(k)), prob_b=floats(rng.random(k) - 0.5), **base)
        for post in ["NONE", "LOGISTIC", "SOFTMAX"]:
            case("SVMClassifier", [X], 2, title=f"{post} {len(names)}", post_transform=post, **base)

    # trees
    r = RandomForestRegressor(5, max_depth=3, random_state=1).fit(F, np.stack([F[:, 0], F[:, 1] * F[:, 2]], 1))
    votes = trees(r.estimators_, lambda t, n: enumerate(t.value[n, :, 0]), "target")
    for how in ["SUM", "AVERAGE", "MIN", "MAX"]:
        case("TreeEnsembleRegressor", [Xnan], title=how, n_targets=2, aggregate_function=how, base_values=[0.25, -1.0], **votes)
    for post in ["LOGISTIC", "SOFTMAX"]:
        case("TreeEnsembleRegressor", [Xnan], title=post, n_targets=2, post_transform=post, **votes)
    r = RandomForestRegressor(3, max_depth=2, random_state=1).fit(F, F[:, 0] * F[:, 1])
    votes = trees(r.estimators_, lambda t, n: [(0, t.value[n, 0, 0] / 9 + 0.2)], "target")
    for post in ["NONE", "LOGISTIC", "PROBIT"]:
        case("TreeEnsembleRegressor", [X], title="one " + post, n_targets=1, post_transform=post, **votes)
    case("TreeEnsembleRegressor", [X.astype(np.float64)], title="f64", n_targets=1, **votes)
    for mode in ["LT", "GTE", "GT", "EQ", "NEQ"]:
        v = dict(votes, nodes_modes=[m if m == "LEAF" else "BRANCH_" + mode for m in votes["nodes_modes"]])
        case("TreeEnsembleRegressor", [Xnan], title=mode, n_targets=1, **v)
    for y, k in [(y3, 3)]:  # with votes for both of two classes, onnxruntime's label is not the top class
        c = RandomForestClassifier(4, max_depth=3, random_state=2).fit(F, y)
        votes = trees(c.estimators_, lambda t, n: enumerate(t.value[n, 0] / t.value[n, 0].sum() / 4), "class")
        for post in POST[:4]:
            case("TreeEnsembleClassifier", [X], 2, title=f"{k} {post}", classlabels_int64s=list(range(5, 5 + k)), post_transform=post, **votes)
        case("TreeEnsembleClassifier", [X], 2, title=f"{k} base", classlabels_strings=["a", "b", "c"][:k], base_values=[0.5, 0.1, 0.2][:k], **votes)
    g = GradientBoostingClassifier(n_estimators=4, max_depth=2, random_state=3).fit(F, y2)
    for target in [0, 1]:
        for title, scale, shift in [("mixed", 1.0, 0.0), ("positive", 0.1, 0.2)]:
            votes = trees(g.estimators_[:, 0], lambda t, n: [(target, t.value[n, 0, 0] * scale + shift)], "class")
            for post in POST[:4]:
                case("TreeEnsembleClassifier", [X], 2, title=f"binary {title} {target} {post}", classlabels_int64s=[7, 8], post_transform=post, **votes)
            if target == 0:
                case("TreeEnsembleClassifier", [X], 2, title=f"binary {title} {target} base", classlabels_int64s=[7, 8], base_values=[0.3], post_transform="LOGISTIC", **votes)
    json.dump(cases, sys.stdout, separators=(",", ":"))
    print(file=sys.stdout)
    print(len(cases), "cases", file=sys.stderr)


main()
