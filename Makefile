# Everything a user or developer does, in one place. `make help` lists it.

PYTHON ?= python3
BIN := .venv/bin
LAYERS := music envs reward_models agents listening

# Chosen once, when make starts: a run folder that does not exist yet.
ifndef RUN
RUN := $(shell n=1; while [ -e runs/compose-$$n ]; do n=$$((n + 1)); done; echo runs/compose-$$n)
endif

.PHONY: help compose test test-slow test-frameworks test-processors test-browser release-check docs docs-serve docs-pages lint format bench bench-gpu setup sound clean
.DEFAULT_GOAL := help

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

compose: sound  ## train a composer (minutes), evaluate it, say where to listen; RUN=runs/NAME names the run
	$(BIN)/python train.py --run-dir $(RUN)
	$(BIN)/python evaluate.py $(RUN)

test: sound  ## run the test suite; ARGS="tests/music -k midi" narrows it
	$(BIN)/pytest -n 2 --dist worksteal $(ARGS)

test-slow: sound  ## run the tests that need minutes
	$(BIN)/pytest -m slow $(ARGS)

test-frameworks: .venv-frameworks/ready  ## run docs/frameworks.md and docs/scale.md with RLlib, TorchRL, Tianshou, RL Zoo and MO-Gymnasium, in .venv-frameworks
	.venv-frameworks/bin/pytest -m frameworks tests/frameworks $(ARGS)

test-browser: sound  ## listeners' sessions, reports and the documentation site in Chromium (the system's, or CHROMIUM=PATH); npm fetches axe-core
	$(BIN)/pytest -m browser $(ARGS)

release-check:  ## build wheel and sdist, and use each in a fresh environment away from the checkout (minutes)
	@PYTHON="$(PYTHON)" bash scripts/check_release.sh

test-processors: sound  ## run the test suite with the arithmetic of other x86-64 processors, five times
	bash scripts/test_processors.sh $(ARGS)

lint: setup  ## ruff, mypy and the layers (import-linter)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@rm -rf build/typecheck && mkdir -p build/typecheck/toccata
	@cp -r src/toccata/* $(LAYERS) build/typecheck/toccata
	$(BIN)/mypy
	@cd build/typecheck && PYTHONPATH=. $(CURDIR)/$(BIN)/lint-imports --no-logo $(CURDIR)/pyproject.toml
	$(BIN)/python scripts/check_string_imports.py build/typecheck

format: setup  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: sound  ## measure against the peers, write benchmarks/results.json
	$(BIN)/python benchmarks/run.py

bench-gpu: sound  ## measure training, scoring and fitting on a GPU, and run the tests that need one
	$(BIN)/python benchmarks/bench_gpu.py; status=$$?; $(BIN)/pytest -m gpu $(ARGS) && exit $$status

docs: setup  ## build the documentation site into build/site, links checked
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-serve: setup  ## show the site while pages are written
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

docs-pages: setup  ## renew options, data sheets and notebooks from the code
	$(BIN)/python scripts/site/generate.py

setup: .venv/ready  ## make .venv with everything pinned in constraints.txt (the others do this by themselves)

.venv/ready: pyproject.toml constraints.txt scripts/setup.sh
	@PYTHON="$(PYTHON)" bash scripts/setup.sh
	@touch $@

.venv-frameworks/ready: pyproject.toml constraints-frameworks.txt scripts/setup.sh
	@PYTHON="$(PYTHON)" bash scripts/setup.sh .venv-frameworks constraints-frameworks.txt dev,frameworks,mo
	@bash scripts/libfluidsynth.sh .venv-frameworks/bin/python
	@touch $@

sound: setup
	@bash scripts/libfluidsynth.sh $(BIN)/python

clean:  ## remove caches and build output; runs/ and .venv stay
	rm -rf build dist ./*.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
