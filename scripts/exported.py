#!/usr/bin/env python3
"""Judges exported optimized models: onnx.checker, and onnxruntime's answers and speed beside the original's.

usage: exported.py [--full] [--level 2] [--rounds 11] [--exported DIR] [--out docs/exported.md] [NAME ...]

Answers are compared with onnxruntime's own graph optimizations and without; the bound grows by what those change in the
original's answers, which the table shows. Times are those with them, on one thread. Rounds are paired: in each, both
models run in turns, and the fastest runs are compared, which other work on the machine disturbs least. The ratio is the
median of the rounds' ratios; where it is over the bound, of four times as many. Exits with 1 where a model falls short.
"""
import argparse, subprocess, tempfile, time
from pathlib import Path
from statistics import median

import numpy as np
import onnx
import onnxruntime as ort

from common import CACHE, chosen
from inputs import graph_inputs, seeded

ROOT = Path(__file__).resolve().parent.parent
ERROR = 1e-5  # largest error, relative to the largest element of the output
RATIO = 1.05  # of times
ROUND = 0.1   # seconds that one model runs in a round, at least, and three times


OFF, ON = ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL


def session(path, level):
    so = ort.SessionOptions()
    so.graph_optimization_level = level
    so.log_severity_level = 4
    so.intra_op_num_threads = so.inter_op_num_threads = 1
    return ort.InferenceSession(str(path), so, providers=["CPUExecutionProvider"])


def error(want, got):
    """The largest error of a list of outputs."""
    return max(difference(w, g) for w, g in zip(want, got, strict=True))


def difference(want, got):
    """The largest difference, relative to the largest element; infinite where type, shape or NaNs differ."""
    if want.shape != got.shape or want.dtype != got.dtype:
        return np.inf
    if want.dtype.kind != "f":
        return 0.0 if np.array_equal(want, got) else np.inf
    same = (want == got) | (np.isnan(want) & np.isnan(got))
    if same.all():
        return 0.0
    scale = np.abs(want[np.isfinite(want)]).max(initial=0)
    worst = np.abs(want.astype(np.float64) - got)[~same].max()
    return float(worst / scale) if np.isfinite(worst) and scale > 0 else np.inf


def lap(s, x):
    start = time.perf_counter()
    s.run(None, x)
    return time.perf_counter() - start


def paired(a, b, x, rounds):
    """Median times of a and b in ms, and the median ratio of b to a."""
    n = max(3, int(ROUND / min(lap(s, x) for s in (a, b) for _ in range(3))))
    times = []
    while True:
        for _ in range(rounds):
            turns = [(lap(a, x), lap(b, x)) for _ in range(n)]
            times.append([min(t) for t in zip(*turns)])
        ratio = median(q / p for p, q in times)
        if ratio <= RATIO or len(times) >= 4 * rounds:
            return 1e3 * median(p for p, _ in times), 1e3 * median(q for _, q in times), ratio


def judge(name, entry, exported, rounds):
    """The row of one model, and what it falls short of."""
    faults = []
    try:
        onnx.checker.check_model(str(exported), full_check=True)
    except Exception as e:
        faults.append(f"{name}: checker: {' '.join(str(e).split())[:300]}")
    original = CACHE / "models" / f"{name}.onnx"
    a, b = ({level: session(path, level) for level in (OFF, ON)} for path in (original, exported))
    worst = own = 0.0
    for i, shapes in enumerate(entry["shapes"]):
        x = seeded(graph_inputs(original), shapes, padded=i > 0)
        want, got = ({level: s.run(None, x) for level, s in m.items()} for m in (a, b))
        e, peer = max(error(want[level], got[level]) for level in (OFF, ON)), error(want[OFF], want[ON])
        worst, own = max(worst, e), max(own, peer)
        if not e <= ERROR + peer:
            faults.append(f"{name}: error {e:.3g} of scale at shape {i}, where onnxruntime's own is {peer:.3g}")
    row = [name, "no" if faults and "checker" in faults[0] else "yes", f"{worst:.1e}", f"{own:.1e}"]
    if rounds:
        x = seeded(graph_inputs(original), entry["shapes"][0])
        before, after, ratio = paired(a[ON], b[ON], x, rounds)
        if ratio > RATIO:
            faults.append(f"{name}: takes {ratio:.2f} times as long")
        row += [f"{before:.2f}", f"{after:.2f}", f"{ratio:.2f}"]
    return row, faults


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--full", action="store_true", help="the large models too")
    ap.add_argument("--level", type=int, default=2)
    ap.add_argument("--rounds", type=int, default=11, help="0 leaves the speed out")
    ap.add_argument("--hone", default=str(ROOT / "bin/hone"))
    ap.add_argument("--exported", help="a folder with files NAME.onnx to judge, instead of calling hone")
    ap.add_argument("--out", help="the table to write")
    ap.add_argument("names", nargs="*", metavar="NAME")
    args = ap.parse_args()
    rows, faults = [], []
    with tempfile.TemporaryDirectory() as work:
        for name, entry in sorted(chosen(args.names, args.full).items()):
            path = Path(args.exported or work) / f"{name}.onnx"
            if not args.exported:
                subprocess.run([args.hone, "opt", str(CACHE / "models" / f"{name}.onnx"), f"-O{args.level}", "-o", str(path)], check=True, timeout=300)
            row, short = judge(name, entry, path, args.rounds)
            rows.append("| " + " | ".join(row) + " |")
            faults += short
            print(rows[-1], *short, flush=True)
            if not args.exported:
                path.unlink()
    if args.out:
        Path(args.out).write_text("\n".join([
            "# Exported optimized models in onnxruntime", "",
            f"`hone opt -O{args.level} -o x.onnx` beside the original, both in onnxruntime {ort.__version__}, one thread, its graph optimizations at their default.",
            f"Checked by onnx {onnx.__version__} (`full_check`); the error is the largest one at both shapes of `scripts/models.json`, with and without those, relative to the output's largest element;",
            "beside it, what they change in the answers of the original;",
            f"the ratio is the median of {args.rounds} paired rounds, or where that is over 1.05 of four times as many. Written by `scripts/exported.py --full --out docs/exported.md`.", "",
            "| model | checker | max error | onnxruntime's own | original ms | optimized ms | ratio |", "|---|---|---:|---:|---:|---:|---:|", *rows]) + "\n")
    if faults:
        raise SystemExit("\n".join(faults))


if __name__ == "__main__":
    main()
