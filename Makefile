# `make` prints this index. Every target that people call has a line after ##.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
GENERATED := docs/manifest.md crds charts/scalingsweep/templates/crds

.PHONY: help
help: ## this index
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: venv
venv: $(STAMP) ## .venv with everything that one machine and the tests need

# The stamp is younger than what it was made from, so a second call does nothing.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ScalingSweep needs Python 3.11 or newer: install it, or name one with make PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || test -x $(BIN)/pip || \
	  { echo "$(PYTHON) cannot make a virtual environment (no ensurepip): install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (once; 5 GB with the CUDA build of torch, a few minutes)"
	@if test -x $(BIN)/uv; then $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]'; \
	  else $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'; fi
	@touch $@

.PHONY: demo
demo: $(STAMP) ## from nothing to a fitted law: real text, a real study, a report (about 15 minutes)
	@$(BIN)/python -m hack.demo_text build/demo-text
	@$(BIN)/scalingsweep run examples/quickstart/sweep.yaml

# One thread a process: more of them slow small matrices down, and two test workers share the cores.
.PHONY: test
test: $(STAMP) ## unit and integration tests (under 10 minutes on 2 cores)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not e2e and not cluster and not cluster_e2e and not cluster_long"

.PHONY: test-long
test-long: $(STAMP) ## end-to-end tests: whole studies
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m e2e

# The node's test holds the machine before against the machine after, so it runs alone.
NODE := tests/cluster/test_cluster.py
.PHONY: test-cluster
test-cluster: $(STAMP) tools ## against a real Kubernetes: its API server alone, and a whole node (root)
	@$(BIN)/python -m pytest -m cluster $(NODE)
	@$(BIN)/python -m pytest -m cluster -n 2 --dist load --ignore $(NODE) tests/cluster

.PHONY: e2e
e2e: $(STAMP) tools ## examples/kubernetes on a whole cluster: chart, images, S3, PyTorchJobs (root; 10 minutes)
	@$(BIN)/python -m pytest -m cluster_e2e tests/e2e

.PHONY: e2e-long
e2e-long: $(STAMP) tools ## what takes its time on a whole cluster: slow faults, kills, Kueue (root; 25 minutes)
	@$(BIN)/python -m pytest -m cluster_long tests/e2e

.PHONY: stage
stage: $(STAMP) tools ## the cluster with all that a study needs: apply one by hand (root)
	@$(BIN)/python -m hack.e2e

.PHONY: tools
tools: ## build the pinned Kubernetes into the user's cache (once; about 10 minutes on 2 cores)
	@$(PYTHON) -m hack.cluster tools

.PHONY: cluster-up
cluster-up: ## a real Kubernetes with one node of 8 pretended GPUs (root; within a minute once built)
	@$(PYTHON) -m hack.cluster up

.PHONY: cluster-down
cluster-down: ## end it, without a trace
	@$(PYTHON) -m hack.cluster down

.PHONY: images
images: ## operator and worker images, from images/; PUSH=REGISTRY pushes both (root; two minutes, 14 GB of the user's cache)
	@$(PYTHON) -m hack.images $(if $(PUSH),--push $(PUSH))

# One thread for everything that is timed, and for what only waits.
.PHONY: bench
bench: $(STAMP) ## speed beside Hugging Face, PyTorch and scipy: one table (10 minutes, nothing else running)
	@OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python -m hack.bench

.PHONY: bench-train
bench-train: $(STAMP) ## tokens/s, memory, start and waits of the trainer alone
	@OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python -m hack.bench small train

.PHONY: bench-fit
bench-fit: $(STAMP) ## bootstraps of a fit alone (a minute)
	@OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python -m hack.bench fit

.PHONY: bench-command
bench-command: $(STAMP) ## seconds that the command takes to answer
	@OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python -m hack.bench command

.PHONY: lint
lint: $(STAMP) ## ruff, and which room may import which
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/lint-imports

.PHONY: types
types: $(STAMP) ## mypy, strict, over everything
	@$(BIN)/mypy

.PHONY: format
format: $(STAMP) ## let ruff mend what it can
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

.PHONY: generate
generate: $(STAMP) ## write anew what is generated: docs/manifest.md, crds/, the chart's definitions
	@$(BIN)/python -m hack.manifest_reference
	@$(BIN)/python -m hack.crds
	@$(BIN)/python -m hack.chart_crds

.PHONY: verify
verify: lint types generate ## lint, types, contracts, and generated files that are up to date
	@git diff --exit-code -- $(GENERATED) || \
	  { echo "generated files were out of date: commit what make generate wrote" >&2; exit 1; }

.PHONY: clean
clean: ## remove caches and the demo's text; studies (.scalingsweep) and .venv stay
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find core cli trainer tests hack -name __pycache__ -type d -prune -exec rm -rf {} +
