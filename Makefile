# Each target works alone on a fresh clone: it needs Python 3.11 or later and the package registry.

PYTHON ?= python3
BIN := .venv/bin
# Two test workers, each with one thread in torch: two cores are busy and none is fought over.
WORKERS ?= 2

.PHONY: setup demo test lint bench

setup: .venv/.dev

demo: setup
	$(BIN)/zeropoint demo

test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: .venv/.bench
	$(BIN)/python -m benchmarks.run

.venv/.dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

.venv/.bench: .venv/.dev
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,bench]'
	touch $@
