#!/usr/bin/env python3
"""Counts the ops of optimized models: hone opt -O2, standard ONNX ops only, beside onnxruntime's basic level.

Writes docs/opcounts.md. onnxruntime's counts are kept beside the models and made again when a model changes.
"""
import argparse
import json
import os
import pathlib
import subprocess
import tempfile

import onnx
import onnxruntime as ort

CACHE = pathlib.Path(os.environ.get("HONE_CACHE", pathlib.Path.home() / ".cache/hone"))
ROOT = pathlib.Path(__file__).resolve().parent.parent


def count(graph):
    """The nodes of a graph and its subgraphs that compute something."""
    n = 0
    for node in graph.node:
        n += node.op_type != "Constant"
        for a in node.attribute:
            for g in ([a.g] if a.HasField("g") else []) + list(a.graphs):
                n += count(g)
    return n


def nodes(path):
    model = onnx.load(path, load_external_data=False)
    foreign = sorted({x.domain + "." + x.op_type for x in model.graph.node if x.domain not in ("", "ai.onnx", "ai.onnx.ml")})
    return count(model.graph), foreign


def onnxruntime_basic(path, out):
    so = ort.SessionOptions()
    so.log_severity_level = 4
    so.intra_op_num_threads = 1
    so.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    so.optimized_model_filepath = str(out)
    ort.InferenceSession(str(path), so, providers=["CPUExecutionProvider"])
    return nodes(out)[0]


def measure(hone, path, known, work):
    """The row of one model: nodes as exported, after hone, after onnxruntime."""
    key = f"{path.stat().st_size}-{int(path.stat().st_mtime)}-{ort.__version__}"
    row = known.get(path.stem, {})
    if row.get("key") != key:
        row = {"key": key, "before": nodes(path)[0]}
        try:
            row["ort"] = onnxruntime_basic(path, work / "ort.onnx")
        except Exception as e:  # onnxruntime refuses some models: the table says so
            row["ort"], row["why"] = None, str(e).splitlines()[0][:120]
        known[path.stem] = row
    out = work / "hone.onnx"
    subprocess.run([hone, "opt", str(path), "-O2", "-o", str(out)], check=True, timeout=300)
    n, foreign = nodes(out)
    if foreign:
        raise SystemExit(f"{path.stem}: not standard ONNX: {foreign}")
    return row["before"], n, row["ort"]


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("models", nargs="*", help="names; all in the cache by default")
    p.add_argument("--hone", default=str(ROOT / "bin/hone"))
    p.add_argument("--out", help="the table to write")
    args = p.parse_args()
    paths = sorted((CACHE / "models").glob("*.onnx"))
    if args.models:
        paths = [x for x in paths if x.stem in args.models]
    kept = CACHE / "opcounts.json"
    known = json.loads(kept.read_text()) if kept.exists() else {}
    lines, over = [], []
    with tempfile.TemporaryDirectory() as work:
        for path in paths:
            before, after, peer = measure(args.hone, path, known, pathlib.Path(work))
            kept.write_text(json.dumps(known))
            if peer is not None and after > peer:
                over.append(path.stem)
            lines.append(f"| {path.stem} | {before} | {after} | {'–' if peer is None else peer} |")
            print(lines[-1], flush=True)
    print("more ops than onnxruntime:", ", ".join(over) or "none")
    if args.out:
        head = [
            "# Ops of the optimized models",
            "",
            "`hone opt -O2 -o x.onnx`, standard ONNX ops only, beside onnxruntime "
            + ort.__version__ + "'s `ORT_ENABLE_BASIC` graph. Nodes of subgraphs count, constants do not.",
            "Written by `scripts/opcounts.py --out docs/opcounts.md`.",
            "",
            "| model | as exported | hone -O2 | onnxruntime basic |",
            "|---|---:|---:|---:|",
        ]
        pathlib.Path(args.out).write_text("\n".join(head + lines) + "\n")


if __name__ == "__main__":
    main()
