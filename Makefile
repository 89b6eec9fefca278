# Every target shares one .venv, made on first use. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
TEST_PROCESSES ?= 2
STAMP := .venv/.installed

.PHONY: help demo test check bench services format clean chaos mutations docs

help: ## What can be made here
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

.venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "dicomcast needs Python 3.11 or later; name one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv; echo "python3 -m venv failed. On Debian and Ubuntu: apt-get install python3-venv (or python3.11-venv), then try again." >&2; exit 1; }
	@echo "Installing dicomcast into .venv (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --editable '.[dev]'
	@touch $@

demo: .venv ## A DICOM file becomes a FHIR ImagingStudy, with nothing but Python installed (about a minute)
	@$(BIN)/dicomcast-sandbox demo $(DEMO_OPTIONS)

# Each process has servers of its own; a file's tests stay together. TEST_PROCESSES=0: one after another, in one process.
test: .venv ## All tests; those that need Kafka, HAPI FHIR, Orthanc or the registry are skipped where these are missing
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile $(TEST_OPTIONS)

services: .venv ## Download the real services that the tests use (Java 17, Maven and, for Orthanc, apt as root)
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash tests/services/install.sh kafka hapi validator orthanc registry strimzi

check: .venv ## Lint, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: .venv ## Rewrite the sources in the project's format
	@$(BIN)/ruff check --fix-only --quiet . ; $(BIN)/ruff format --quiet .

chaos: .venv ## The whole line while everything fails (SECONDS=900 SEED=7), and whether anything was lost
	@$(BIN)/python -m tests.chaos $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) $(CHAOS_OPTIONS)

mutations: .venv ## Puts every known bug back, in a copy: does a test see it? (Kafka installed; MUTATIONS_OPTIONS=--quick)
	@$(BIN)/python -m tests.mutations $(MUTATIONS_OPTIONS)

bench: .venv ## What it costs, beside what it is compared with (BENCH_OPTIONS="mapping --quick" for a part, in tiny sizes)
	@$(BIN)/python -m benchmarks $(BENCH_OPTIONS)

docs: .venv ## The documentation as a site in build/site; a link that leads nowhere fails it
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "build/site/index.html"

clean: ## Remove what was built here
	@rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache
