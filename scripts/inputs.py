"""Seeded inputs for a model, the same for the oracle, the benchmark and every engine compared."""
import numpy as np


def safe(name):
    """A tensor's name as a file name."""
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)


def seeded(graph_inputs, shapes, seed=7, padded=False):
    """Arrays by name for the inputs [(name, numpy dtype, dims)].

    shapes maps a name to a shape, or to "dtype:value" for a fixed scalar; where it is silent, the model's own dims hold
    and unknown ones are 1.  Floats are standard normal, integers below 16, masks one and segments zero.  With padded,
    the last row of a mask ends in a quarter of zeros.
    """
    rng, arrays = np.random.default_rng(seed), {}
    for name, dtype, dims in graph_inputs:
        shape = shapes.get(name, [d if isinstance(d, int) and d > 0 else 1 for d in dims])
        if isinstance(shape, str):
            kind, value = shape.split(":")
            arrays[name] = np.array(value, dtype=kind)
        elif dtype.kind == "f":
            arrays[name] = rng.standard_normal(shape).astype(dtype)
        elif "mask" in name or dtype == np.bool_:
            arrays[name] = np.ones(shape, dtype)
            if padded:
                arrays[name][-1, shape[-1] - shape[-1] // 4:] = 0
        elif "token_type" in name:
            arrays[name] = np.zeros(shape, dtype)
        else:
            arrays[name] = rng.integers(0, 16, shape).astype(dtype)
    return arrays


def graph_inputs(path):
    """The inputs of an ONNX file that are not initializers: [(name, numpy dtype, dims)]."""
    import onnx
    graph = onnx.load(str(path), load_external_data=False).graph
    weights = {w.name for w in graph.initializer}
    found = []
    for v in graph.input:
        if v.name not in weights:
            t = v.type.tensor_type
            found.append((v.name, onnx.helper.tensor_dtype_to_np_dtype(t.elem_type), [d.dim_param or d.dim_value for d in t.shape.dim]))
    return found
