# Everything runs from .venv, which the first target makes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RESULTS ?= runs

.PHONY: quickstart test chaos check clean

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

# A study of 210 trials through 30 kills, as often as RUNS says (some minutes each).
chaos: $(VENV)/installed
	LRLC_CHAOS_RUNS=$(or $(RUNS),1) $(BIN)/python -m pytest -m chaos tests/test_chaos.py

check: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
