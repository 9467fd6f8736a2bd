# Suptree's commands. `make` alone lists them. Every command sets up what it needs and costs nothing when it is there.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CLUSTER ?= local
# Each worker has a cluster of its own; three of them keep two cores busy.
E2E_WORKERS ?= 3
# Without its cache of compiled modules every Python process compiles everything again: tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help

help: ## list the commands
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/.installed: requirements-dev.lock pyproject.toml
	@echo "Setting up $(VENV) (about a minute the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Suptree needs Python 3.11 or newer: set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(BIN)/.installed ## install the virtual environment (done by every other command)

# Lint, types, layers and the tests without a cluster.
verify: setup ## lint, types, layers, unit tests (70 seconds)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports
	@$(BIN)/pytest -q tests -n 2 --dist worksteal

conformance: setup ## 2,000 fresh scenarios on Erlang's own supervisor, compared with the core
	@$(BIN)/python -m tests.conformance

build-cluster: setup ## build the local cluster's programs (8 minutes the first time)
	@$(BIN)/python -m e2e.cluster build

build-image: setup ## build the operator's image without Docker, as root (40 seconds the first time); FILE=suptree.tar writes it
	@$(BIN)/python -m e2e.image $(FILE)

e2e: setup $(if $(filter local,$(CLUSTER)),build-cluster build-image) ## end-to-end tests; CLUSTER=local (default), kind or kubeconfig; KUBERNETES=1.37 or 1.36
	@CLUSTER=$(CLUSTER) $(BIN)/pytest -q e2e $(if $(filter local,$(CLUSTER)),-n $(E2E_WORKERS) --dist loadfile --no-loadscope-reorder)

test: verify e2e ## every test

demo: build-cluster ## the main job on a local cluster; KEEP=1 leaves it up
	@$(BIN)/python -m e2e.demo $(if $(KEEP),--keep)

bench: build-cluster ## speed, beside the floor (about 5 minutes)
	@$(BIN)/python -m e2e.bench

dashboard: build-cluster ## draw the dashboard again, from a real run on fake nodes (docs/dashboard.svg)
	@$(BIN)/python -m e2e.dashboard docs/dashboard.svg

diagrams: setup ## draw the diagrams again, from the core
	@$(BIN)/python -m suptree.core.diagrams > docs/diagrams/README.md

crds: setup ## write the CRD again, from the models
	@$(BIN)/python -m suptree.api.crd > crds/suptree.dev_supervisiontrees.yaml
	@cp crds/suptree.dev_supervisiontrees.yaml charts/suptree/files/supervisiontrees.crd.yaml

samples: build-cluster ## capture this version's statuses for the tests of later ones: once a release
	@$(BIN)/python -m e2e.samples

SBOM ?= build/suptree.cdx.json
# Whether it is valid is tested (tests/supply): the check takes longer than all the rest.
sbom: setup ## list what the image holds, with hashes, in CycloneDX (SBOM=FILE)
	@mkdir -p $(dir $(SBOM))
	@PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements --no-validate --pyproject pyproject.toml --mc-type application --output-reproducible --output-file $(SBOM) requirements.lock

audit: setup ## known vulnerabilities in what the image holds; fails also when no database can tell
	@$(BIN)/python -m tests.supply.audit

chart-docs: setup ## write the table of values in the chart's README again
	@$(BIN)/python -m tests.chart.values

golden: setup ## render the chart's golden files again (tests/chart/golden)
	@UPDATE_GOLDEN=1 $(BIN)/pytest -q e2e/test_chart_golden.py

lock: setup ## pin every dependency again, with hashes
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --group dev pyproject.toml -o requirements-dev.lock

.PHONY: help setup verify conformance build-cluster build-image e2e test demo bench dashboard diagrams crds chart-docs golden samples sbom audit lock
