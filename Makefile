# Everything runs from .venv, which the first target makes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RESULTS ?= runs

.PHONY: quickstart test check clean

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[ray,hub,dev]'
	touch $@

quickstart: $(VENV)/installed
	$(BIN)/lrlc run quickstart --results $(RESULTS)
	$(BIN)/lrlc plot quickstart --results $(RESULTS)
	$(BIN)/lrlc report quickstart --results $(RESULTS)
	@echo "tables, figures and report.html are in $(RESULTS)/quickstart"

test: check
	$(BIN)/python -m pytest --numprocesses 2

check: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
