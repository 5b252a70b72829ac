"""Judges exported models: reads lines "ORIGINAL EXPORTED INPUTS", INPUTS being a folder of .npy files as `make setup`
writes them, the original's own folder for a conformance test, or - for random inputs. Checks each exported file with onnx.checker and runs both in
onnxruntime on the same inputs. Prints a line for each pair: ok, skip (onnxruntime does not run the original) or fail,
and one that says raised where the opset had to rise."""
import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime as ort

ort.set_default_logger_severity(4)
NP = {1: np.float32, 2: np.uint8, 3: np.int8, 5: np.int16, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64, 12: np.uint32, 13: np.uint64}


def session(path):
    opts = ort.SessionOptions()
    opts.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    opts.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), opts, providers=["CPUExecutionProvider"])


def feeds(model, folder):
    """The first data set of a conformance test, or small random inputs."""
    init = {t.name for t in model.graph.initializer}
    inputs = [v for v in model.graph.input if v.name not in init]
    data = folder / "test_data_set_0"
    files = folder / "manifest.json"
    if files.is_file():
        case = json.loads(files.read_text())["cases"][0]
        return {f["name"]: np.load(folder / case["shape"] / "in" / f["file"]) for f in case["inputs"]}
    out, dims, rng = {}, {}, np.random.default_rng(0)
    for i, v in enumerate(inputs):
        if data.is_dir():
            kind = v.type.WhichOneof("value")
            proto = {"tensor_type": onnx.TensorProto, "sequence_type": onnx.SequenceProto, "optional_type": onnx.OptionalProto}[kind]()
            proto.ParseFromString((data / f"input_{i}.pb").read_bytes())
            read = {"tensor_type": onnx.numpy_helper.to_array, "sequence_type": onnx.numpy_helper.to_list, "optional_type": onnx.numpy_helper.to_optional}[kind]
            out[v.name] = read(proto)
            continue
        t = v.type.tensor_type
        shape = [d.dim_value if d.HasField("dim_value") else dims.setdefault(d.dim_param, 4 if len(dims) else 2) for d in t.shape.dim]
        dtype = NP[t.elem_type]
        out[v.name] = rng.random(shape).astype(dtype) if np.issubdtype(dtype, np.floating) else rng.integers(0, 2, shape).astype(dtype)
    return out


def same(a, b):
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if a is None or b is None:
        return a is b
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind in "fc" and a.size:
        scale = np.nanmax(np.abs(np.where(np.isfinite(a), a, 0)).astype(np.float64)) + 1e-6
        eps = {2: 2e-3, 4: 1e-5, 8: 1e-9}.get(a.dtype.itemsize, 1e-5)
        return np.allclose(a.astype(np.float64), b.astype(np.float64), rtol=0, atol=eps * scale, equal_nan=True)
    if a.dtype in (np.uint8, np.int8) and a.size:  # sums in another order may round to the neighbour
        return np.abs(a.astype(int) - b.astype(int)).max() <= 1
    return np.array_equal(a, b)


def judge(original, exported, inputs):
    model = onnx.load(original, load_external_data=False)
    result = onnx.load(exported, load_external_data=False)
    opset = lambda m: max([o.version for o in m.opset_import if o.domain in ("", "ai.onnx")] or [99])
    try:
        onnx.checker.check_model(exported)
    except Exception as e:
        return "fail", f"checker: {str(e)[:300]}"
    if opset(result) > max(opset(model), 7):
        print("raised", original, f"opset {opset(model)} -> {opset(result)}")
    try:
        s = session(original)
        x = feeds(model, pathlib.Path(inputs))
        want = s.run(None, x)
    except Exception as e:
        return "skip", str(e)[:100]
    try:
        s = session(exported)
        got = s.run(None, x)
    except Exception as e:
        return "fail", f"run: {str(e)[:300]}"
    for o, a, b in zip(s.get_outputs(), want, got):
        if not same(a, b):
            return "fail", f"output {o.name} differs"
    return "ok", ""


for line in sys.stdin:
    a, b, inputs = line.split()
    verdict, why = judge(a, b, inputs)
    print(verdict, a, " ".join(why.split()), flush=True)
