# BACO's tasks. Everything runs in .venv, which is made once and again only when pyproject.toml changes.
# Choose another interpreter with `make PYTHON=python3.12 ...`, other arguments with NETWORK=, MACHINE=, EXPLORE_ARGS= and PYTEST_ARGS=,
# and with JOBS= how many tests run at once.

PYTHON ?= python3
NETWORK ?= resnet50
EXPLORE_ARGS ?=
MACHINE ?= gemmini-default
PYTEST_ARGS ?=
JOBS ?= auto
PYTEST = $(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal $(PYTEST_ARGS)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
RUNTIME := $(VENV)/.made-runtime
DEV := $(VENV)/.made-dev

.DEFAULT_GOAL := help
.PHONY: help explore doctor test browser verilator lint long format bench speed area docs clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

explore: $(RUNTIME)  ## find hardware and mappings for NETWORK (resnet50), compile and run layers of it
	$(BIN)/baco explore $(NETWORK) $(EXPLORE_ARGS)

doctor: $(RUNTIME)  ## list what BACO uses and whether it is here
	$(BIN)/baco doctor

test: lint browser verilator  ## everything that must pass: format, lint, import direction, tests
	$(PYTEST)

# The pages of `baco explore` are tested in a browser. Where there is none and none can be had, those tests are skipped.
browser:
	@command -v chromium chromium-browser google-chrome >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null; } \
		|| echo "note: no Chromium here (apt-get install chromium); the tests of pages in a browser are skipped."

# The hardware's tests want Verilator; without it they are skipped.
verilator:
	@command -v verilator >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends verilator g++ >/dev/null; } \
		|| echo "note: no Verilator here (apt-get install verilator); the tests of the hardware are skipped."

lint: $(DEV)  ## format, lint and import direction only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

long: verilator $(DEV)  ## the tests that take minutes
	$(PYTEST) -m long

format: $(DEV)  ## format the source and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEV)  ## compile time, and figures of the code for products and ResNet-50's layers
	$(BIN)/python benchmarks/compiler.py

speed: $(DEV)  ## a whole ResNet-50 on the functional simulator, and on Spike where it is
	$(BIN)/python benchmarks/simulator.py

area: $(RUNTIME)  ## gates, flip-flops and memory of the RTL, by module (needs yosys; minutes)
	$(BIN)/python -m baco.sim.rtl_area $(MACHINE)

docs: $(DEV)  ## write the generated pages of docs/ again
	@for script in docs/generate_*.py; do \
		if [ -e "$$script" ]; then echo "$$script" && $(BIN)/python "$$script" || exit 1; fi; \
	done

clean:  ## remove the environment and everything else that can be made again
	rm -rf $(VENV) build dist *.egg-info baco-out .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# PyTorch comes first and by itself: asked for by another package's open range it would bring its newest build, with gigabytes of GPU libraries.
TORCH := $(shell sed -nE 's/^ *"(torch==[^"]+)".*/\1/p' pyproject.toml)

$(RUNTIME): pyproject.toml | $(BIN)/python
	$(PIP) '$(TORCH)'
	$(PIP) --editable .
	@touch $@

# Triton reads the kernels of the tests of baco.from_triton, which are skipped without it. It comes without its dependencies (it has none),
# because PyTorch builds for GPUs pin an older one that they do not need here; it has no builds but for Linux.
TRITON := triton==3.9.0

$(DEV): pyproject.toml $(RUNTIME)
	$(PIP) --editable '.[dev]'
	@[ "$$(uname -s)" != Linux ] || $(PIP) --no-deps '$(TRITON)' || echo "note: no $(TRITON) here; the tests of baco.from_triton are skipped."
	@touch $@

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "error: no $(PYTHON) here; install Python 3.11 or newer, or name one with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error: BACO needs Python 3.11 or newer, but $(PYTHON) is $$($(PYTHON) -V); name another with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y python3-venv; \
		else \
			echo "error: $(PYTHON) cannot make environments; install it with: sudo apt-get install python3-venv" >&2; exit 1; \
		fi; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
