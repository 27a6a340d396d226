# Every target makes .venv by itself where it is missing or older than pyproject.toml.
# PYTHON=python3.12 chooses the interpreter; otherwise .venv's own, then the first that serves.

.PHONY: help demo test lint bench bench-quick lowest clean
.DEFAULT_GOAL := help

serves = $(shell $(1) -c 'import sys; sys.version_info >= (3, 11) and print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
PYTHON := $(or $(PYTHON),$(firstword $(foreach python,.venv/bin/python python3 python3.13 python3.12 python3.11,$(if $(call serves,$(python)),$(python)))))
VERSION := $(if $(PYTHON),$(call serves,$(PYTHON)))

BIN := .venv/bin
INSTALLED := .venv/installed-for-$(VERSION)

help:
	@echo "make demo     differentiate 1.4 GB of zarr within 512 MiB, and draw the results in demo/"
	@echo "make test     everything: lint, then all tests"
	@echo "make lint     ruff, mypy, import-linter, typos"
	@echo "make bench    benchmarks with the peers beside, and the tables in benchmarks/README.md"
	@echo "make bench-quick    the same on less, in two minutes; prints the tables and keeps nothing"
	@echo "make lowest   the tests on the lowest versions that pyproject.toml declares"
	@echo "make clean    remove what the other targets made, .venv included"

demo: $(INSTALLED)
	@$(BIN)/bigrad demo

test: lint
	@$(BIN)/pytest -q -n logical

lint: $(INSTALLED)
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo "not formatted: run $(BIN)/ruff format"; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo > .venv/lint-imports.log || { cat .venv/lint-imports.log; exit 1; }
	@$(BIN)/typos

bench: .venv/installed-peers
	@mkdir -p .benchmarks
	@$(BIN)/pytest -q benchmarks --benchmark-enable --benchmark-quiet --bench-size=full --benchmark-json=.benchmarks/full.json
	@$(BIN)/python -m benchmarks.report .benchmarks/full.json --write

bench-quick: .venv/installed-peers
	@mkdir -p .benchmarks
	@$(BIN)/pytest -q benchmarks --benchmark-enable --benchmark-quiet --bench-size=quick --benchmark-json=.benchmarks/quick.json
	@$(BIN)/python -m benchmarks.report .benchmarks/quick.json

lowest: .venv/lowest/installed
	@.venv/lowest/bin/pytest -q -n logical

clean:
	@rm -rf .venv demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks
	@find bigrad tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml
	@$(if $(VERSION),,echo 'bigrad needs Python 3.11 or newer$(if $(PYTHON), and "$(PYTHON)" is not,; none was found): name one with PYTHON=/path/to/python'; exit 1)
	@test "$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$(VERSION)" \
	  || { echo "making .venv with $(PYTHON)"; $(PYTHON) -m venv --clear .venv; }
	@echo "installing bigrad and its tools into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

.venv/installed-peers: $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

.venv/lowest/installed: $(INSTALLED)
	@$(BIN)/python -m venv --clear .venv/lowest
	@.venv/lowest/bin/python -m pip install --quiet --disable-pip-version-check uv
	@.venv/lowest/bin/uv pip install --quiet --python .venv/lowest --resolution lowest-direct --editable '.[test]'
	@touch $@
