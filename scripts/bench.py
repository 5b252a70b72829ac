#!/usr/bin/env python3
"""Latency of hone next to onnxruntime and OpenVINO, on the same inputs, in one run.

usage: bench.py [--threads N] [--rounds R] [--seconds S] [--peers LIST] [--ours COMMAND] [--out FILE.md] [--json FILE] [NAME|FILE.onnx ...]

Each peer is a process that lives as long as its model is measured.  Rounds take the engines in turn (A B C, A B C, ...),
so that a drift of the machine's speed meets all alike; a round runs each for S seconds and keeps the median.  The table
shows the median over the rounds, and as a ratio the median of onnxruntime's time over the engine's, round by round:
above 1 is faster than onnxruntime.

--ours is run by the shell once a round and must end with a JSON line that has latency_ms.median.  In it stand
    {model}  the ONNX file        {artifact}  what `hone compile` made of it     {threads}  {seconds}
    {inputs} a folder with one NAME.npy an input      {input_flags} --input NAME=FILE for each
"""
import argparse, contextlib, json, os, platform, shlex, statistics, subprocess, sys, tempfile
from importlib import metadata
from pathlib import Path
import numpy as np

from common import CACHE, catalogue
from inputs import graph_inputs, safe, seeded

HERE = Path(__file__).resolve().parent
HONE = HERE.parent / "bin" / "hone"
DEFAULT = ["resnet18", "resnet50", "mobilenet_v2", "unet_silu", "vit_b16", "minilm_l6", "bert_base", "efficientnet_lite0", "ppocr_rec", "silero_vad"]
OURS = f"{shlex.quote(str(HONE))} bench {{artifact}} {{input_flags}} --threads {{threads}} --duration {{seconds}}s --json"


class Peer:
    """An engine of bench_peer.py in its own process."""
    def __init__(self, engine, model, inputs, threads):
        command = [sys.executable, HERE / "bench_peer.py", engine, model, inputs, str(threads)]
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.about = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(last_line(self.process.stderr.read()))
        return json.loads(line)

    def round(self, seconds):
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Ours:
    """A command, run anew each round."""
    def __init__(self, command, fields):
        self.command, self.fields, self.about = command, fields, {}

    def round(self, seconds):
        r = subprocess.run(self.command.format(seconds=seconds, **self.fields), shell=True, capture_output=True, text=True)
        if r.returncode:
            raise RuntimeError(last_line(r.stderr or r.stdout))
        report = json.loads(r.stdout.strip().splitlines()[-1])
        return {**report["latency_ms"], **{k: report[k] for k in ("load_ms", "peak_rss_mb") if k in report}}

    def close(self):
        pass


def last_line(text):
    return (text.strip().splitlines() or ["no output"])[-1]


def measure(name, model, args):
    """{engine: {"ms", "min", "ratio", "load_ms", "peak_rss_mb"} or {"failed"}}"""
    entry = catalogue().get(name)
    inputs = seeded(graph_inputs(model), entry["shapes"][0] if entry else {})
    with tempfile.TemporaryDirectory() as tmp, contextlib.ExitStack() as stack:
        tmp = Path(tmp)
        np.savez(tmp / "inputs.npz", **inputs)
        (tmp / "in").mkdir()
        for k, a in inputs.items():
            np.save(tmp / "in" / f"{safe(k)}.npy", a)
        flags = " ".join("--input " + shlex.quote(f"{k}={tmp}/in/{safe(k)}.npy") for k in inputs)
        fields = {"model": shlex.quote(str(model)), "artifact": shlex.quote(str(tmp / "model.hone")), "threads": args.threads, "inputs": tmp / "in", "input_flags": flags}

        def ours():
            if "{artifact}" in args.ours:
                r = subprocess.run([HONE, "compile", model, "-o", tmp / "model.hone"], capture_output=True, text=True)
                if r.returncode:
                    raise RuntimeError(last_line(r.stderr))
            return Ours(args.ours, fields)

        makers = {p: (lambda p=p: Peer(p, model, tmp / "inputs.npz", args.threads)) for p in args.peers.split(",") if p}
        if args.ours:
            makers["hone"] = ours
        engines, rounds, results = {}, {}, {}

        def guarded(engine, action):
            try:
                return action()
            except (RuntimeError, ValueError, KeyError, OSError) as e:
                results[engine] = {"failed": str(e)}
                engines.pop(engine, None)

        for engine, maker in makers.items():
            if (made := guarded(engine, maker)) is not None:
                engines[engine] = made
                stack.callback(made.close)
                rounds[engine] = []
        for _ in range(args.rounds):
            for engine in list(engines):
                if (r := guarded(engine, lambda: engines[engine].round(args.seconds))) is not None:
                    rounds[engine].append(r)
        for engine, e in engines.items():
            rs = rounds[engine]
            results[engine] = {**e.about, "ms": statistics.median(r["median"] for r in rs), "min": min(r["min"] for r in rs)}
            results[engine].update({k: rs[-1][k] for k in ("load_ms", "peak_rss_mb") if k in rs[-1]})
            if "onnxruntime" in engines:
                results[engine]["ratio"] = statistics.median(o["median"] / r["median"] for o, r in zip(rounds["onnxruntime"], rs))
        return {e: results[e] for e in makers}


def cpu():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                flags = Path("/proc/cpuinfo").read_text()
                isa = [f for f in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8") if f in flags]
                return line.split(":")[1].strip() + f" ({', '.join(isa)})"
    except OSError:
        pass
    return platform.processor() or platform.machine()


def version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


def cell(result):
    if "failed" in result:
        return "failed"
    ratio = f" ({result['ratio']:.2f}x)" if "ratio" in result else ""
    return f"{result['ms']:.2f} ms{ratio}"


def table(results, args):
    engines = list(next(iter(results.values())))
    lines = [
        "# Latency, side by side", "",
        f"{cpu()}, {os.cpu_count()} cores; {args.threads} thread{'s' if args.threads > 1 else ''}; "
        f"onnxruntime {version('onnxruntime')}, OpenVINO {version('openvino')}; "
        f"{args.rounds} rounds of {args.seconds:g} s an engine, engines in turn.", "",
        "Median of the rounds; in brackets the speed next to onnxruntime, round by round (above 1 is faster). Batch 1; shapes are in `scripts/models.json`. Made by `make bench`.", "",
        "| model | " + " | ".join(engines) + " |", "|---|" + "---|" * len(engines)]
    lines += [f"| {name} | " + " | ".join(cell(r) for r in row.values()) + " |" for name, row in results.items()]
    failures = [f"- {name}, {engine}: {r['failed']}" for name, row in results.items() for engine, r in row.items() if "failed" in r]
    return "\n".join(lines + (["", "Failures:", ""] + failures if failures else [])) + "\n"


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--rounds", type=int, default=11)
    ap.add_argument("--seconds", type=float, default=1.0)
    ap.add_argument("--peers", default="onnxruntime,openvino")
    ap.add_argument("--ours", default=OURS)
    ap.add_argument("--out", type=Path)
    ap.add_argument("--json", type=Path)
    ap.add_argument("models", nargs="*", default=DEFAULT, metavar="NAME|FILE.onnx")
    args = ap.parse_args()
    results = {}
    for m in args.models:
        path = Path(m) if m.endswith(".onnx") else CACHE / "models" / f"{m}.onnx"
        results[path.stem] = measure(path.stem, path, args)
        print(f"{path.stem:24s} " + "  ".join(f"{e} {cell(r)}" for e, r in results[path.stem].items()), flush=True)
    text = table(results, args)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))
    if args.out:
        args.out.write_text(text)
    else:
        print("\n" + text)
    if any("failed" in row.get("hone", {}) for row in results.values()):
        sys.exit("bench: hone failed on a model, see the table")
