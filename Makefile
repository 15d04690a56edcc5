# Needs Python 3.11 to 3.14 and make; everything else is installed into .venv.
#
# PYTHON=python3.13 chooses the interpreter of a new environment, VENV=folder another place for it.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
TESTS ?=
WORKERS ?= auto
# A little of every storey that needs no server: what another Python is tried with.
FEW := $(addprefix tests/,test_mistakes.py engine/test_oracle.py features/historical/test_oracle.py \
	pipeline/test_runner.py lake/versioned/test_open_format.py online/answering/test_cases.py \
	serving/test_running.py::test_a_signal_ends_it_cleanly \
	test_cli.py::test_predict_prints_the_backtest_the_predictions_and_the_reasons)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env demo test test-on lint format bench lock clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

env: $(STAMP) ## Install the locked dependencies and penstock itself into .venv (PYTHON=python3.13 chooses)
	@[ -z "$(PYTHON)" ] || [ "$$($(PYTHON) -V)" = "$$($(BIN)/python -V)" ] || { \
		echo "$(VENV) has $$($(BIN)/python -V): make clean first, or say VENV=another-folder" >&2; exit 1; }

demo: env ## Make a telecom database, predict who leaves it, and print the evidence
	@$(BIN)/penstock demo

test: env ## Run every test (TESTS="tests/test_x.py -k word" for some, WORKERS=0 for one process)
	$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder $(TESTS)

test-on: ## Run a few tests on another Python (PYTHON=python3.13), in an environment that is removed afterwards
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && PIP_NO_COMPILE=1 HYPOTHESIS_PROFILE=dev \
		$(MAKE) --no-print-directory test VENV="$$folder/venv" WORKERS=0 TESTS="$(FEW)"

lint: env ## Check style, formatting, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: env ## Rewrite the source in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: env ## Measure against the floors (minutes; never part of the tests)
	$(BIN)/python -m benchmarks

lock: $(BIN)/python ## Choose the versions anew after pyproject.toml changed (LOCK=--upgrade for the newest)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install -qq uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --group dev \
		--custom-compile-command "make lock" --output-file requirements.lock $(LOCK) pyproject.toml
	@! grep -nE '://|^-|/' requirements.lock || { echo "requirements.lock names a place"; exit 1; }

clean: ## Remove .venv and everything that tools left behind
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing $$(grep -c '==' requirements.lock) packages into $(VENV), about a minute ..." >&2
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -c 'import lightgbm' 2>/dev/null || { echo "LightGBM needs the OpenMP runtime" \
		"(apt-get install libgomp1, dnf install libgomp, or brew install libomp)" >&2; exit 1; }
	@echo "Compiling the kernels, once, some ten seconds ..." >&2
	@$(BIN)/python -m compileall -q penstock
	@$(BIN)/python -c 'from penstock.engine.kernels import warm; warm()'
	@touch $@

# The newest Python that can make an environment, or PYTHON and no other.
$(BIN)/python:
	@for python in $(or $(PYTHON),python3.14 python3.13 python3.12 python3.11 python3 python); do \
		if $$python -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; \
		then exec $$python -m venv --clear $(VENV); fi; \
	done; \
	echo "penstock needs Python 3.11 to 3.14 with venv (on Debian: apt-get install python3-venv);" \
		"$(if $(PYTHON),$(PYTHON) is none,none is on PATH)" >&2; exit 1
