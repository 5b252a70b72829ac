#!/bin/sh
# Puts NVIDIA's TensorRT for RTX (a builder that needs no GPU) and ptxas where hone looks for them:
#   ${HONE_CACHE:-~/.cache/hone}/tensorrt/VERSION and .../tensorrt/ptxas
# and NVIDIA's Python bindings beside them, which the tests compare plans with.
#
#   tensorrt_setup.sh [VERSION...]     # 1.7.1.116 where none is named; known: 1.4.0.76 1.5.0.114 1.6.1.120 1.7.1.116
#
# All of it comes from PyPI under NVIDIA's licence. Nothing is done twice. Needs python3 with pip; linux/amd64 and linux/arm64.
set -eu

newest=1.7.1.116
ptxas=12.9.86
cache=${HONE_CACHE:-$HOME/.cache/hone}/tensorrt
mkdir -p "$cache"
work=$(mktemp -d "$cache/.setup.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM

# fetch PACKAGE VERSION: one wheel, unpacked into $work/PACKAGE
fetch() {
	python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: -d "$work" "$1==$2"
	python3 -m zipfile -e "$work"/$(echo "$1" | tr - _)-"$2"-*.whl "$work/$1"
}

for version in ${*:-$newest}; do
	if [ ! -e "$cache/$version/libtensorrt_rtx.so.1" ]; then
		echo "TensorRT for RTX $version -> $cache/$version"
		fetch tensorrt-rtx-cu13-libs "$version"
		mv "$work/tensorrt-rtx-cu13-libs/tensorrt_rtx_libs" "$cache/$version"
		rm -rf "$work"/tensorrt*
	fi
done

if [ ! -x "$cache/ptxas/ptxas" ]; then
	echo "ptxas $ptxas -> $cache/ptxas"
	fetch nvidia-cuda-nvcc-cu12 "$ptxas"
	mkdir -p "$cache/ptxas"
	mv "$work/nvidia-cuda-nvcc-cu12/nvidia/cuda_nvcc/bin/ptxas" "$cache/ptxas/ptxas"
	chmod +x "$cache/ptxas/ptxas"
	rm -rf "$work"/nvidia*
fi

# The bindings load the libraries of the same version, by the path that they are told.
if [ ! -d "$cache/python/tensorrt_rtx_bindings" ]; then
	echo "NVIDIA's Python bindings $newest -> $cache/python"
	if python3 -m pip install -q --disable-pip-version-check --no-deps --only-binary :all: --target "$work/python" \
		"tensorrt-rtx-cu13-bindings==$newest"; then
		rm -rf "$cache/python"
		mv "$work/python" "$cache/python"
	else
		echo "no bindings for this Python: the comparison with them will be skipped" >&2
	fi
fi
