# Every target sets up .venv by itself, with the versions in constraints.txt. PYTHON=python3.12 chooses the interpreter.
PYTHON ?= python3
ARGS ?=

# Relative on purpose: the path of the checkout may hold a space.
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
UNFINISHED := $(VENV)/.unfinished
PIP := $(PY) -m pip --disable-pip-version-check -qq

export PYTHONUTF8 := 1

.PHONY: help setup run test bench docs fuzz lint clean
.DEFAULT_GOAL := help

help:  ## show this list
	@echo "mho: accuracy, area, energy and latency of analog in-memory computing"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null \
	  || sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1: \2/p' Makefile
	@echo 'PYTHON=python3.12 chooses the interpreter; ARGS="..." is handed on to run, test, bench and fuzz.'

setup: $(READY)  ## make .venv (3.10 to 3.13; a few minutes the first time, instant afterwards)

# The stamp is written last. A set-up that was cut short leaves .unfinished behind, and the next one starts afresh, as it
# does where .venv holds no Python that runs; a sound .venv that somebody else made is used, not wiped.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' \
	  || { echo "mho needs Python 3.10 to 3.13, and '$(PYTHON)' is not one: try make PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up $(VENV) (PyTorch and the rest are large: this takes a few minutes, once)" >&2
	@if [ -e $(UNFINISHED) ] || ! $(PY) -c '' 2>/dev/null; then rm -rf $(VENV); fi
	@mkdir -p $(VENV) && touch $(UNFINISHED)
	@$(PY) -c 'import pip' 2>/dev/null || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --only-binary aihwkit -c constraints.txt -e '.[speech,test,dev]'
	@mv $(UNFINISHED) $(READY)
	@touch $(READY)

run: $(READY)  ## spot keywords on memristive crossbars and write the report to runs/kws
	@$(PY) -m mho run kws -o runs/kws --force $(ARGS)

test: $(READY)  ## run the tests
	@$(PY) -m pytest -n auto --dist loadfile $(ARGS)

bench: $(READY)  ## time mho beside its peers and write benchmarks/results.json
	@$(PY) -c 'import graphblas, psutil, snntorch' 2>/dev/null || $(PIP) install -c constraints.txt -e '.[bench]'
	@$(PY) -m benchmarks $(ARGS)

docs: $(READY)  ## build the documentation into build/site; a warning is an error
	@$(PY) -m mkdocs build --strict $(ARGS)

fuzz: $(READY)  ## answer 10,000 damaged and odd inputs, two at a time; ARGS="--each 80" for fewer
	@$(PY) -m benchmarks.fuzz $(ARGS)

lint: $(READY)  ## ruff, mypy --strict and the contract of the imports
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy devices crossbar periphery mappings workloads configs mho
	@$(VENV)/bin/lint-imports

clean:  ## remove .venv, builds and caches (results in runs/ stay)
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks \
	  .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
