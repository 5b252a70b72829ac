#!/usr/bin/env python3
"""Writes ONNX's own backend tests as files: node, simple, pytorch-operator and pytorch-converted.

usage: conform.py [--out DIR]        default: ${HONE_CACHE}/conformance

One folder a test, DIR/KIND/NAME, with model.onnx and test_data_set_N/{input,output}_M.pb.  A .pb holds a TensorProto,
SequenceProto or OptionalProto, as the type of the model's input or output says.
"""
import argparse, shutil, warnings
from pathlib import Path

from common import CACHE, digest, locked

KINDS = ["node", "simple", "pytorch-operator", "pytorch-converted"]
HERE = Path(__file__).resolve().parent


def message(value, info):
    import onnx
    from onnx import numpy_helper
    if isinstance(value, (onnx.TensorProto, onnx.SequenceProto, onnx.OptionalProto)):
        return value
    kind = info.type.WhichOneof("value") if info is not None else "tensor_type"
    make = {"sequence_type": numpy_helper.from_list, "optional_type": numpy_helper.from_optional}.get(kind, numpy_helper.from_array)
    return make(value)


def write_values(folder, prefix, values, infos):
    for i, value in enumerate(values):
        info = infos[i] if i < len(infos) else None
        (folder / f"{prefix}_{i}.pb").write_bytes(message(value, info).SerializeToString())


def write_test(test, folder):
    """Older suites ship as folders, the node tests are made in memory."""
    import onnx
    if test.model is None:
        shutil.copytree(test.model_dir, folder)
        return
    folder.mkdir(parents=True)
    onnx.save(test.model, str(folder / "model.onnx"))
    for i, (inputs, outputs) in enumerate(test.data_sets or []):
        data = folder / f"test_data_set_{i}"
        data.mkdir()
        write_values(data, "input", inputs, test.model.graph.input)
        write_values(data, "output", outputs, test.model.graph.output)


def write_all(out):
    warnings.simplefilter("ignore")  # the generators overflow and divide by zero on purpose
    from onnx.backend.test.loader import load_model_tests
    fresh = out.with_name("." + out.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    for kind in KINDS:
        tests = load_model_tests(kind=kind)
        for test in tests:
            write_test(test, fresh / kind / test.name)
        print(f"conform: {len(tests)} {kind} tests", flush=True)
    shutil.rmtree(out, ignore_errors=True)
    fresh.rename(out)


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", type=Path, default=CACHE / "conformance")
    out = ap.parse_args().out
    with locked("conformance"):
        stamp, want = out / ".stamp", digest(HERE / "conform.py", HERE / "requirements.txt")
        if not stamp.exists() or stamp.read_text() != want:
            write_all(out)
            stamp.write_text(want)
