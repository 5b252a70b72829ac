"""Builds a plan through NVIDIA's own Python bindings: what hone's plans are compared with.

usage: reference.py MODEL.onnx OUT.plan SM[,SM...] [NAME=MIN..OPT..MAX ...]

Prints one line of JSON: seconds in the parser and in the builder, and the most memory the process held, in bytes.
"""
import json, resource, sys, time

try:
    import tensorrt_rtx as trt
except ImportError:
    import tensorrt_rtx_bindings as trt

model, out, capabilities, *ranges = sys.argv[1:]


class Quiet(trt.ILogger):
    def __init__(self):
        trt.ILogger.__init__(self)

    def log(self, severity, text):
        if severity.value <= trt.ILogger.Severity.ERROR.value:
            print(text, file=sys.stderr)


logger = Quiet()
builder = trt.Builder(logger)
network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
parser = trt.OnnxParser(network, logger)
start = time.time()
with open(model, "rb") as f:
    ok = parser.parse(f.read(), model)
if not ok:
    for i in range(parser.num_errors):
        e = parser.get_error(i)
        print(f"{e.node_operator()} {e.node_name()}: {e.desc()}", file=sys.stderr)
    sys.exit(1)
parsed = time.time()
config = builder.create_builder_config()
sms = capabilities.split(",")
config.num_compute_capabilities = len(sms)
for i, sm in enumerate(sms):
    config.set_compute_capability(getattr(trt.ComputeCapability, "SM" + sm), i)
if ranges:
    profile = builder.create_optimization_profile()
    for r in ranges:
        name, shapes = r.rsplit("=", 1)
        profile.set_shape(name, *[tuple(int(d) for d in s.split("x")) for s in shapes.split("..")])
    config.add_optimization_profile(profile)
plan = builder.build_serialized_network(network, config)
if plan is None:
    sys.exit(2)
built = time.time()
with open(out, "wb") as f:
    f.write(plan)
print(json.dumps({"parse": parsed - start, "build": built - parsed,
                  "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10}))
