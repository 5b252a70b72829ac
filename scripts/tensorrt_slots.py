#!/usr/bin/env python3
"""Derive the virtual-method slots that backends/tensorrt calls from a folder of TensorRT headers.

    tensorrt_slots.py HEADERS --dir backends/tensorrt/internal/nvinfer   # writes zslots_FAMILY_VERSION.go
    tensorrt_slots.py HEADERS --list VBuilderConfig                      # print one class, to look at

HEADERS is a folder with NvInfer.h: `include/` of NVIDIA/TensorRT, or one of the versions that the crate trtx-sys
0.9.1 carries under TensorRT-Headers.

Only the Itanium C++ ABI (Linux) is modelled: methods in order of declaration, a virtual destructor taking two slots
(complete, deleting), an override taking none.  What is written out is numbers and the names that the package uses;
-1 stands for a method that the version does not have.
"""
import argparse
import pathlib
import re
import subprocess
import sys

# Group and method names of the Go table, and the C++ class and method each stands for.
# A method followed by "/n" is the n-th overload.
WANTED = {
    "Builder": ("VBuilder", ["createBuilderConfig", "createNetworkV2", "createOptimizationProfile",
                             "buildSerializedNetwork", "setMaxThreads", "getMaxThreads"]),
    "Config": ("VBuilderConfig", ["setFlag", "getFlag", "setMemoryPoolLimit", "getMemoryPoolLimit",
                                  "setBuilderOptimizationLevel", "getBuilderOptimizationLevel",
                                  "addOptimizationProfile", "getNbOptimizationProfiles",
                                  "setProfilingVerbosity", "getProfilingVerbosity",
                                  "createTimingCache", "setTimingCache", "getTimingCache", "setProgressMonitor",
                                  "setNbComputeCapabilities", "getNbComputeCapabilities",
                                  "setComputeCapability", "getComputeCapability"]),
    "Profile": ("VOptimizationProfile", ["setDimensions", "getDimensions", "isValid", "setShapeValuesV2"]),
    "Network": ("VNetworkDefinition", ["getName", "setName", "getNbInputs", "getInput", "getNbOutputs", "getOutput",
                                       "getNbLayers", "getFlags"]),
    "Tensor": ("VTensor", ["getName", "getDimensions", "getType", "isShapeTensor"]),
    "Runtime": ("VRuntime", ["deserializeCudaEngine/1", "setMaxThreads", "getMaxThreads"]),
    "Engine": ("VCudaEngine", ["createExecutionContext", "getNbIOTensors", "getIOTensorName", "getTensorDataType", "getTensorIOMode",
                               "getTensorLocation"]),
    "Execution": ("VExecutionContext", ["setInputShape", "getTensorShape", "setTensorAddress", "inferShapes", "enqueueV3"]),
    "Memory": ("VHostMemory", ["data", "size"]),
    "TimingCache": ("VTimingCache", ["serialize"]),
    "Parser": ("IParser", ["loadModelProto", "loadInitializer", "parseModelProto", "getNbErrors", "getError"]),
    "ParserError": ("IParserError", ["code", "desc", "node", "nodeName", "nodeOperator"]),
}
# Interfaces that the package implements: the table holds where each of its methods must stand.
OURS = {
    "Logger": ("ILogger", ["log"]),
    "Progress": ("IProgressMonitor", ["phaseStart", "stepComplete", "phaseFinish"]),
}
# Values of enumerators that changed between versions, or that are passed by the name a user gives.
FLAGS = ["kREFIT", "kREFIT_IDENTICAL", "kREFIT_INDIVIDUAL", "kSTRIP_PLAN", "kVERSION_COMPATIBLE", "kWEIGHT_STREAMING",
         "kTF32", "kSTRICT_NANS", "kSPARSE_WEIGHTS", "kDISABLE_TIMING_CACHE", "kEDITABLE_TIMING_CACHE"]


def strip(text):
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"//[^\n]*", " ", text)
    text = re.sub(r"\\\n", " ", text)
    return re.sub(r"^[ \t]*#.*$", " ", text, flags=re.M)


def classes(folder):
    """Every class of the headers that has a body: name -> (bases, body)."""
    found = {}
    for path in sorted(folder.glob("*.h")):
        text = strip(path.read_text(encoding="utf-8", errors="replace"))
        for m in re.finditer(r"\b(?:class|struct)\s+(?:\w+\([^)]*\)\s+)?(\w+)\s*(?:final\s*)?(:[^;{(]*)?\{", text):
            depth, end = 1, m.end()
            while depth and end < len(text):
                depth += {"{": 1, "}": -1}.get(text[end], 0)
                end += 1
            bases = re.findall(r"(?:public|protected|private)\s+(?:virtual\s+)?([\w:]+)", m.group(2) or "")
            found.setdefault(m.group(1), ([b.split("::")[-1] for b in bases], text[m.end():end - 1]))
    return found


def statements(body):
    """The declarations of a class body at its own level, inline bodies left out."""
    out, cur, depth = [], "", 0
    for ch in body:
        if ch == "{":
            depth += 1
        elif ch == "}":
            depth -= 1
            if depth == 0:
                out.append(cur)
                cur = ""
        elif depth == 0:
            if ch == ";":
                out.append(cur)
                cur = ""
            else:
                cur += ch
    return [" ".join(s.split()) for s in out]


def vtable(name, all_classes):
    if name not in all_classes:
        sys.exit(f"tensorrt_slots.py: no class {name} in these headers")
    bases, body = all_classes[name]
    table = []
    for base in bases:
        if base in all_classes:
            table += vtable(base, all_classes)
    for decl in statements(body):
        decl = re.sub(r"^(?:(?:public|protected|private)\s*:\s*)+", "", decl)
        has_virtual = re.search(r"\bvirtual\b", decl)
        overrides = re.search(r"\boverride\b", decl)
        if not has_virtual and not overrides:
            continue
        if "~" in decl:
            if "~" not in table:
                table += ["~", "!"]
            continue
        method = re.search(r"(\w+)\s*\(", re.sub(r"\w+\(\s*\"[^\"]*\"\s*\)", "", decl)).group(1)
        if overrides and method in table:
            continue
        table.append(method)
    return table


def version(folder):
    text = (folder / "NvInferVersion.h").read_text()
    part = lambda n: int(re.search(rf"#define\s+{n}\s+(\d+)", text).group(1))
    rtx = "TRT_MAJOR_RTX" in text
    names = ["TRT_MAJOR_RTX", "TRT_MINOR_RTX", "TRT_PATCH_RTX"] if rtx else [
        "TRT_MAJOR_ENTERPRISE", "TRT_MINOR_ENTERPRISE", "TRT_PATCH_ENTERPRISE"]
    return rtx, [part(n) for n in names]


def enum(folder, name):
    """The enumerators of an enum class, with their values."""
    for path in sorted(folder.glob("*.h")):
        m = re.search(rf"enum\s+class\s+{name}\s*:[^{{;]*\{{(.*?)\}}", strip(path.read_text()), re.S)
        if m:
            return {k: int(v) for k, v in re.findall(r"(k\w+)\s*(?:TRT_\w+(?:\([^)]*\))?\s*)?=\s*(\d+)", m.group(1))}
    return {}


def slot(table, method, cls):
    name, _, nth = method.partition("/")
    at = [i for i, m in enumerate(table) if m == name]
    if not at:
        return -1
    if len(at) > 1 and not nth:
        sys.exit(f"tensorrt_slots.py: {cls}::{name} is overloaded at {at}: say which")
    return at[int(nth or 1) - 1]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("headers", type=pathlib.Path)
    ap.add_argument("--dir", type=pathlib.Path, help="folder to write the table to")
    ap.add_argument("--list", metavar="CLASS")
    args = ap.parse_args()
    cls = classes(args.headers)
    if args.list:
        for i, m in enumerate(vtable(args.list, cls)):
            print(i, m)
        return
    rtx, (major, minor, patch) = version(args.headers)
    # RTX counts 1.7.1 as 10701; TensorRT 10 and 11 count 11.4.0 as 110400: both are major*10000 + minor*100 + patch.
    number = major * 10000 + minor * 100 + patch
    raw = (args.headers / "NvOnnxParser.h").read_text()
    pv = [int(re.search(rf"#define\s+NV_ONNX_PARSER_{n}\s+(\d+)", raw).group(1)) for n in ("MAJOR", "MINOR", "PATCH")]
    out = ["// Code generated by scripts/tensorrt_slots.py from the headers of this version. DO NOT EDIT.", "", "package nvinfer", "",
           "func init() {", f"\tregister({number}, slots{{"]
    family = "TensorRT for RTX" if rtx else "TensorRT"
    out.append(f"\t\tname: \"{family} {major}.{minor}.{patch}\",")
    out.append(f"\t\tparserVersion: {pv[0] * 10000 + pv[1] * 100 + pv[2]},")
    versioned_logger = "IVersionedInterface" in cls["ILogger"][0]
    out.append(f"\t\tversionedLogger: {str(versioned_logger).lower()},")
    typed = enum(args.headers, "NetworkDefinitionCreationFlag").get("kSTRONGLY_TYPED", -1)
    out.append(f"\t\tstronglyTyped: {typed},")
    have = enum(args.headers, "BuilderFlag")
    out.append("\t\tbuilderFlags: map[string]int{")
    out += [f"\t\t\t\"{k[1:]}\": {have[k]}," for k in FLAGS if k in have]
    out.append("\t\t},")
    caps = enum(args.headers, "ComputeCapability")
    sms = ", ".join(str(v) for k, v in caps.items() if k.startswith("kSM"))
    out.append(f"\t\tcapabilities: []int{{{sms}}},")
    for group, (c, methods) in list(WANTED.items()) + list(OURS.items()):
        table = vtable(c, cls)
        if group in OURS:
            out.append(f"\t\t{group[0].lower() + group[1:]}Len: {len(table)},")
        cells = []
        for m in methods:
            field = m.partition("/")[0]
            cells.append(f"{field}: {slot(table, m, c)}")
        line = f"\t\t{group[0].lower() + group[1:]}: {group[0].lower() + group[1:]}Slots{{"
        out.append(line)
        out += [f"\t\t\t{c}," for c in cells]
        out.append("\t\t},")
    out += ["\t})", "}", ""]
    text = "\n".join(out)
    if args.dir:
        path = args.dir / f"zslots_{'rtx' if rtx else 'trt'}_{number}.go"
        path.write_text(text)
        subprocess.run(["gofmt", "-w", path], check=True)
    else:
        print(text)


main()
