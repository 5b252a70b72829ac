"""A writer of ONNX graphs: each call appends one node and returns the name of what it computes.

Names are counted and random weights drawn in the order of the calls, so that a builder written with this module gives
the same bytes on every machine.
"""
import math
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

F32, I64 = TensorProto.FLOAT, TensorProto.INT64


def i64(*values):
    return np.array(values, np.int64)


class Graph:
    def __init__(self, name, seed=0, opset=17):
        self.name, self.opset = name, opset
        self.rng = np.random.default_rng(seed)
        self.nodes, self.weights, self.inputs, self.outputs = [], [], [], []
        self.counter = 0

    # names, inputs, outputs, constants

    def fresh(self, prefix):
        self.counter += 1
        return f"{prefix}_{self.counter}"

    def input(self, name, shape, dtype=F32):
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, name, shape, dtype=F32):
        self.outputs.append(helper.make_tensor_value_info(name, dtype, shape))

    def const(self, array, name=None):
        name = name or self.fresh("c")
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def scalar(self, x):
        return self.const(np.float32(x))

    def random(self, shape, fan_in, gain):
        """A weight with the variance gain/fan_in, as Kaiming (gain 2) and LeCun (gain 1) initialise."""
        values = self.rng.standard_normal(shape, dtype=np.float32) * np.float32(math.sqrt(gain / fan_in))
        return self.const(values, self.fresh("w"))

    def noise(self, shape, scale):
        return self.const(scale * self.rng.standard_normal(shape, dtype=np.float32))

    # nodes

    def node(self, op, inputs, outputs, **attrs):
        self.nodes.append(helper.make_node(op, inputs, outputs, name=f"{op}_{len(self.nodes)}", **attrs))

    def __getattr__(self, op):
        """Any operator by its name: g.Relu(x), g.Concat(a, b, axis=1), g.Gemm(x, w, out="logits")."""
        if not op[0].isupper():
            raise AttributeError(op)

        def append(*inputs, out=None, **attrs):
            out = out or self.fresh(op.lower())
            self.node(op, list(inputs), [out], **attrs)
            return out
        return append

    # layers

    def conv(self, x, cin, cout, kernel, stride=1, pad=None, group=1, bias=False, gain=2.0):
        pad = kernel // 2 if pad is None else pad
        inputs = [x, self.random((cout, cin // group, kernel, kernel), cin // group * kernel * kernel, gain)]
        if bias:
            inputs.append(self.const(np.zeros(cout, np.float32)))
        return self.Conv(*inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4, group=group, dilations=[1, 1])

    def batchnorm(self, x, channels, scale=1.0):
        near_one = lambda: self.rng.uniform(.8, 1.2, channels)
        near_zero = lambda: .1 * self.rng.standard_normal(channels)
        statistics = [self.const(v.astype(np.float32)) for v in (scale * near_one(), near_zero(), near_zero(), near_one())]
        return self.BatchNormalization(x, *statistics, epsilon=1e-5)

    def classifier(self, x, cin, classes, out):
        return self.Gemm(x, self.random((classes, cin), cin, 1.0), self.const(np.zeros(classes, np.float32)), transB=1, out=out)

    def linear(self, x, cin, cout, gain=1.0):
        y = self.MatMul(x, self.random((cin, cout), cin, gain))
        bias = self.const((.02 * self.rng.standard_normal(cout)).astype(np.float32))
        return self.Add(bias, y)

    def layernorm(self, x, width, epsilon=1e-5, decomposed=False):
        gamma = self.const(self.rng.uniform(.8, 1.2, width).astype(np.float32))
        beta = self.const((.1 * self.rng.standard_normal(width)).astype(np.float32))
        if not decomposed:
            return self.LayerNormalization(x, gamma, beta, axis=-1, epsilon=epsilon)
        centred = self.Sub(x, self.ReduceMean(x, axes=[-1]))
        variance = self.ReduceMean(self.Pow(centred, self.scalar(2)), axes=[-1])
        deviation = self.Sqrt(self.Add(variance, self.scalar(epsilon)))
        return self.Add(self.Mul(self.Div(centred, deviation), gamma), beta)

    def gelu(self, x):
        erf = self.Erf(self.Div(x, self.scalar(math.sqrt(2))))
        y = self.Mul(x, self.Add(erf, self.scalar(1)))
        return self.Mul(y, self.scalar(.5))

    def silu(self, x):
        return self.Mul(x, self.Sigmoid(x))

    # the file

    def model(self):
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)

    def save(self, path):
        m = self.model()
        onnx.checker.check_model(m)
        onnx.save(m, str(path))
