"""Writes one model for each operator of com.microsoft that hone knows into the folder given: NAME/model.onnx with
random inputs beside it, as ONNX keeps its own tests."""
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

root = pathlib.Path(sys.argv[1])
rng = np.random.default_rng(1)


def f(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def u8(*shape):
    return rng.integers(0, 256, shape).astype(np.uint8)


def i8(*shape):
    return rng.integers(-128, 128, shape).astype(np.int8)


def s(v):
    return np.float32(v)


def write(name, op, inputs, outputs=1, out_types=None, const=(), **attrs):
    """const lists the inputs that are initializers; None is an absent input."""
    names = ["" if x is None else f"in{i}" for i, x in enumerate(inputs)]
    outs = [f"out{i}" if (out_types is None or out_types[i] is not None) else "" for i in range(outputs)]
    node = helper.make_node(op, names, outs, name=name, domain="com.microsoft", **attrs)
    values = [(n, np.asarray(x)) for n, x in zip(names, inputs) if n]
    inits = [numpy_helper.from_array(x, n) for i, (n, x) in enumerate(values) if int(n[2:]) in const]
    feeds = [(n, x) for n, x in values if int(n[2:]) not in const]
    types = out_types or [T.FLOAT] * outputs
    graph = helper.make_graph(
        [node], "g",
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape) for n, x in feeds],
        [helper.make_tensor_value_info(n, t, None) for n, t in zip(outs, types) if n], inits)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=8)
    data = root / name / "test_data_set_0"
    data.mkdir(parents=True)
    onnx.save(model, root / name / "model.onnx")
    for i, (n, x) in enumerate(feeds):
        (data / f"input_{i}.pb").write_bytes(numpy_helper.from_array(x, n).SerializeToString())


write("gelu", "Gelu", [f(2, 8)])
write("biasgelu", "BiasGelu", [f(2, 8), f(8)])
write("fastgelu", "FastGelu", [f(2, 8), f(8)])
write("fastgelu_plain", "FastGelu", [f(2, 8)])
write("quickgelu", "QuickGelu", [f(2, 8)], alpha=1.5)
for act, params in [("Relu", []), ("LeakyRelu", [0.3]), ("Clip", [-0.5, 0.5]), ("HardSigmoid", [0.3, 0.4]), ("Tanh", [])]:
    write(f"fusedconv_{act.lower()}", "FusedConv", [f(1, 3, 8, 8), f(4, 3, 3, 3), f(4)], activation=act, pads=[1, 1, 1, 1],
          **({"activation_params": params} if params else {}))
write("fusedconv_sum", "FusedConv", [f(1, 3, 8, 8), f(4, 3, 3, 3), f(4), f(1, 4, 6, 6)], activation="Relu")
write("fusedgemm", "FusedGemm", [f(3, 4), f(5, 4), f(5)], transB=1, activation="LeakyRelu", activation_alpha=0.2)
write("fusedmatmul", "FusedMatMul", [f(2, 4, 3), f(2, 4, 5)], transA=1, alpha=0.5)
write("fusedmatmul_b", "FusedMatMul", [f(2, 3, 4), f(2, 5, 4)], transB=1)
write("skipln", "SkipLayerNormalization", [f(2, 3, 8), f(2, 3, 8), f(8), f(8), f(8)], outputs=4, out_types=[T.FLOAT, None, None, T.FLOAT], epsilon=1e-5)
write("skipln_nobeta", "SkipLayerNormalization", [f(2, 3, 8), f(2, 3, 8), f(8)])
write("skiprms", "SkipSimplifiedLayerNormalization", [f(2, 3, 8), f(2, 3, 8), f(8), f(8)], outputs=4, out_types=[T.FLOAT, None, None, T.FLOAT])
ids = rng.integers(0, 9, (2, 5)).astype(np.int32)
seg = rng.integers(0, 2, (2, 5)).astype(np.int32)
mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32)
write("embedln", "EmbedLayerNormalization", [ids, seg, f(9, 8), f(7, 8), f(2, 8), f(8), f(8), mask], outputs=2, out_types=[T.FLOAT, T.INT32])
write("embedln_nomask", "EmbedLayerNormalization", [ids, None, f(9, 8), f(7, 8), None, f(8), f(8)], outputs=2, out_types=[T.FLOAT, T.INT32])

x, w, b = f(2, 5, 8), f(8, 24), f(24)
write("attention", "Attention", [x, w, b], num_heads=2)
write("attention_mask2d", "Attention", [x, w, b, mask], num_heads=2)
write("attention_lengths", "Attention", [x, w, b, np.array([3, 5], np.int32)], num_heads=2)
write("attention_ranges", "Attention", [x, w, b, np.array([4, 5, 1, 0], np.int32)], num_heads=2)
write("attention_mask3d", "Attention", [x, w, b, np.tril(np.ones((2, 5, 5), np.int32))], num_heads=2)
write("attention_causal", "Attention", [x, w, b], num_heads=2, unidirectional=1)
write("attention_past", "Attention", [x, w, b, None, f(2, 2, 2, 3, 4)], outputs=2, num_heads=2, unidirectional=1)
write("attention_bias", "Attention", [x, w, b, None, None, f(2, 2, 5, 5)], num_heads=2)
write("attention_sizes", "Attention", [x, f(8, 20), f(20)], num_heads=2, qkv_hidden_sizes=[8, 8, 4])
q, k, v = f(2, 5, 8), f(2, 6, 8), f(2, 6, 8)
write("mha", "MultiHeadAttention", [q, k, v], num_heads=2)
write("mha_bias", "MultiHeadAttention", [q, k, v, f(24)], num_heads=2)
write("mha_mask", "MultiHeadAttention", [q, k, v, None, np.array([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]], np.int32)], num_heads=2)
write("mha_attention_bias", "MultiHeadAttention", [q, k, v, None, None, f(2, 2, 5, 6)], num_heads=2)
write("mha_causal_scale", "MultiHeadAttention", [q, f(2, 5, 8), f(2, 5, 8)], num_heads=2, unidirectional=1, scale=0.3)
write("mha_past", "MultiHeadAttention", [q, f(2, 5, 8), f(2, 5, 8), None, None, None, f(2, 2, 3, 4), f(2, 2, 3, 4)], outputs=3, num_heads=2)
write("mha_heads", "MultiHeadAttention", [q, f(2, 2, 6, 4), f(2, 2, 6, 4)], num_heads=2)
write("qattention", "QAttention", [u8(2, 5, 8), i8(8, 24), f(24), s(0.02), s(0.01), None, np.uint8(128), np.int8(0)], num_heads=2, const=(1,))

A, B = u8(2, 3, 4), u8(2, 3, 4)
qp = [s(0.02), np.uint8(120)]
write("qadd", "QLinearAdd", [A, *qp, B, s(0.03), np.uint8(10), s(0.05), np.uint8(100)], out_types=[T.UINT8], const=range(1, 8))
write("qmul", "QLinearMul", [A, *qp, B, s(0.03), np.uint8(10), s(0.05), np.uint8(100)], out_types=[T.UINT8])
write("qadd_i8", "QLinearAdd", [i8(5), s(0.02), np.int8(3), i8(5), s(0.03), np.int8(-10), s(0.05), np.int8(0)], out_types=[T.INT8])
write("qconcat", "QLinearConcat", [s(0.05), np.uint8(100), A, *qp, B, s(0.03), np.uint8(10)], out_types=[T.UINT8], axis=1)
write("qwhere", "QLinearWhere", [A > B, A, *qp, B, s(0.03), np.uint8(10), s(0.05), np.uint8(100)], out_types=[T.UINT8], const=range(2, 9))
write("qgap", "QLinearGlobalAveragePool", [u8(1, 3, 5, 5), *qp, s(0.01), np.uint8(128)], out_types=[T.UINT8], channels_last=0)
write("qgap_last", "QLinearGlobalAveragePool", [u8(1, 5, 5, 3), *qp, s(0.01), np.uint8(128)], out_types=[T.UINT8], channels_last=1)
write("qavgpool", "QLinearAveragePool", [u8(1, 3, 6, 6), *qp, s(0.02), np.uint8(128)], out_types=[T.UINT8], kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
write("qleaky", "QLinearLeakyRelu", [A, *qp, s(0.02), np.uint8(60)], out_types=[T.UINT8], alpha=0.2)
write("qsigmoid", "QLinearSigmoid", [A, *qp, s(1 / 256), np.uint8(0)], out_types=[T.UINT8])
write("qgemm", "QGemm", [u8(3, 4), s(0.02), np.uint8(128), i8(5, 4), s(0.01), np.int8(0), rng.integers(-99, 99, 5).astype(np.int32), s(0.04), np.uint8(128)],
      out_types=[T.UINT8], transB=1, const=(3,))
write("qgemm_float", "QGemm", [u8(3, 4), s(0.02), np.uint8(128), i8(4, 5), np.abs(f(5)), np.zeros(5, np.int8)], const=(3,))
write("dynmatmul", "DynamicQuantizeMatMul", [f(3, 4), i8(4, 5), s(0.02), np.int8(0), f(5)], const=(1,))
write("matmulinttofloat", "MatMulIntegerToFloat", [u8(3, 4), i8(4, 5), s(0.02), s(0.03), np.uint8(128), np.int8(0), f(5)], const=(1,))
write("nhwcmaxpool", "NhwcMaxPool", [u8(1, 6, 6, 3)], out_types=[T.UINT8], kernel_shape=[2, 2], strides=[2, 2])
write("quantize", "QuantizeLinear", [f(3, 4), s(0.02), np.uint8(128)], out_types=[T.UINT8])
write("dequantize", "DequantizeLinear", [u8(3, 4), s(0.02), np.uint8(128)])
write("matmul4", "MatMulNBits", [f(3, 64), u8(5, 2, 16), np.abs(f(10))], const=(1, 2), K=64, N=5, bits=4, block_size=32)
write("matmul4_zeros", "MatMulNBits", [f(3, 80), u8(5, 3, 16), np.abs(f(15)), u8(10)], const=(1, 2, 3), K=80, N=5, bits=4, block_size=32)
write("matmul8", "MatMulNBits", [f(3, 64), u8(5, 2, 32), np.abs(f(10))], const=(1, 2), K=64, N=5, bits=8, block_size=32)
