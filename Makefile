# `make` installs everything into .venv, runs the laptop tier and says where the report is.
VENV   ?= .venv
BIN    := $(abspath $(VENV))/bin
# Optional parts of the package: EXTRAS=dev,slurm
EXTRAS ?= dev
READY  := $(VENV)/.ready-$(EXTRAS)
# Processors: a number or all; those that this machine or its control group leaves, where nothing is said
CORES  ?=
TIER   ?= laptop
PYTEST ?= -q -n 2 --dist loadgroup
# More for Snakemake's --config or after it, for example: make ARGS="'papers=[forward-gnn]' --dry-run"
ARGS   ?=
export PATH := $(BIN):$(PATH)

.PHONY: run smoke install test test-slurm drill ui report retry check format clean help

run: $(READY)  ## install, run the laptop tier, print where the report is
	@exec snakemake --cores $(or $(CORES),$$(python -m claimbench.execute.machine)) --config tier=$(TIER) $(ARGS)

smoke:  ## the same at the smoke tier, one process a paper
	@$(MAKE) --no-print-directory run TIER=smoke ARGS="bundle=paper $(ARGS)"

$(READY): pyproject.toml constraints.txt tools/install.sh
	@tools/install.sh $(VENV) '$(EXTRAS)'

install: $(READY)  ## only the virtual environment

# Two workers share the cores, so a test takes one thread.
test: $(READY)  ## all tests
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} pytest $(PYTEST)

test-slurm:  ## the tests on a Slurm cluster of one node, started here (needs root, slurm-wlm and munge)
	@$(MAKE) --no-print-directory install EXTRAS=dev,slurm
	@pytest -q -m slurm tests/cluster

drill: $(READY)  ## every fault five times at other moments, and what takes long on the cluster (half an hour)
	@CLAIMBENCH_DRILL=5 pytest $(PYTEST) tests/faults tests/workflow/test_state.py
	@CLAIMBENCH_DRILL=5 $(MAKE) --no-print-directory test-slurm

ui: $(READY)  ## browse the runs in MLflow
	@claimbench ui

report: run  ## what is missing of the tier, and Snakemake's own report beside ours
	@snakemake --cores 1 --quiet --config tier=$(TIER) $(ARGS) --report results/$(TIER)/report/snakemake.html
	@echo "workflow: $(CURDIR)/results/$(TIER)/report/snakemake.html"

retry: $(READY)  ## forget failed and skipped runs of the tier and try them again
	@claimbench --tier $(TIER) retry
	@$(MAKE) --no-print-directory run

check: $(READY)  ## format, lint, types, workflow, links
	ruff check .
	ruff check --preview --select PLW1514 .  # every text has an encoding
	ruff format --check .
	mypy
	snakefmt --check --compact-diff Snakefile workflow
	snakemake --lint
	python tools/links.py
	python tools/reference.py --check

format: $(READY)  ## rewrite the files as `make check` wants them
	ruff check --fix-only --quiet .
	ruff format .
	snakefmt Snakefile workflow
	python tools/reference.py

clean:  ## remove generated files; keeps .venv and the data
	rm -rf .snakemake .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find results -mindepth 1 ! -name .gitkeep -delete

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10
