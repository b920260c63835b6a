# Everything runs from .venv, which the first target creates.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RESULTS ?= runs
MOTO := .moto
LOGGERS := .loggers

.DEFAULT_GOAL := help
.PHONY: help quickstart test tests tests-on-clusters proofs proofs-here proofs-on-clusters tests-of-loggers bundle-test fuzz chaos coverage kernels-table figures file-index check clean

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

test: $(VENV)/installed $(MOTO)/installed ## all tests except the proofs, and check
	$(MAKE) --jobs 3 tests tests-on-clusters check

proofs: $(VENV)/installed $(LOGGERS)/installed ## longer tests, of code that few changes touch: kills, wheels, layout, benchmarks, trackers
	$(MAKE) --jobs 3 proofs-here proofs-on-clusters tests-of-loggers

# One thread per test process, as threads of several processes on a few cores would wait for each other. Tests start
# hundreds of Python processes, which would each compile our sources if told not to keep the compiled form.
TESTING = tests tests-on-clusters tests-of-loggers proofs-here proofs-on-clusters fuzz
$(TESTING): export OMP_NUM_THREADS = 1
$(TESTING): export PYTHONDONTWRITEBYTECODE =

# More processes than cores, as tests of Ray, kills and locks mostly wait.
tests: ## all tests except those on a Ray cluster
	LRLC_MOTO_SERVER=$(CURDIR)/$(MOTO)/bin/moto_server \
		$(BIN)/python -m pytest --numprocesses 4 --dist loadgroup --ignore tests/on_clusters

# They mostly wait for nodes, and need a process without another Ray.
tests-on-clusters: ## the tests on a Ray cluster
	$(BIN)/python -m pytest tests/on_clusters

proofs-here: $(VENV)/installed
	$(BIN)/python -m pytest -m proof --numprocesses 3 --dist loadgroup --ignore tests/on_clusters

proofs-on-clusters: $(VENV)/installed
	$(BIN)/python -m pytest -m proof tests/on_clusters

tests-of-loggers: $(LOGGERS)/installed ## the tests with TensorBoard, MLflow and W&B
	$(LOGGERS)/bin/python -m pytest tests/test_loggers.py

# The trackers' packages on top of those in $(VENV), but separate, as MLflow and our pins disagree on pyarrow.
$(LOGGERS)/installed: $(VENV)/installed Makefile
	$(PYTHON) -m venv $(LOGGERS)
	$(BIN)/python -c 'import site; print(*site.getsitepackages())' \
		> "$$($(LOGGERS)/bin/python -c 'import site; print(*site.getsitepackages())')/ours.pth"
	$(LOGGERS)/bin/python -m pip install --quiet mlflow==3.17.2 wandb==0.31.0 tensorboard==2.21.0
	touch $@

# A real S3 server for the tests, in a separate environment, as botocore and our pins disagree on python-dateutil.
$(MOTO)/installed: Makefile
	$(PYTHON) -m venv $(MOTO)
	$(MOTO)/bin/python -m pip install --quiet 'moto[server]==5.2.5'
	touch $@

# Fetches wheels, installs them in a bare Python without a network, and trains there.
bundle-test: $(VENV)/installed ## create a bundle, run it without a network, resume and adopt it (minutes)
	$(BIN)/python -m pytest -m bundle tests/test_bundle_run.py

# The suite's property tests with new random examples, repeated until MINUTES have passed or one fails.
fuzz: $(VENV)/installed ## property tests with new random examples, for MINUTES=10
	export LRLC_FUZZ_UNTIL=$$(( $$(date +%s) + 60 * $(or $(MINUTES),10) )); \
	while [ $$(date +%s) -lt $$LRLC_FUZZ_UNTIL ]; do \
		$(BIN)/python -m pytest -q -x -m hypothesis --hypothesis-profile fuzz --ignore tests/on_clusters || exit 1; \
	done

# A study of 210 trials through 30 kills, RUNS times (a few minutes each).
chaos: $(VENV)/installed ## a study through 30 kills, RUNS=1 times
	LRLC_CHAOS_RUNS=$(or $(RUNS),1) $(BIN)/python -m pytest -m chaos tests/on_clusters/test_chaos.py

# How often the verdicts of 2,000 simulated studies with a known truth are wrong (takes hours).
coverage: $(VENV)/installed ## error rates of the verdicts, from 2,000 simulated studies
	LRLC_SIMULATED_STUDIES=2000 $(BIN)/python -m pytest -m coverage -s tests/test_claims_coverage.py

# About 4,200 kernels, each taking 1.3 s on a core.
kernels-table: $(VENV)/installed ## compile the Triton kernels for every target, and show the worst resource needs (an hour)
	$(BIN)/python -m lrlc.harness.bench.kernel_sweep --workers $$(nproc)

# The figures that the docs show, from the committed tables.
DRAW = $(BIN)/lrlc plot $(1) --results results/reference --out docs/images/$(1) --format png $(2:%=--only %)
figures: $(VENV)/installed ## draw the figures of the docs from the committed tables
	$(call DRAW,trained_16px,rank_vs_accuracy differences placement_rank pareto learning_curves tuning)
	$(call DRAW,trained_16px,combining_weights combining_weights_by_image effective_rank test_shift)
	$(call DRAW,longer_16px,differences learning_curves)
	$(call DRAW,rates_16px,differences tuning)
	$(call DRAW,shifted_16px,translated alignment)
	$(call DRAW,search_rank_and_placement,search_history search_importance)

file-index: $(VENV)/installed ## write the list of files in docs/architecture.md
	$(BIN)/python tests/support/file_index.py

check: $(VENV)/installed ## style, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean: ## remove everything installed and built
	rm -rf $(VENV) $(MOTO) $(LOGGERS) build dist .mypy_cache .pytest_cache .ruff_cache
