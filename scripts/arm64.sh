#!/usr/bin/env bash
# Tests the packages that carry arm64 assembly, on an emulated arm64 where the machine is another.  usage: arm64.sh [GO TEST FLAGS]
set -euo pipefail
export GOOS=linux GOARCH=arm64
packages=$(go list -f '{{if .SFiles}}{{.ImportPath}}{{end}}' ./...)
[ -n "$packages" ] || { echo "arm64: no package has arm64 assembly"; exit 0; }
on=()
[ "$(uname -m)" = aarch64 ] || on=(-exec qemu-aarch64)
# shellcheck disable=SC2086
go test "${on[@]}" "$@" $packages
# whole models, against onnxruntime's answers
go test "${on[@]}" -run 'TestCompiledModels.*/^(digits|tf_sepdeconv|rnn_mix|hf_bert)$' .
