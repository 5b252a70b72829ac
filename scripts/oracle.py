#!/usr/bin/env python3
"""Writes what onnxruntime answers: the judge of compiled models.

usage: oracle.py [--full] [NAME ...]

For each model of models.json and each of its shapes, seeded inputs and onnxruntime's outputs:
    ${HONE_CACHE}/oracle/MODEL/SHAPE/in/NAME.npy
    ${HONE_CACHE}/oracle/MODEL/SHAPE/out/NAME.npy
    ${HONE_CACHE}/oracle/MODEL/manifest.json     names, files, types and shapes; whether the outputs are class scores
A model whose file and inputs are unchanged is left alone.
"""
import argparse, json, shutil
from pathlib import Path

from common import CACHE, chosen, digest, locked

HERE = Path(__file__).resolve().parent


def label(arrays):
    """The folder's name: the shape of the first input."""
    return "x".join(map(str, next(iter(arrays.values())).shape)) or "scalar"


def save(folder, arrays):
    import numpy as np
    from inputs import safe
    folder.mkdir(parents=True)
    files = {name: safe(name) + ".npy" for name in arrays}
    if len(set(files.values())) != len(files):
        raise SystemExit(f"{folder}: two names make one file name: {sorted(files)}")
    for name, a in arrays.items():
        np.save(folder / files[name], a)
    return [{"name": n, "file": files[n], "dtype": str(a.dtype), "shape": list(a.shape)} for n, a in arrays.items()]


def answer(model, entry, out):
    import onnxruntime as ort
    from inputs import graph_inputs, seeded
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    names, cases = [o.name for o in session.get_outputs()], []
    for i, shapes in enumerate(entry["shapes"]):
        inputs = seeded(graph_inputs(model), shapes, padded=i > 0)
        outputs = dict(zip(names, session.run(names, inputs)))
        folder = out / label(inputs)
        cases.append({"shape": folder.name, "inputs": save(folder / "in", inputs), "outputs": save(folder / "out", outputs)})
    return cases


def refresh(name, entry):
    model, out = CACHE / "models" / f"{name}.onnx", CACHE / "oracle" / name
    if not model.exists():
        raise SystemExit(f"oracle: {model} is missing: run scripts/models.py {name}")
    stamp = f"{model.stat().st_size}-{model.stat().st_mtime_ns}-" + digest(HERE / "oracle.py", HERE / "inputs.py", HERE / "requirements.txt", json.dumps(entry))
    manifest = out / "manifest.json"
    if manifest.exists() and json.loads(manifest.read_text())["stamp"] == stamp:
        return
    fresh = out.with_name(f".{name}.new")
    for folder in (fresh, out):
        shutil.rmtree(folder, ignore_errors=True)
    cases = answer(model, entry, fresh)
    about = {"model": name, "classifier": entry["classifier"], "tier": entry["tier"], "cases": cases, "stamp": stamp}
    (fresh / "manifest.json").write_text(json.dumps(about, indent=1))
    fresh.rename(out)
    print(f"oracle: {name} at {', '.join(c['shape'] for c in cases)}", flush=True)


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--full", action="store_true", help="the large models too")
    ap.add_argument("names", nargs="*", metavar="NAME")
    args = ap.parse_args()
    with locked("oracle"):
        for name, entry in chosen(args.names, args.full).items():
            refresh(name, entry)
