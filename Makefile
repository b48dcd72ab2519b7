# One command per chore; `make` alone lists them. Everything lives in .venv and .local, both ignored by git.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
UV_VERSION := 0.13.9
BIN := .venv/bin
PORT ?= 8080
KIND ?= event_bus
ENGINE ?= standalone
SEEDS ?= 100000
SEED ?= 1
FORM ?= long
SBOM ?= .local/sbom.json
MUTANTS ?= 300
RUN := PYTHONPATH=include $(BIN)/python -m
TESTS := $(RUN) pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
COMPILE := $(RUN) uv pip compile --quiet --no-emit-index-url --python-version 3.11

.DEFAULT_GOAL := help
.PHONY: help install demo up test slow browser cluster matrix fuzz chaos simulate schemas screenshots lint format \
  bench requirements audit sbom mutants coverage scale clean

help:            ## list these commands
	@grep -E '^[a-z]+: .*##|^[a-z]+:  +##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 14

install: .venv/.installed  ## set up .venv with everything to run and test

.venv/.installed: requirements.lock requirements-dev.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; v == (3, 11) or sys.exit("Python 3.11 is needed, %d.%d was found: install it, or say make PYTHON=/path/to/python3.11" % v)'
	@echo "Setting up .venv, once and when a requirement changes: some 230 packages, 1.7 GB."
	@echo "This takes about half a minute, and the time to download them."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(RUN) pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(RUN) uv pip sync --quiet --python $(BIN)/python --compile-bytecode requirements.lock requirements-dev.lock
	@touch $@

demo: install    ## export sample events to a local EventBridge and print the account; KIND=partner_source or custom_bus
	@$(RUN) tests.tools.demo --kind $(KIND)

up: install      ## Airflow UI on 127.0.0.1 with the demo connector; ENGINE=celery for workers over Postgres and Redis
	@$(if $(filter celery,$(ENGINE)),.ci/packages,:)
	@$(RUN) tests.tools.up$(if $(filter celery,$(ENGINE)),_cluster) --port $(PORT)

test: install    ## run the tests, but for those below
	@$(TESTS) -m "not (slow or browser or cluster)"

slow: install    ## run the slow tests: more of Airflow, and long ones, which FORM=short leaves out
	@$(TESTS) -m "slow and not (browser or cluster$(if $(filter short,$(FORM)), or long))"

browser: install  ## run the tests that click through the UI; they need Chromium
	@$(TESTS) -m browser

cluster: install  ## run the tests of Airflow with Celery workers; FORM=short without those that run on one machine too
	@.ci/packages
	@$(TESTS) --numprocesses 0 -m "cluster$(if $(filter short,$(FORM)), and not slow)"

matrix: install  ## test the wheel in clean environments: constraints of Airflow and MWAA, lowest and newest versions
	@.ci/matrix

fuzz: install    ## deliver SEEDS damaged files, and show those that met no fate
	@$(RUN) tests.tools.hostile_run find 0 $(SEEDS)

chaos: install   ## export hours on a cluster while everything fails in turn; FORM=short for a quarter of an hour
	@.ci/packages
	@$(RUN) tests.chaos $(if $(filter short,$(FORM)),--short) --seed $(SEED)

simulate: install  ## play SEEDS histories of workers and faults, and show those that break a promise
	@$(RUN) tests.simulation 0 $(SEEDS)

schemas: install  ## write the JSON Schemas of the events to docs/schemas/
	@$(RUN) tests.tools.schemas

screenshots: install  ## retake the pictures in the docs
	@CURRENTS_SCREENSHOTS=docs/images $(RUN) pytest tests/dags/test_browser.py tests/dags/test_connect_browser.py tests/dags/test_page_browser.py

lint: install    ## ruff and strict mypy
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy

format: install  ## let ruff fix and format the files
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .

bench: install   ## measure speed and memory against baselines (a quarter of an hour)
	@$(RUN) benchmarks.results

coverage: install  ## show which lines of include/ its quick tests do not reach; fails below 97 %
	@mkdir -p .local/coverage
	@$(RUN) coverage erase
	@$(RUN) coverage run -m pytest --numprocesses 2 --dist loadfile -m "not slow" tests/include
	@$(RUN) coverage combine --quiet
	@$(RUN) coverage report

mutants: install  ## plant MUTANTS small mistakes in the core, and show those that no test notices
	@$(RUN) tests.tools.mutation_run 1 $(MUTANTS)

scale: install   ## measure how cost grows with workers, files, rows and hours (an hour)
	@$(RUN) benchmarks.scale

# Versions stay as they are where the ranges allow it: to move one, delete its line from the lock first.
requirements: install  ## compile the locks from requirements.txt and pyproject.toml
	@$(COMPILE) requirements.txt -o requirements.lock
	@$(COMPILE) --group dev -c requirements.lock -o requirements-dev.lock

audit: install   ## look whether a locked package has a known vulnerability; says so where no source answers
	@$(RUN) tests.tools.audit
	@$(RUN) tests.tools.audit --lock requirements-dev.lock

# It lists the packages, and not which needs which: cyclonedx-py warns of that.
sbom: install    ## write the bill of materials (CycloneDX) of what the lock installs to SBOM
	@mkdir -p $(dir $(SBOM))
	@PYTHONWARNINGS=ignore $(RUN) cyclonedx_py requirements requirements.lock --pyproject pyproject.toml --short-PURLs --output-reproducible --output-file $(SBOM)

clean:           ## remove .venv, .local and every cache
	@rm -rf .venv .local .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
