#!/usr/bin/env python3
"""Trains a small CNN on scikit-learn's handwritten digits with numpy alone, and writes it as ONNX.

usage: train_digits.py [--out DIR]            default: testdata/digits; one model, tested on a held-out fifth
       train_digits.py --folds 5 [--out DIR]  default: ${HONE_CACHE}/digits; one model a fold, DIR/fold_K

The network, on 8x8 grey images scaled to [0, 1]:
    conv 1->16, conv 16->32, 2x2 max pool, x + conv 32->32, conv 32->64, global average pool, linear 64->10
where every convolution is 3x3 with batch norm and ReLU.  Besides digits.onnx each folder gets the held-out images and
labels, and 128 training images to calibrate with.  Seeded: the same machine trains the same model.
"""
import argparse, json
from pathlib import Path
import numpy as np

from common import CACHE
from graph import Graph

ROOT = Path(__file__).resolve().parent.parent


class Param:
    def __init__(self, value):
        self.value, self.grad = value.astype(np.float32), None
        self.m, self.v = np.zeros_like(self.value), np.zeros_like(self.value)


class Conv:
    """3x3, stride 1, padding 1, no bias; activations are [N, C, H, W]."""
    def __init__(self, rng, cin, cout):
        self.w = Param(rng.standard_normal((cout, cin, 3, 3)) * np.sqrt(2 / (9 * cin)))
        self.params = [self.w]

    @staticmethod
    def patches(x):
        """[N*H*W, C*9]: the 3x3 neighbourhood of every pixel."""
        x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        view = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
        return view.transpose(0, 2, 3, 1, 4, 5).reshape(-1, x.shape[1] * 9)

    def forward(self, x, train):
        n, _, h, w = x.shape
        self.cols = self.patches(x)
        return (self.cols @ self.w.value.reshape(len(self.w.value), -1).T).reshape(n, h, w, -1).transpose(0, 3, 1, 2)

    def backward(self, dy):
        n, c, h, w = dy.shape
        self.w.grad = (dy.transpose(1, 0, 2, 3).reshape(c, -1) @ self.cols).reshape(self.w.value.shape)
        turned = self.w.value[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
        return (self.patches(dy) @ turned.reshape(len(turned), -1).T).reshape(n, h, w, -1).transpose(0, 3, 1, 2)


class BatchNorm:
    epsilon = 1e-5

    def __init__(self, channels):
        self.gamma, self.beta = Param(np.ones(channels)), Param(np.zeros(channels))
        self.mean, self.var = np.zeros(channels, np.float32), np.ones(channels, np.float32)
        self.params = [self.gamma, self.beta]

    def forward(self, x, train):
        mean, var = self.mean, self.var
        if train:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
            self.mean += .1 * (mean - self.mean)
            self.var += .1 * (var - self.var)
        self.scale = 1 / np.sqrt(var + self.epsilon)
        self.x = (x - mean[:, None, None]) * self.scale[:, None, None]
        return self.x * self.gamma.value[:, None, None] + self.beta.value[:, None, None]

    def backward(self, dy):
        self.gamma.grad, self.beta.grad = (dy * self.x).sum((0, 2, 3)), dy.sum((0, 2, 3))
        count = dy.size / dy.shape[1]
        centred = dy - (self.beta.grad[:, None, None] + self.x * self.gamma.grad[:, None, None]) / count
        return centred * (self.gamma.value * self.scale)[:, None, None]


class Unit:
    """Convolution, batch norm, ReLU; with residual, the input is added before the ReLU."""
    def __init__(self, rng, cin, cout, residual=False):
        self.conv, self.bn, self.residual = Conv(rng, cin, cout), BatchNorm(cout), residual
        self.params = self.conv.params + self.bn.params

    def forward(self, x, train):
        y = self.bn.forward(self.conv.forward(x, train), train)
        y = y + x if self.residual else y
        self.on = y > 0
        return y * self.on

    def backward(self, dy):
        dy = dy * self.on
        dx = self.conv.backward(self.bn.backward(dy))
        return dx + dy if self.residual else dx


class MaxPool:
    """2x2, stride 2."""
    params = []

    def forward(self, x, train):
        n, c, h, w = x.shape
        blocks = x.reshape(n, c, h // 2, 2, w // 2, 2)
        y = blocks.max((3, 5), keepdims=True)
        self.won = blocks == y
        return y[:, :, :, 0, :, 0]

    def backward(self, dy):
        d = self.won * (dy[:, :, :, None, :, None] / self.won.sum((3, 5), keepdims=True))
        return d.reshape(d.shape[0], d.shape[1], d.shape[2] * 2, -1)


class Head:
    """Global average pool and a linear layer."""
    def __init__(self, rng, cin, classes):
        self.w, self.b = Param(rng.standard_normal((classes, cin)) / np.sqrt(cin)), Param(np.zeros(classes))
        self.params = [self.w, self.b]

    def forward(self, x, train):
        self.shape, self.pooled = x.shape, x.mean((2, 3))
        return self.pooled @ self.w.value.T + self.b.value

    def backward(self, dy):
        self.w.grad, self.b.grad = dy.T @ self.pooled, dy.sum(0)
        each = (dy @ self.w.value) / (self.shape[2] * self.shape[3])
        return np.broadcast_to(each[:, :, None, None], self.shape)


def network(seed):
    rng = np.random.default_rng(seed)
    return [Unit(rng, 1, 16), Unit(rng, 16, 32), MaxPool(), Unit(rng, 32, 32, residual=True), Unit(rng, 32, 64), Head(rng, 64, 10)]


def forward(net, x, train=False):
    for layer in net:
        x = layer.forward(x, train)
    return x


def shifted(rng, images):
    """Each image moved by at most one pixel each way."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    moves = rng.integers(0, 3, (len(images), 2))
    return np.stack([p[:, i:i + 8, j:j + 8] for p, (i, j) in zip(padded, moves)])


def train(images, labels, seed=0, epochs=60, batch=64, rate=3e-3, decay=1e-2, smoothing=.05):
    """AdamW (Loshchilov and Hutter 2017) with a cosine schedule and label smoothing."""
    net, rng = network(seed), np.random.default_rng(seed + 1)
    params = [p for layer in net for p in layer.params]
    steps, step = epochs * (len(images) // batch), 0
    for _ in range(epochs):
        order = rng.permutation(len(images))
        for start in range(0, len(images) - batch + 1, batch):
            pick = order[start:start + batch]
            logits = forward(net, shifted(rng, images[pick]), train=True)
            p = np.exp(logits - logits.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            d = (p - (1 - smoothing) * np.eye(10, dtype=np.float32)[labels[pick]] - smoothing / 10) / batch
            for layer in reversed(net):
                d = layer.backward(d)
            step += 1
            lr = rate * .5 * (1 + np.cos(np.pi * step / steps))
            for q in params:
                q.m += .1 * (q.grad - q.m)
                q.v += .001 * (q.grad ** 2 - q.v)
                q.value -= lr * (q.m / (1 - .9 ** step) / (np.sqrt(q.v / (1 - .999 ** step)) + 1e-8) + decay * q.value * (q.value.ndim > 1))
    return net


def to_onnx(net):
    g = Graph("digits")
    x = g.input("image", ["N", 1, 8, 8])
    for layer in net:
        if isinstance(layer, MaxPool):
            x = g.MaxPool(x, kernel_shape=[2, 2], strides=[2, 2])
        elif isinstance(layer, Head):
            x = g.Flatten(g.GlobalAveragePool(x), axis=1)
            g.Gemm(x, g.const(layer.w.value), g.const(layer.b.value), transB=1, out="logits")
        else:
            bn = layer.bn
            y = g.Conv(x, g.const(layer.conv.w.value), kernel_shape=[3, 3], pads=[1] * 4)
            y = g.BatchNormalization(y, *map(g.const, (bn.gamma.value, bn.beta.value, bn.mean, bn.var)), epsilon=bn.epsilon)
            x = g.Relu(g.Add(y, x) if layer.residual else y)
    g.output("logits", ["N", 10])
    return g


def write(folder, net, train_images, images, labels):
    """Writes the folder and returns the accuracy of the file, as onnxruntime runs it."""
    import onnxruntime
    folder.mkdir(parents=True, exist_ok=True)
    to_onnx(net).save(folder / "digits.onnx")
    np.save(folder / "test_images.npy", images)
    np.save(folder / "test_labels.npy", labels)
    np.save(folder / "calibration_images.npy", train_images[:128])
    session = onnxruntime.InferenceSession(str(folder / "digits.onnx"), providers=["CPUExecutionProvider"])
    right = int((session.run(None, {"image": images})[0].argmax(1) == labels).sum())
    report = {"right": right, "of": len(labels), "accuracy": round(right / len(labels), 4)}
    (folder / "accuracy.json").write_text(json.dumps(report) + "\n")
    print(f"{folder}: {right} of {len(labels)} right, {report['accuracy']:.2%}", flush=True)
    return report["accuracy"]


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--folds", type=int, default=0)
    ap.add_argument("--epochs", type=int, default=60)
    ap.add_argument("--out", type=Path)
    args = ap.parse_args()
    from sklearn.datasets import load_digits
    digits = load_digits()
    images, labels = (digits.images[:, None] / 16).astype(np.float32), digits.target.astype(np.int64)
    order = np.random.default_rng(0).permutation(len(images))
    parts = np.array_split(order, args.folds or 5)
    out = args.out or (CACHE / "digits" if args.folds else ROOT / "testdata" / "digits")
    scores = []
    for k in range(args.folds or 1):
        rest = np.concatenate([p for i, p in enumerate(parts) if i != k])
        net = train(images[rest], labels[rest], seed=k, epochs=args.epochs)
        folder = out / f"fold_{k}" if args.folds else out
        scores.append(write(folder, net, images[rest], images[parts[k]], labels[parts[k]]))
    if args.folds:
        print(f"mean accuracy over {args.folds} folds: {np.mean(scores):.2%}")
