# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --constraint constraints.txt
OUT := out
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM := false

.PHONY: setup demo test test-slow lint tools bench bench-stats docs clean

# The CPU build of torch is installed by itself first, so that nothing pulls in a larger one.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) torch
	$(PIP) --editable '.[lm,plot,safety]'
	touch $@

$(VENV)/.all: $(VENV)/.base
	$(PIP) --editable '.[all,test,docs]'
	touch $@

setup: $(VENV)/.all

demo: $(VENV)/.base
	bash examples/demo.sh $(BIN)/assay $(OUT)

test: setup lint
	$(BIN)/python -m pytest -q -m "not slow"

test-slow: setup
	$(BIN)/python -m pytest -q -m slow

# System programs that some tests and trials use; without them those are skipped and say so. Needs root.
tools:
	apt-get install -y bubblewrap chromium shellcheck tesseract-ocr
	$(PYTHON) -m venv $(HOME)/.semgrep
	$(HOME)/.semgrep/bin/pip install --quiet semgrep
	ln -sf $(HOME)/.semgrep/bin/semgrep $(HOME)/.semgrep/bin/pysemgrep /usr/local/bin/

lint: setup
	$(BIN)/ruff check src tests examples benchmarks
	$(BIN)/mypy src/assay/engine src/assay/papers src/assay/models
	$(BIN)/lint-imports --no-cache

bench: setup
	$(BIN)/python -m pytest -q -s tests/engine/test_overhead.py
	$(BIN)/python -m pytest -q -s -m slow tests/engine/test_kill.py -k two_hundred

bench-stats: setup
	$(BIN)/python benchmarks/stats.py

docs: setup
	$(BIN)/python docs/generate.py
	$(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) $(OUT) site build dist
