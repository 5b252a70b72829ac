# make test        the daily round: everything that CI runs, set-up included
# make verify-all  the whole matrix: every model, level, tier and input
# make bench       the benchmark table, next to onnxruntime and openvino
export HONE_CACHE ?= $(HOME)/.cache/hone
export CGO_ENABLED = 0

SHELL     := bash
PYTHON    := $(HONE_CACHE)/venv/bin/python
PLATFORMS := linux/amd64 linux/arm64 darwin/arm64 windows/amd64

.PHONY: test verify-all bench setup setup-tensorrt lint cross fuzz arm64 unit
.NOTPARALLEL:

test: setup lint cross fuzz arm64 unit

setup: setup-tensorrt
	@python3 scripts/setup.py

setup-tensorrt:
	@scripts/tensorrt_setup.sh

lint:
	@bad=$$(gofmt -l .); [ -z "$$bad" ] || { echo "gofmt would change:"; echo "$$bad"; exit 1; }
	go mod tidy -diff
	go vet ./...
	GOOS=linux GOARCH=arm64 go vet ./...
	$(HONE_CACHE)/bin/staticcheck ./...

cross:
	@for p in $(PLATFORMS); do echo "build $$p"; GOOS=$${p%/*} GOARCH=$${p#*/} go build ./... || exit 1; done

fuzz:
	scripts/fuzz.sh 30s

arm64:
	scripts/arm64.sh -short

unit:
	go test -timeout 20m ./...
