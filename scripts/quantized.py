#!/usr/bin/env python3
"""Measures static INT8 beside onnxruntime's own tool: the SNR of the outputs to those of the float model.

usage: quantized.py [--hone COMMAND] [MODEL ...]       default: resnet50 mobilenet_v2

Both tools calibrate with the same 8 seeded batches (seeds 100 to 107) by the smallest and largest value, weights a channel each;
both results run in onnxruntime on 4 other batches (seeds 200 to 203).
"""
import argparse, subprocess, tempfile
from pathlib import Path
import numpy as np
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from common import CACHE, catalogue
from inputs import graph_inputs, safe, seeded


class Batches(CalibrationDataReader):
    def __init__(self, batches):
        self.left = iter(batches)

    def get_next(self):
        return next(self.left, None)


def answers(path, batches):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return [session.run(None, b) for b in batches]


def snr(want, got):
    """Of all outputs of all batches together, in dB."""
    signal = sum(np.square(w, dtype=np.float64).sum() for a in want for w in a)
    noise = sum(np.square(w - g, dtype=np.float64).sum() for a, b in zip(want, got) for w, g in zip(a, b))
    return 10 * np.log10(signal / noise)


def compare(name, hone, d):
    model = CACHE / "models" / f"{name}.onnx"
    ports, shapes = graph_inputs(model), catalogue()[name]["shapes"][0]
    calibration = [seeded(ports, shapes, seed=100 + i) for i in range(8)]
    others = [seeded(ports, shapes, seed=200 + i) for i in range(4)]
    folder = d / f"{name}_calibration"
    for i, b in enumerate(calibration):
        (folder / str(i)).mkdir(parents=True)
        for k, v in b.items():
            np.save(folder / str(i) / f"{safe(k)}.npy", v)
    ours, theirs, pre = d / f"{name}_hone.onnx", d / f"{name}_ort.onnx", d / f"{name}_pre.onnx"
    subprocess.run([*hone, "quantize", str(model), "-o", str(ours), "--mode", "static", "--calibration", str(folder)], check=True, stdout=subprocess.DEVNULL)
    quant_pre_process(str(model), str(pre), skip_symbolic_shape=True)
    quantize_static(str(pre), str(theirs), Batches(calibration), quant_format=QuantFormat.QDQ, per_channel=True,
                    weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8)
    want = answers(model, others)
    size = model.stat().st_size
    print(f"{name:16} hone {snr(want, answers(ours, others)):6.2f} dB, {ours.stat().st_size / size:.3f} x"
          f"   onnxruntime {snr(want, answers(theirs, others)):6.2f} dB, {theirs.stat().st_size / size:.3f} x", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--hone", default="go run ./cmd/hone", help="the command")
    p.add_argument("models", nargs="*", default=["resnet50", "mobilenet_v2"])
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as d:
        for name in a.models:
            compare(name, a.hone.split(), Path(d))


if __name__ == "__main__":
    main()
