#!/usr/bin/env python3
"""Builds TensorRT plans by hone and by NVIDIA's own Python bindings, and writes docs/tensorrt.md: what either builds, what is
rewritten for it, what the plans hold, what a build costs, and whether NVIDIA's own builds are the same twice.

usage: tensorrt_table.py --hone bin/hone [--only NAME...] [--rounds N] [--out docs/tensorrt.md]

Run it in the environment that has onnx and onnxruntime (make setup-full); no GPU is needed. It takes some 20 minutes.
"""
import argparse, hashlib, json, os, pathlib, re, subprocess, sys, tempfile, time
from collections import Counter

from common import CACHE, catalogue

ROOT = pathlib.Path(__file__).resolve().parent.parent
TESTS = ROOT / "backends/tensorrt/testdata"
VERSION = "1.7.1.116"
# The interpreter itself: what stands for it in the path may be a script that takes a while to find it.
PYTHON = subprocess.check_output(["python3", "-c", "import sys; print(sys.executable)"], text=True).strip()
SM = "86,89"
# Inputs whose value chooses a branch: fixed for hone, since no TensorRT takes both branches of it.
VALUES = {"silero_vad": ["sr=16000"]}


# What the passes of backends/tensorrt/legalize do, as the table tells it.
REWRITES = {"trt-If": "If decided", "trt-quantized": "ops for quantized ones", "trt-types": "float64 ops narrowed", "trt-loop": "Loop conditions", "inline-control": "branches taken"}


def listed(name):
    """A list of testdata: model -> the ranges or shapes of its inputs."""
    lines = [l.split() for l in (TESTS / name).read_text().splitlines() if l and l[0] != "#"]
    return {l[0].rstrip("!"): [w for w in l[1:] if "=" in w] for l in lines}


class Cost:
    """What a process and its children took: seconds, and the most memory of all of them together."""

    def __init__(self, command, env=None):
        start = time.time()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            p = subprocess.Popen([str(c) for c in command], stdout=out, stderr=err, env=env)
            self.peak = 0
            while p.poll() is None:
                self.peak = max(self.peak, sum(resident(q) for q in family(p.pid)))
                time.sleep(0.01)
            self.seconds, self.code = time.time() - start, p.returncode
            out.seek(0), err.seek(0)
            self.out, self.err = out.read().decode(), err.read().decode()


def family(pid):
    yield pid
    for f in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in f.read_text().split():
                yield from family(int(child))
        except OSError:
            pass


def resident(pid):
    try:
        return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
    except (OSError, IndexError):
        return 0


def nvidia(model, out, ranges, sm=SM):
    """A build by NVIDIA's bindings, through the script that the tests use."""
    tensorrt = CACHE / "tensorrt"
    env = dict(os.environ, PYTHONPATH=str(tensorrt / "python"), LD_LIBRARY_PATH=str(tensorrt / VERSION))
    cost = Cost([PYTHON, TESTS / "reference.py", model, out, sm, *ranges], env)
    if cost.code == 0:
        told = json.loads(cost.out)
        cost.builder = told["parse"] + told["build"]
    return cost


def hone(command, model, flags, out=None, precision="fp32", sm=SM):
    cost = Cost([command, "compile", model, "--backend", "tensorrt", "--sm", sm, "--precision", precision, *flags,
                 *(["-o", out] if out else ["--explain"])])
    if m := re.search(r"built in +([\d.]+) s", cost.out):
        cost.builder = float(m[1])
    return cost


def fixed(shapes):
    return [r if ".." in r else "%s=%s..%s..%s" % (*r.rsplit("=", 1), *[r.rsplit("=", 1)[1]] * 2) for r in shapes]


def why(text):
    """The first reason of a refusal, short."""
    lines = [l.strip() for l in text.splitlines() if l.strip()]
    for line in lines:
        if m := re.search(r'^(\w+) node "(.*?)": (.*)', line):
            return f"{m[1]} `{m[2]}`: {m[3]}"
    line = next((l for l in lines if "Error" in l or "ssertion" in l or "creator" in l), "no reason given")
    line = re.sub(r"^\[\w+\.cpp::\w+::\d+\] |^IBuilder::\w+: |Error Code \d+: | In \w+ at /_src.*|Assertion failed: ", "", line)
    return (line if len(line) < 120 else line[:120] + " …").replace("|", "/")


def ifs(graph):
    """The Ifs of a graph and its subgraphs."""
    return sum((n.op_type == "If") + sum(ifs(a.g) for a in n.attribute if a.HasField("g")) for n in graph.node)


def quantized(folder):
    """Models of the set, quantized by onnxruntime's own tools: name -> (path, shapes)."""
    import numpy as np
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    shapes = listed("compile.txt")

    class Seeded(CalibrationDataReader):
        def __init__(self, ranges):
            rng = np.random.default_rng(1)
            self.batches = iter([{n: rng.random([int(d) for d in s.split("x")], dtype=np.float32)
                                  for n, s in (r.rsplit("=", 1) for r in ranges)} for _ in range(2)])

        def get_next(self):
            return next(self.batches, None)

    out = {}
    for name in ["mobilenet_v2", "ppocr_rec", "tf_sepdeconv"]:
        prepared = folder / "prepared.onnx"
        quant_pre_process(str(CACHE / "models" / f"{name}.onnx"), str(prepared), skip_symbolic_shape=True)
        for kind, format, activations in [("qdq_u8", QuantFormat.QDQ, QuantType.QUInt8), ("qdq_s8", QuantFormat.QDQ, QuantType.QInt8),
                                          ("qop_u8", QuantFormat.QOperator, QuantType.QUInt8)]:
            path = folder / f"{name}_{kind}.onnx"
            quantize_static(str(prepared), str(path), Seeded(shapes[name]), quant_format=format, per_channel=True,
                            activation_type=activations, weight_type=QuantType.QInt8)
            out[path.stem] = path, shapes[name]
    for name in ["hf_bert", "minilm_l6"]:
        path = folder / f"{name}_dynamic.onnx"
        quantize_dynamic(str(CACHE / "models" / f"{name}.onnx"), str(path), weight_type=QuantType.QInt8)
        out[path.stem] = path, shapes[name]
    return out


def models(folder, only):
    shapes = listed("compile.txt")
    every = {n: (CACHE / "models" / f"{n}.onnx", [f"{k}={'x'.join(map(str, v))}" for k, v in m["shapes"][0].items() if isinstance(v, list) and v])
             for n, m in catalogue().items()}
    every = {n: (p, shapes.get(n, s)) for n, (p, s) in every.items()}
    if not only:
        every |= quantized(folder)
    return {n: every[n] for n in sorted(every) if not only or n in only}


def build_row(args, name, path, shapes, folder):
    theirs = nvidia(path, folder / "n.plan", fixed(shapes) if dynamic(path) else [])
    flags = [f for v in VALUES.get(name, []) for f in ("--input-value", v)]
    # A fixed shape lets hone fold what depends on it; with a value fixed, the other branch may not fit that shape.
    flags += [f for s in shapes for f in ("--profile" if name in VALUES else "--input-shape", s)]
    told = hone(args.hone, path, flags)
    rewritten = Counter(re.findall(r"written by (trt-[\w-]+)$", told.out, re.M))
    rewritten["trt-If"] = ifs(load(path).graph) - len(re.findall(r"^\w+ +If ", told.out, re.M))
    row = {"name": name, "size": path.stat().st_size, "theirs": "built" if theirs.code == 0 else why(theirs.err), "flags": VALUES.get(name, []), "rewritten": +rewritten}
    for precision in ("fp32", "fp16"):
        plan = folder / f"{precision}.plan"
        cost = hone(args.hone, path, flags, plan, precision)
        row[precision] = why(cost.err) if cost.code else json.loads(subprocess.run(
            [args.hone, "inspect", plan, "--json"], check=True, capture_output=True).stdout)
    return row


def load(path):
    import onnx
    return onnx.load(path, load_external_data=False)


def dynamic(path):
    model = load(path)
    constants = {i.name for i in model.graph.initializer}
    return any(not d.HasField("dim_value") for i in model.graph.input if i.name not in constants for d in i.type.tensor_type.shape.dim)


def cost_row(args, name, path, ranges, folder):
    """Rounds of both in turn: the least of each side counts."""
    flags = [f for r in ranges for f in ("--profile", r)]
    ours, theirs = [], []
    for i in range(args.rounds):
        theirs.append(nvidia(path, folder / "n.plan", ranges, "86"))
        if i == 0 and theirs[0].builder < 2:
            return None
        ours.append(hone(args.hone, path, flags, folder / "h.plan", sm="86"))
        assert ours[-1].code == theirs[-1].code == 0, (ours[-1].err, theirs[-1].err)
    least = lambda side, what: min(getattr(c, what) for c in side)
    return {"name": name, **{w: (least(ours, w), least(theirs, w)) for w in ("seconds", "builder", "peak")}}


# The network that hone hands over: what the command's passes and those of backends/tensorrt/legalize make of a model in FP32.
HANDED = "O2,O1,expand-attention,trt-types,trt-loop"

# What the builder numbers as it goes: names and blocks; of sizes that depend on the inputs their operands, the tensors that they
# are of, and themselves in shapes.
NUMBERS = [(rb"(mye|hvar\^|\bbb|_)\d+", rb"\1"), (rb"(?s)(2\x80\x01\0\x02\x80\x01\0.\x06\x80\x01\0).{4}", rb"\1"),
           (rb"(?s)\xff{8}(\t\x80\x01\0).{8}", rb"\1"), (rb"[\x80-\xff]\xff{3}(?:\xff{4})?", b"-")]

# Where the pieces of an engine section begin and end: lines, quotes, zeros, tags and the ends of records.
CUTS = re.compile(rb"(?s)\n|\"|\0{3,}|.\x80\x01\0|[\x80-\xff]\x7f")


def forms(plan):
    """A plan as it is written, less the numbers in generated names, and as pieces in no order with its weights; and the pieces."""
    at = weights_at(plan)
    engine, weights = plan[:at], plan[at:]
    for number, kept in NUMBERS:
        engine = re.sub(number, kept, engine)
    pieces = Counter(CUTS.split(engine))
    digest = lambda *parts: hashlib.sha256(b"\n".join(parts)).hexdigest()
    return {"as written": digest(plan), "names": digest(re.sub(rb"_mye\d+", b"_mye", plan)),
            "order": digest(*sorted(pieces.elements()), weights)}, pieces


def weights_at(plan):
    """Where the weights begin: the second section of the table in the head."""
    return int.from_bytes(plan[0x60:0x68], "little")


def same_row(args, name, path, ranges, folder):
    """hone's plan among those that NVIDIA's bindings write of the network that hone hands over."""
    handed, flags = folder / "handed.onnx", [f for r in ranges for f in ("--profile", r)]
    subprocess.run([args.hone, "opt", path, "--pipeline", HANDED, "-o", handed], check=True, stdout=subprocess.DEVNULL)
    theirs = []
    for _ in range(args.tries):
        cost = nvidia(handed, folder / "n.plan", ranges, "86")
        assert cost.code == 0, cost.err
        form, pieces = forms((folder / "n.plan").read_bytes())
        shared = shared & pieces if theirs else pieces
        theirs.append(form)
    cost = hone(args.hone, handed, ["-O0", *flags], folder / "h.plan", sm="86")
    assert cost.code == 0, cost.err
    ours, pieces = forms((folder / "h.plan").read_bytes())
    alike = next((f for f in ours if ours[f] in {t[f] for t in theirs}), None)
    return {"name": name, **{f: len({t[f] for t in theirs}) for f in ours}, "ours": alike,
            "shared": shared.total(), "kept": (shared & pieces).total()}


def verdict(built):
    return "built" if isinstance(built, dict) else built


def what_is_built(rows):
    both = [r for r in rows if r["theirs"] == "built"]
    ours = [r for r in rows if isinstance(r["fp32"], dict) and isinstance(r["fp16"], dict)]
    def rewritten(r):
        return ", ".join(f"{n} {REWRITES[p]}" for p, n in sorted(r["rewritten"].items())) or "–"
    yield "## What is built"
    yield ""
    yield (f"Each model at one set of shapes, one plan for compute capabilities 8.6 and 8.9. NVIDIA's bindings are given the ONNX file as it is, hone "
           f"the same file and `hone compile --backend tensorrt`. Of {len(rows)} models NVIDIA's bindings build {len(both)}, hone {len(ours)}; "
           f"{sum(r not in both for r in ours)} are built by hone alone, {sum(r not in ours for r in both)} by NVIDIA's bindings alone. Names with "
           "`_qdq`, `_qop` and `_dynamic` are models quantized by onnxruntime's tools: QDQ with uint8 or int8 activations, QLinear operators, integer products. "
           "What is refused is refused before the build.")
    yield ""
    yield "| model | MB | NVIDIA's bindings | hone | rewritten | plan MB, FP32 | FP16 | FP16 / FP32 | attention fused in layers, FP32 | FP16 |"
    yield "|---|---:|---|---|---|---:|---:|---:|---:|---:|"
    for r in rows:
        a, b = r["fp32"], r["fp16"]
        cells = [r["name"], f"{r['size'] / 1e6:.1f}", r["theirs"], " ".join([verdict(a if verdict(a) != "built" else b), *(f"with `--input-value {v}`" for v in r["flags"])]), rewritten(r)]
        if verdict(a) == verdict(b) == "built":
            cells += [f"{a['size'] / 1e6:.2f}", f"{b['size'] / 1e6:.2f}", f"{b['size'] / a['size']:.2f}", str(a["attention"]), str(b["attention"])]
        else:
            cells += ["–"] * 5
        yield f"| {' | '.join(cells)} |"


def what_it_costs(rows, rounds):
    yield "## What a build costs"
    yield ""
    yield (f"hone over NVIDIA's bindings, same model, same profile, for 8.6, FP32, on models that take the bindings over 2 s: {rounds} rounds in turn, the least of "
           "each side. Memory is the resident set of the process and its children together, sampled every 10 ms; whole is the wall time of the process, "
           "reading the model and writing the plan included; builder is the time in NVIDIA's parser and builder alone.")
    yield ""
    yield "| model | memory, MB | NVIDIA's | ratio | whole, s | NVIDIA's | ratio | builder, s | NVIDIA's | ratio |"
    yield "|---|" + "---:|" * 9
    for r in rows:
        cells = [r["name"]]
        for what, unit, digits in (("peak", 1e6, 0), ("seconds", 1, 1), ("builder", 1, 1)):
            ours, theirs = r[what]
            cells += [f"{ours / unit:.{digits}f}", f"{theirs / unit:.{digits}f}", f"{ours / theirs:.2f}"]
        yield f"| {' | '.join(cells)} |"


def whether_the_same(rows, tries):
    says = {"as written": "yes", "names": "yes, but for names", "order": "yes, but for order"}
    def said(r):
        return says.get(r["ours"]) or f"no: {r['kept']} of the {r['shared']} pieces that all of theirs have"
    yield "## Whether the plans are NVIDIA's own"
    yield ""
    yield (f"hone's plan beside {tries} that NVIDIA's bindings build of the network that hone hands over, with open dimensions. NVIDIA's own differ among themselves: "
           "in the numbers in generated names (`_mye123`), and where the builder lists sets that it keeps by address (constants, sizes that depend on the inputs). "
           "So they are counted as written, less those numbers, and as pieces in no order: the engine section cut at line ends, quotes, zeros and tags, less all numbers "
           "that the builder gives as it goes, with the weights as they are. Fixed shapes give the same bytes always.")
    yield ""
    yield "| model | different ones of NVIDIA's, as written | less names | in no order | hone's is one of them |"
    yield "|---|---:|---:|---:|---|"
    for r in rows:
        yield f"| {r['name']} | {r['as written']} | {r['names']} | {r['order']} | {said(r)} |"


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--hone", type=pathlib.Path, default=ROOT / "bin/hone")
    ap.add_argument("--only", nargs="*", default=[])
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--tries", type=int, default=4)
    ap.add_argument("--parts", default="built,costs,same")
    ap.add_argument("--out", type=pathlib.Path)
    args = ap.parse_args()
    args.hone = args.hone.resolve()
    lines = ["# TensorRT plans", "",
             f"Made by `scripts/tensorrt_table.py` with TensorRT for RTX {VERSION} on a machine without a GPU. Times are worth little but side by side."]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        ranges = {n: (CACHE / "models" / f"{n}.onnx", r) for n, r in listed("models.txt").items() if not args.only or n in args.only}
        for part in args.parts.split(","):
            source = models(folder, args.only) if part == "built" else ranges
            make = {"built": build_row, "costs": cost_row, "same": same_row}[part]
            rows = []
            for name, (path, shapes) in source.items():
                print(part, name, file=sys.stderr, flush=True)
                if row := make(args, name, path, shapes, folder):
                    rows.append(row)
            text = {"built": lambda: what_is_built(rows), "costs": lambda: what_it_costs(rows, args.rounds), "same": lambda: whether_the_same(rows, args.tries)}[part]()
            lines += ["", *text]
    text = "\n".join(lines) + "\n"
    args.out.write_text(text) if args.out else print(text)


main()
