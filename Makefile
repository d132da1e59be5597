# What this project can do for you; each target sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin
OUT ?= demo

.PHONY: help env demo test check format clean

help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

env: .venv/ready ## make .venv with all that tests and benchmarks need

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip -c constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt --editable . --group dev
	@touch $@

demo: env ## explain a simulated scene; the report lands in ./demo
	$(BIN)/sitscope demo --out $(OUT) --overwrite

test: env ## run the tests
	$(BIN)/python -m pytest -n 2

check: env ## format, lint, types, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2

format: env ## put every file into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove what the other targets made
	rm -rf .venv demo .pytest_cache .mypy_cache .ruff_cache
