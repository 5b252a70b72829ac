#!/usr/bin/env python3
"""Counts the ops of optimized models, beside onnxruntime and onnxsim.

hone opt -O2, standard ONNX ops only, stands beside onnxruntime's basic level and onnxsim; the fused level of hone compile -O3
(what the CPU computes in one go counts once) beside onnxruntime's extended level. Writes docs/opcounts.md. The peers' counts are
kept beside the models and made again when a model or a peer changes.
"""
import argparse
import importlib.metadata
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import onnx
import onnxruntime as ort

from common import CACHE

ROOT = pathlib.Path(__file__).resolve().parent.parent
ONNXSIM = importlib.metadata.version("onnxsim")
STANDARD = ("", "ai.onnx", "ai.onnx.ml")


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
    return count(onnx.load(path, load_external_data=False).graph)


def onnxruntime(level):
    def optimize(path, out):
        so = ort.SessionOptions()
        so.log_severity_level = 4
        so.intra_op_num_threads = 1
        so.graph_optimization_level = level
        so.optimized_model_filepath = str(out)
        ort.InferenceSession(str(path), so, providers=["CPUExecutionProvider"])
    return optimize


def onnxsim(path, out):
    """In a process of its own: it may take all memory, or end the process."""
    code = "import sys, onnx, onnxsim; m, ok = onnxsim.simplify(sys.argv[1]); onnx.save(m, sys.argv[2])"
    run = subprocess.run([sys.executable, "-c", code, str(path), str(out)], capture_output=True, text=True, timeout=600)
    if run.returncode:
        raise RuntimeError((run.stderr.strip().splitlines() or ["it ended"])[-1])


# name -> version, function(path, out)
PEERS = {
    "basic": (ort.__version__, onnxruntime(ort.GraphOptimizationLevel.ORT_ENABLE_BASIC)),
    "onnxsim": (ONNXSIM, onnxsim),
    "extended": (ort.__version__, onnxruntime(ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED)),
}


def peers(path, known, work):
    """What the peers leave of a model, None where one refuses it."""
    stat = path.stat()
    row = known.setdefault(path.stem, {})
    counts = {}
    for name, (version, optimize) in PEERS.items():
        key = f"{stat.st_size}-{int(stat.st_mtime)}-{version}"
        kept = row.get(name)
        if not isinstance(kept, dict) or kept.get("key") != key:
            kept = {"key": key, "ops": None}
            try:
                optimize(path, work / "peer.onnx")
                kept["ops"] = nodes(work / "peer.onnx")
            except Exception as e:
                kept["why"] = str(e).splitlines()[0][:120]
            row[name] = kept
        counts[name] = kept["ops"]
    return counts


def hone_exported(hone, path, out):
    subprocess.run([hone, "opt", str(path), "-O2", "-o", str(out)], check=True, timeout=300)
    model = onnx.load(out, load_external_data=False)
    foreign = sorted({x.domain + "." + x.op_type for x in model.graph.node if x.domain not in STANDARD})
    if foreign:
        raise SystemExit(f"{path.stem}: not standard ONNX: {foreign}")
    return count(model.graph)


def hone_fused(hone, path, out):
    run = subprocess.run([hone, "compile", str(path), "-O3", "-o", str(out)], check=True, timeout=300, capture_output=True, text=True)
    return int(re.search(r"before, (\d+) fused", run.stdout).group(1))


HEAD = f"""# Ops of the optimized models

`hone opt -O2 -o x.onnx`, standard ONNX ops only, beside onnxruntime {ort.__version__}'s `ORT_ENABLE_BASIC` graph and onnxsim {ONNXSIM};
the fused level of `hone compile -O3`, where an op with a region counts once, beside onnxruntime's `ORT_ENABLE_EXTENDED` graph.
Nodes of subgraphs count, constants do not; – where a peer refuses the model.
Written by `scripts/opcounts.py --out docs/opcounts.md`.

| model | as exported | hone -O2 | onnxruntime basic | onnxsim | hone fused | onnxruntime extended |
|---|---:|---:|---:|---:|---:|---:|
"""


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
        work = pathlib.Path(work)
        for path in paths:
            peer = peers(path, known, work)
            kept.write_text(json.dumps(known))
            o2, fused = hone_exported(args.hone, path, work / "hone.onnx"), hone_fused(args.hone, path, work / "x.hone")
            for ours, name in (o2, "basic"), (o2, "onnxsim"), (fused, "extended"):
                if peer[name] is not None and ours > peer[name]:
                    over.append(f"{path.stem} ({name})")
            cells = [nodes(path), o2, peer["basic"], peer["onnxsim"], fused, peer["extended"]]
            lines.append(f"| {path.stem} | " + " | ".join("–" if c is None else str(c) for c in cells) + " |")
            print(lines[-1], flush=True)
    print("more ops than a peer:", ", ".join(over) or "none")
    if args.out:
        pathlib.Path(args.out).write_text(HEAD + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
