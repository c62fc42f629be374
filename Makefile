# One environment in .venv, made from the pins; a second call of any target installs nothing.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo lab figures docs test test-slow test-browser test-slurm test-postgres test-latex test-hardening test-latest test-all bench publish lint install lock clean

PYTHON ?= python3
# Parallel workers of the tests, with one thread each: more threads than cores slow each other down.
WORKERS ?= 2
BIN := .venv/bin
STAMP := .venv/.installed

help: ## show this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '%-15s %s\n' "$$name" "$$text"; done

# A second call trains only the model in use again. What needs no study is trained beside it, as the proof leaves a core idle; then the
# final model is trained beside the leaderboard.
DEMO ?= --preset laptop
demo: $(STAMP) ## on real bike rentals: a study, a leaderboard, a forecast of tomorrow (about 3 minutes)
	nice $(BIN)/hpo benchmark --model NHITS_Q --dataset bike_dc --params all --seeds 1 $(DEMO) > /dev/null & \
	$(BIN)/hpo run --model NHITS_Q --dataset bike_dc --job-id demo --trials 3 --workers 2 $(DEMO) && wait $$!
	$(BIN)/hpo retrain --model NHITS_Q --dataset bike_dc $(DEMO) & \
	$(BIN)/hpo benchmark --model NHITS_Q --dataset bike_dc --params all --seeds 1 $(DEMO) && wait $$!
	$(BIN)/hpo forecast --dataset bike_dc
	@printf '%s\n' "Look at the study, the leaderboard and tomorrow:" "  papermill_runs/NHITS_Q_bike_dc/report_demo.html" \
	  "  benchmark_results/bike_dc/*/table.csv" "  models/NHITS_Q_bike_dc/forecasts/*.png"

lab: $(STAMP) ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks

figures: $(STAMP) ## draw every thesis figure, table and model card from the records in papermill_runs/ and benchmark_results/
	$(BIN)/hpo figures

docs: $(STAMP) ## build the documentation site in site/; broken links are errors
	$(BIN)/python docs/site/build.py

test: $(STAMP) ## run the fast tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test-slow: $(STAMP) ## run the slow tests: real trainings and real processes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow -n $(WORKERS) --dist worksteal --ignore tests/slurm --ignore tests/browser

test-browser: $(STAMP) ## run notebooks in a real JupyterLab (Debian: chromium); screenshots in tests/browser/screenshots
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow tests/browser

test-slurm: $(STAMP) ## run studies as jobs of a real one-node Slurm (as root; Debian: munge slurm-client slurmctld slurmd)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow -n $(WORKERS) --dist loadgroup tests/slurm

test-postgres: $(STAMP) ## run the slow tests that need PostgreSQL (Debian: postgresql)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow -k postgres tests/study

test-latex: $(STAMP) ## compile the thesis tables in a real LaTeX (Debian: texlive-latex-recommended)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow -k latex tests/thesis

test-hardening: $(STAMP) ## kill, pause and starve studies, and try thousands of hostile inputs on every reader (a quarter of an hour)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m hardening -n $(WORKERS)

# In an environment of its own, because .venv holds the pins. torch stays as pinned: its trained numbers are part of the tests.
LATEST ?= .venv-latest
test-latest: ## run the fast tests with the newest versions that pyproject.toml allows (a quarter of an hour)
	test -x $(LATEST)/bin/python || $(PYTHON) -m venv $(LATEST)
	grep '^torch==' requirements.lock > $(LATEST)/torch.txt
	$(LATEST)/bin/python -m pip install --quiet --upgrade --upgrade-strategy eager -e '.[dev]' -c $(LATEST)/torch.txt
	OMP_NUM_THREADS=1 $(LATEST)/bin/python -m pytest -n $(WORKERS) --dist worksteal

test-all: test test-slow test-browser test-slurm ## run all of these

# On real data: make bench DATA_DIR=... DATASET=datasets/development/water_centrum.toml
DATA_DIR ?=
DATASET ?= measurements/centrum_twin.toml
bench: $(STAMP) ## measure speed against a reference, on simulated data (minutes); writes measurements/results/latest.json
	OMP_NUM_THREADS=1 $(BIN)/python -m measurements.run --dataset $(DATASET) $(if $(DATA_DIR),--data-dir $(DATA_DIR))

publish: $(STAMP) ## make the published records again: nine studies, three benchmarks and explanations of real series (hours; DATA_DIR=...)
	$(BIN)/python -m measurements.publish --trials NHITS_Q=30 TFT_Q=10 TIMESNET_Q=6 $(if $(DATA_DIR),--data-dir $(DATA_DIR))

lint: $(STAMP) ## run ruff, its formatter in check mode, and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: $(STAMP) ## make .venv from requirements.lock, unless it is up to date

# The published interactive figures load plotly.min.js, which studies write, too.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) -V 2>&1), expected Python 3.11 to 3.13; name one: make PYTHON=python3.11" >&2; exit 1; }
	@echo "Installing the pinned packages into .venv (some minutes the first time)"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@set -o pipefail; $(BIN)/python -m pip install -r requirements.lock --log .venv/pip.log | awk -v all=$$(grep -c == requirements.lock) \
	  '/^Collecting/ { printf "\r%d packages of about %d found", ++n, all; fflush() } /^Installing/ { print ", installing them" }'
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@$(BIN)/python -c 'import plotly.offline as p; print(p.get_plotlyjs(), end="")' > papermill_runs/plotly.min.js
	@touch $@

# Resolves for the oldest supported Python, installs nothing, and keeps the header of the lock. torch pins its CUDA packages itself.
lock: ## resolve the ranges of pyproject.toml into requirements.lock (a minute or two)
	@set -euo pipefail; work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; \
	$(PYTHON) -m venv "$$work/venv"; \
	"$$work/venv/bin/python" -m pip install --quiet --dry-run --ignore-installed --report "$$work/report.json" \
	  --python-version 3.11 --only-binary :all: --target "$$work/unused" ".[dev]"; \
	sed -n '/^#/p' requirements.lock > "$$work/lock"; \
	"$$work/venv/bin/python" -c "$$LOCK_LINES" "$$work/report.json" >> "$$work/lock"; \
	cp "$$work/lock" requirements.lock; git --no-pager diff --stat -- requirements.lock || true

define LOCK_LINES
import json, sys
with open(sys.argv[1], encoding="utf-8") as report:
    found = [package["metadata"] for package in json.load(report)["install"]]
left_out = ("hpo_lib", "nvidia-", "cuda-", "triton")
pins = [f"{p['name']}=={p['version'].split('+')[0]}" for p in found if not p["name"].lower().startswith(left_out)]
print(*sorted(pins, key=str.lower), sep="\n")
endef
export LOCK_LINES

clean: ## remove the environments, caches and build leftovers; data, records, figures and tables stay
	rm -rf .venv $(LATEST) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
