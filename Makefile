# make test        the daily round: everything that CI runs, set-up included
# make verify-all  the whole matrix: every model, level, tier and input
# make setup       what the tests need beside Go: tools, models, reference answers, ONNX's own tests
# make bench       the benchmark table, next to onnxruntime and openvino
export HONE_CACHE ?= $(HOME)/.cache/hone
export CGO_ENABLED = 0

SHELL     := bash
PYTHON    := $(HONE_CACHE)/venv/bin/python
PLATFORMS := linux/amd64 linux/arm64 darwin/arm64 windows/amd64

.PHONY: test verify-all bench setup setup-full tools lint cross fuzz arm64 unit
.NOTPARALLEL:

test: setup lint cross fuzz arm64 unit

verify-all: export HONE_FULL = 1
verify-all: setup-full lint cross
	scripts/fuzz.sh 2m
	scripts/arm64.sh
	go test -timeout 3h ./...
	cd examples/custompass && go test ./...

bench: tools
	@python3 scripts/setup.py --requirements scripts/requirements-bench.txt
	@$(PYTHON) scripts/models.py --full
	go build -o bin/hone ./cmd/hone
	$(PYTHON) scripts/bench.py --out docs/BENCHMARKS.md

setup: tools
	@PATH="$(HONE_CACHE)/venv/bin:$$PATH" scripts/tensorrt_setup.sh
	@$(PYTHON) scripts/conform.py
	@$(PYTHON) scripts/models.py
	@$(PYTHON) scripts/oracle.py

setup-full: setup
	@$(PYTHON) scripts/models.py --full
	@$(PYTHON) scripts/oracle.py --full
	@[ -d $(HONE_CACHE)/digits/fold_4 ] || $(PYTHON) scripts/train_digits.py --folds 5

tools:
	@python3 scripts/setup.py

lint:
	@bad=$$(gofmt -l .); [ -z "$$bad" ] || { echo "gofmt would change:"; echo "$$bad"; exit 1; }
	go mod tidy -diff
	go vet ./...
	cd examples/custompass && go mod tidy -diff && go vet ./...
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
	cd examples/custompass && go test ./...
