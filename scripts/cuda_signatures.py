#!/usr/bin/env python3
"""Checks the functions of NVIDIA's driver that backends/tensorrt/cuda calls against their declarations in cuda.h.

usage: cuda_signatures.py CUDA_H        # include/cuda.h of the PyPI package nvidia-cuda-runtime-cu12

For each function: that the header gives its name this version (cuMemAlloc_v2), that there are as many parameters, and that each has
the size of the C type, or points to one of its size.
"""
import pathlib
import re
import sys

DRIVER = pathlib.Path(__file__).resolve().parent.parent / "backends/tensorrt/cuda/driver_linux.go"
# Bytes of a value; handles are pointers to what only the driver knows.
GO = {"uint32": 4, "int32": 4, "float32": 4, "uint64": 8, "uintptr": 8, "byte": 1, "unsafe.Pointer": 8}
C = {"int": 4, "unsigned int": 4, "float": 4, "size_t": 8, "CUdeviceptr": 8, "CUdevice": 4, "CUresult": 4, "CUdevice_attribute": 4, "CUjit_option": 4,
     "char": 1, "void": 1, "CUcontext": 8, "CUmodule": 8, "CUfunction": 8, "CUstream": 8, "CUevent": 8}


def kind(type, sizes):
    """A type as the size of a value, or "*" and the size of what it points to."""
    base = type.replace("*", "").strip()
    levels = type.count("*")
    return f"*{8 if levels > 1 else sizes[base]}" if levels else str(sizes[base])


def go_functions(text):
    """Symbol -> the kinds of its Go parameters."""
    fields = dict(re.findall(r"^\t(\w+)\s+func\((.*)\) int32$", text, re.M))
    out = {}
    for symbol, field in re.findall(r'"(cu\w+)": &d\.(\w+)', text):
        kinds, last = [], None
        for p in reversed(fields[field].split(", ") if fields[field] else []):  # a type stands behind the last name of its group
            last = p.split(" ", 1)[1] if " " in p else last
            kinds.append(kind(last, GO))
        out[symbol] = kinds[::-1]
    return out


def c_functions(text):
    """Symbol -> the kinds of its C parameters, by the newest version of the header."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)
    newest = dict(re.findall(r"^#define\s+(cu\w+)\s+(cu\w+_v\d+)\s*$", text, re.M))
    out = {}
    for name, params in re.findall(r"CUresult\s+CUDAAPI\s+(cu\w+)\s*\(([^)]*)\)\s*;", text):
        types = [re.sub(r"\bconst\b|\w+$", "", p.strip()).strip() for p in params.split(",") if p.strip() != "void"]
        out.setdefault(newest.get(name, name), types)  # older versions are declared behind
    return out


def main():
    declared, wrong = c_functions(pathlib.Path(sys.argv[1]).read_text(errors="replace")), []
    functions = go_functions(DRIVER.read_text())
    for symbol, kinds in functions.items():
        if symbol not in declared:
            wrong.append(f"{symbol}: the header has no such function")
            continue
        want = [kind(" ".join(t.split()), C) for t in declared[symbol]]
        # An address may be kept as a number; text and data are bytes.
        same = len(want) == len(kinds) and all(w == k or w[0] == "*" and k == "8" or w == "*1" and k[0] == "*" for w, k in zip(want, kinds))
        if not same:
            wrong.append(f"{symbol}: Go has {kinds}, C has {want}")
    print("\n".join(wrong) or f"{len(functions)} functions as in the header")
    sys.exit(bool(wrong))


main()
