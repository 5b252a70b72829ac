#!/usr/bin/env python3
"""One engine with one model, ready to be timed: the worker process of bench.py.

usage: bench_peer.py ENGINE MODEL.onnx INPUTS.npz THREADS

Writes one JSON line when the model has answered once; then, for each line "SECONDS" on its input, runs the model that
long (three times at least) and writes one JSON line with the milliseconds.
"""
import json, resource, statistics, sys, time
import numpy as np


def onnxruntime(model, inputs, threads):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, inputs)


def openvino(model, inputs, threads, precision="f32"):
    import openvino as ov
    core = ov.Core()
    network = core.read_model(model)
    network.reshape({name: list(a.shape) for name, a in inputs.items()})
    options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    request = core.compile_model(network, "CPU", options).create_infer_request()
    for name, a in inputs.items():
        request.set_tensor(name, ov.Tensor(a))
    return request.infer


ENGINES = {
    "onnxruntime": onnxruntime,
    "openvino": openvino,
    "openvino-bf16": lambda *args: openvino(*args, precision="bf16"),
}


def timed(run, seconds):
    end, times = time.perf_counter() + seconds, []
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return {"median": statistics.median(times), "min": min(times), "runs": len(times)}


def say(answer):
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    engine, model, file, threads = sys.argv[1:]
    start = time.perf_counter()
    run = ENGINES[engine](model, dict(np.load(file)), int(threads))
    run()
    say({"load_ms": (time.perf_counter() - start) * 1e3})
    for line in sys.stdin:
        say({**timed(run, float(line)), "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})
