# Everything runs from .venv, which the first target makes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RESULTS ?= runs
MOTO := .moto
LOGGERS := .loggers

.DEFAULT_GOAL := help
.PHONY: help quickstart test tests tests-on-clusters tests-of-loggers bundle-test fuzz chaos coverage kernels-table figures check clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[ray,hub,dev]'
	touch $@

quickstart: $(VENV)/installed ## install, train 72 small networks, draw and report them
	$(BIN)/lrlc run quickstart --results $(RESULTS)
	$(BIN)/lrlc plot quickstart --results $(RESULTS)
	$(BIN)/lrlc report quickstart --results $(RESULTS)
	@echo "tables, figures and report.html are in $(RESULTS)/quickstart"

test: $(VENV)/installed $(MOTO)/installed $(LOGGERS)/installed ## all tests, and check
	$(MAKE) --jobs 3 tests tests-on-clusters tests-of-loggers check

# One thread a test process: the threads of several that share a few cores wait for each other.
tests tests-on-clusters tests-of-loggers fuzz: export OMP_NUM_THREADS = 1

# More processes than cores: tests of Ray, of kills and of locks wait much of their time.
tests: ## the tests but those on a Ray cluster
	LRLC_MOTO_SERVER=$(CURDIR)/$(MOTO)/bin/moto_server \
		$(BIN)/python -m pytest --numprocesses 3 --dist loadgroup --ignore tests/on_clusters

# They wait for nodes most of the time, and need a process that runs no other Ray.
tests-on-clusters: ## the tests on a Ray cluster
	$(BIN)/python -m pytest tests/on_clusters

tests-of-loggers: $(LOGGERS)/installed ## the tests with TensorBoard, MLflow and W&B
	$(LOGGERS)/bin/python -m pytest tests/test_loggers.py

# The trackers' own packages over those of $(VENV), apart: MLflow and our pins disagree on pyarrow.
$(LOGGERS)/installed: $(VENV)/installed Makefile
	$(PYTHON) -m venv $(LOGGERS)
	$(BIN)/python -c 'import site; print(*site.getsitepackages())' \
		> "$$($(LOGGERS)/bin/python -c 'import site; print(*site.getsitepackages())')/ours.pth"
	$(LOGGERS)/bin/python -m pip install --quiet mlflow==3.17.2 wandb==0.31.0 tensorboard==2.21.0
	touch $@

# A real S3 server for the tests, apart: botocore and our pins disagree on python-dateutil.
$(MOTO)/installed: Makefile
	$(PYTHON) -m venv $(MOTO)
	$(MOTO)/bin/python -m pip install --quiet 'moto[server]==5.2.5'
	touch $@

# It fetches wheels, installs them in a bare Python without a network, and trains there.
bundle-test: $(VENV)/installed ## a bundle, made, run without a network, resumed and adopted (minutes)
	$(BIN)/python -m pytest -m bundle tests/test_bundle_run.py

# The suite's property tests with new random examples, round after round, until MINUTES are over or one fails.
fuzz: $(VENV)/installed ## property tests with new random examples, for MINUTES=10
	export LRLC_FUZZ_UNTIL=$$(( $$(date +%s) + 60 * $(or $(MINUTES),10) )); \
	while [ $$(date +%s) -lt $$LRLC_FUZZ_UNTIL ]; do \
		$(BIN)/python -m pytest -q -x -m hypothesis --hypothesis-profile fuzz --ignore tests/on_clusters || exit 1; \
	done

# A study of 210 trials through 30 kills, as often as RUNS says (some minutes each).
chaos: $(VENV)/installed ## a study through 30 kills, RUNS=1 times
	LRLC_CHAOS_RUNS=$(or $(RUNS),1) $(BIN)/python -m pytest -m chaos tests/on_clusters/test_chaos.py

# How often the verdicts of 2,000 simulated studies with a known truth are wrong (some hours).
coverage: $(VENV)/installed ## error rates of the verdicts, from 2,000 simulated studies
	LRLC_SIMULATED_STUDIES=2000 $(BIN)/python -m pytest -m coverage -s tests/test_claims_coverage.py

# About 4,200 kernels, 1.3 s of a core each.
kernels-table: $(VENV)/installed ## Triton kernels compiled for every target, and what the worst need (an hour)
	$(BIN)/python -m lrlc.harness.bench.kernel_sweep --workers $$(nproc)

# The figures that the docs show, from the committed tables.
DRAW = $(BIN)/lrlc plot $(1) --results results/reference --out docs/images/$(1) --format png $(2:%=--only %)
figures: $(VENV)/installed ## the figures of the docs, from the committed tables
	$(call DRAW,trained_16px,rank_vs_accuracy differences placement_rank pareto learning_curves tuning)
	$(call DRAW,trained_16px,combining_weights combining_weights_by_image effective_rank test_shift)
	$(call DRAW,shifted_16px,translated alignment)
	$(call DRAW,search_rank_and_placement,search_history search_importance)

check: $(VENV)/installed ## style, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean: ## remove what was installed and built
	rm -rf $(VENV) $(MOTO) $(LOGGERS) build dist .mypy_cache .pytest_cache .ruff_cache
