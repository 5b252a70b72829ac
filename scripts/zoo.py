"""Well-known architectures with seeded random weights, laid out as exporters lay them out.

BatchNormalization is kept, BERT's LayerNormalization and every GELU are decomposed, batch and sequence are symbolic:
an optimizer has real work.  The same name gives the same bytes on every machine.
"""
import math
import numpy as np
from graph import Graph, I64, i64


def resnet(name, blocks, bottleneck):
    """He et al. 2015, with the stride on the 3x3 convolution of a bottleneck."""
    g = Graph(name + ".onnx", seed=1)
    x = g.input("input", ["N", 3, 224, 224])
    x = g.Relu(g.batchnorm(g.conv(x, 3, 64, 7, stride=2), 64))
    x = g.MaxPool(x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    width = 64
    for stage, count in enumerate(blocks):
        c = 64 << stage
        wide = c * 4 if bottleneck else c
        layers = [(c, 1), (c, 3), (wide, 1)] if bottleneck else [(c, 3), (c, 3)]
        for block in range(count):
            stride = 2 if stage and not block else 1
            y, cin = x, width
            for i, (cout, kernel) in enumerate(layers):
                last = i == len(layers) - 1
                strided = i == (1 if bottleneck else 0)
                y = g.batchnorm(g.conv(y, cin, cout, kernel, stride if strided else 1), cout, .3 if last else 1.0)
                y, cin = y if last else g.Relu(y), cout
            if stride != 1 or width != wide:
                x = g.batchnorm(g.conv(x, width, wide, 1, stride, gain=1.0), wide)
            x, width = g.Relu(g.Add(y, x)), wide
    g.classifier(g.Flatten(g.GlobalAveragePool(x), axis=1), width, 1000, "logits")
    g.output("logits", ["N", 1000])
    return g


def mobilenet_v2():
    """Sandler et al. 2018, width 1.0."""
    g = Graph("mobilenet_v2", seed=2)
    x = g.input("input", ["N", 3, 224, 224])
    zero, six = g.scalar(0), g.scalar(6)
    relu6 = lambda t: g.Clip(t, zero, six)
    layer = lambda t, cin, cout, kernel, stride=1, group=1: relu6(g.batchnorm(g.conv(t, cin, cout, kernel, stride, group=group), cout))
    x, width = layer(x, 3, 32, 3, 2), 32
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for expand, c, count, first in stages:
        for block in range(count):
            stride, y, hidden = 1 if block else first, x, width * expand
            if expand > 1:
                y = layer(y, width, hidden, 1)
            y = layer(y, hidden, hidden, 3, stride, group=hidden)
            y = g.batchnorm(g.conv(y, hidden, c, 1, gain=1.0), c, .5)
            x, width = g.Add(x, y) if stride == 1 and width == c else y, c
    x = layer(x, width, 1280, 1)
    g.classifier(g.Flatten(g.GlobalAveragePool(x), axis=1), 1280, 1000, "logits")
    g.output("logits", ["N", 1000])
    return g


def bert(name, layers, width, heads, hidden, vocabulary=30522, positions=512):
    """Devlin et al. 2018: embeddings and encoder, LayerNormalization decomposed."""
    g = Graph(name + ".onnx", seed=3)
    ids, mask, segments = (g.input(n, ["batch", "sequence"], I64) for n in ("input_ids", "attention_mask", "token_type_ids"))
    norm = lambda t: g.layernorm(t, width, 1e-12, decomposed=True)
    visible = g.Cast(g.Unsqueeze(mask, g.const(i64(1, 2))), to=1)
    bias = g.Mul(g.Sub(g.scalar(1), visible), g.scalar(-10000))
    length = g.Gather(g.Shape(ids), g.const(np.array(1, np.int64)), axis=0)
    place = g.Slice(g.const(np.arange(positions, dtype=np.int64)), g.const(i64(0)), g.Unsqueeze(length, g.const(i64(0))), g.const(i64(0)))
    x = g.Add(g.Gather(g.noise((vocabulary, width), .5), ids), g.Gather(g.noise((2, width), .5), segments))
    x = norm(g.Add(x, g.Gather(g.noise((positions, width), .5), place)))
    for _ in range(layers):
        split = g.const(i64(0, 0, heads, width // heads))
        # each projection is reshaped before the next one is made
        q, k, v = (g.Reshape(g.linear(x, width, width), split) for _ in range(3))
        y = g.linear(attend(g, q, k, v, width, heads, bias), width, width, .5)
        x = norm(g.Add(y, x))
        y = g.linear(g.gelu(g.linear(x, width, hidden)), hidden, width)
        x = norm(g.Add(y, x))
    g.Identity(x, out="last_hidden_state")
    g.output("last_hidden_state", ["batch", "sequence", width])
    return g


def attend(g, q, k, v, width, heads, mask=None):
    """Scaled dot-product attention over q, k, v [B,T,heads,width/heads]; mask is added to the scores."""
    q = g.Transpose(q, perm=[0, 2, 1, 3])
    v = g.Transpose(v, perm=[0, 2, 1, 3])
    k = g.Transpose(k, perm=[0, 2, 3, 1])
    scores = g.Div(g.MatMul(q, k), g.scalar(math.sqrt(width // heads)))
    if mask:
        scores = g.Add(scores, mask)
    mixed = g.Transpose(g.MatMul(g.Softmax(scores, axis=-1), v), perm=[0, 2, 1, 3])
    return g.Reshape(mixed, g.const(i64(0, 0, width)))


def gpt2(layers=12, width=768, heads=12, vocabulary=50257, positions=1024):
    """Radford et al. 2019, a whole prompt at once (no cache), the output tied to the embedding."""
    g = Graph("gpt2_prefill", seed=4)
    ids = g.input("input_ids", ["batch", "sequence"], I64)
    embedding = g.noise((vocabulary, width), .02)
    length = g.Gather(g.Shape(ids), g.const(np.array(1, np.int64)), axis=0)
    length, zero = g.Unsqueeze(length, g.const(i64(0))), g.const(i64(0))
    place = g.Slice(g.noise((positions, width), .01), zero, length, zero)
    causal = np.where(np.tril(np.ones((positions, positions), bool)), 0, -1e9).astype(np.float32)[None, None]
    mask = g.Slice(g.const(causal), g.const(i64(0, 0)), g.Concat(length, length, axis=0), g.const(i64(2, 3)))
    x = g.Add(g.Gather(embedding, ids), place)
    for _ in range(layers):
        y = g.layernorm(x, width)
        split = g.const(i64(0, 0, heads, width // heads))
        parts = [g.fresh(n) for n in "qkv"]
        g.node("Split", [g.linear(y, width, 3 * width)], parts, axis=-1)
        q, k, v = (g.Reshape(t, split) for t in parts)
        x = g.Add(x, g.linear(attend(g, q, k, v, width, heads, mask), width, width, .5))
        y = g.linear(g.layernorm(x, width), width, 4 * width)
        cubic = g.Mul(g.Pow(y, g.scalar(3)), g.scalar(.044715))
        tanh = g.Tanh(g.Mul(g.Add(y, cubic), g.scalar(math.sqrt(2 / math.pi))))
        y = g.Mul(g.Mul(y, g.scalar(.5)), g.Add(tanh, g.scalar(1)))
        x = g.Add(x, g.linear(y, 4 * width, width, .5))
    g.MatMul(g.layernorm(x, width), g.Transpose(embedding, perm=[1, 0]), out="logits")
    g.output("logits", ["batch", "sequence", vocabulary])
    return g


def vit_b16(layers=12, width=768, heads=12):
    """Dosovitskiy et al. 2020: 196 patches of 16x16 and a class token."""
    g = Graph("vit_b16", seed=5)
    x = g.input("pixel_values", ["N", 3, 224, 224])
    x = g.conv(x, 3, width, 16, 16, pad=0, bias=True, gain=1.0)
    x = g.Transpose(g.Reshape(x, g.const(i64(0, width, 196))), perm=[0, 2, 1])
    batch = g.Gather(g.Shape(x), g.const(i64(0)), axis=0)
    shape = g.Concat(batch, g.const(i64(1, width)), axis=0)
    token = g.Expand(g.noise((1, 1, width), .02), shape)
    x = g.Add(g.Concat(token, x, axis=1), g.noise((1, 197, width), .02))
    for _ in range(layers):
        y = g.layernorm(x, width)
        split = g.const(i64(0, 0, heads, width // heads))
        q, k, v = (g.Reshape(g.linear(y, width, width), split) for _ in range(3))
        x = g.Add(x, g.linear(attend(g, q, k, v, width, heads), width, width, .5))
        y = g.gelu(g.linear(g.layernorm(x, width), width, 4 * width))
        x = g.Add(x, g.linear(y, 4 * width, width, .5))
    x = g.Gather(g.layernorm(x, width), g.const(np.array(0, np.int64)), axis=1)
    g.classifier(x, width, 1000, "logits")
    g.output("logits", ["N", 1000])
    return g


def unet_silu(base=32, size=128):
    """A U-Net (Ronneberger et al. 2015) with batch norm and SiLU, four levels."""
    g = Graph("unet_silu", seed=6)
    x = g.input("sample", ["N", 3, size, size])
    layer = lambda t, cin, cout: g.silu(g.batchnorm(g.conv(t, cin, cout, 3), cout))
    block = lambda t, cin, cout: layer(layer(t, cin, cout), cout, cout)
    skips, width = [], 3
    for c in [base << i for i in range(4)]:
        x, width = block(x, width, c), c
        skips.append((x, c))
        x = g.MaxPool(x, kernel_shape=[2, 2], strides=[2, 2])
    x, width = block(x, width, width * 2), width * 2
    for skip, c in reversed(skips):
        up = g.random((width, c, 2, 2), width * 4, 2.0)
        x = g.ConvTranspose(x, up, g.const(np.zeros(c, np.float32)), kernel_shape=[2, 2], strides=[2, 2])
        x, width = block(g.Concat(x, skip, axis=1), 2 * c, c), c
    g.Sigmoid(g.conv(x, width, 1, 1, bias=True), out="mask")
    g.output("mask", ["N", 1, size, size])
    return g


ARCHITECTURES = {
    "resnet18": lambda: resnet("resnet18", [2, 2, 2, 2], bottleneck=False),
    "resnet50": lambda: resnet("resnet50", [3, 4, 6, 3], bottleneck=True),
    "mobilenet_v2": mobilenet_v2,
    "minilm_l6": lambda: bert("minilm_l6", 6, 384, 12, 1536),
    "bert_base": lambda: bert("bert_base", 12, 768, 12, 3072),
    "gpt2_prefill": gpt2,
    "vit_b16": vit_b16,
    "unet_silu": unet_silu,
}
