# Two commands on a fresh machine: `make run` does the main job, `make test` passes the tests. Both install everything
# that they need into .venv, from the lock files, and do nothing twice.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
QUESTION ?= How long do I have to return something?

.PHONY: run test test-commands test-parts test-laws test-slow check-types lint pages format bench bench-peers bench-executor bench-engines clean lock help
help: ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## / — /'

$(VENV)/.python: Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "agentlang needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	@test -x $(BIN)/python || { echo "creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@touch $@

# The run environment: the toolchain and what runs models.
$(VENV)/.run: $(VENV)/.python locks/run.lock pyproject.toml setup.py
	@echo "installing from locks/run.lock (a few minutes the first time)"
	@$(PIP) install --require-hashes --no-deps --only-binary=:all: -r locks/run.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# The development environment: the same and what tests it.
$(VENV)/.dev: $(VENV)/.python locks/dev.lock pyproject.toml setup.py
	@echo "installing from locks/dev.lock (a few minutes the first time)"
	@$(PIP) install --require-hashes --no-deps --only-binary=:all: -r locks/dev.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.run

run: $(VENV)/.run ## answer a question from the handbook, streaming
	@$(BIN)/agentlang models pull --for examples/handbook/handbook.agent
	@$(BIN)/agentlang run examples/handbook/handbook.agent question="$(QUESTION)"

lint: $(VENV)/.dev ## style and import directions
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@cd .typing && ../$(BIN)/lint-imports --no-cache --config ../.importlinter

check-types: $(VENV)/.dev ## strict types
	@$(BIN)/basedpyright -p .typing

# Three at a time on two cores: each part waits for a process or a file now and then, and another computes meanwhile.
test: lint ## everything that fits in ten minutes on two cores
	@$(BIN)/agentlang models pull --for examples/handbook/handbook.agent || echo "without the models their tests skip"
	@$(MAKE) --no-print-directory -k -j3 $(if $(filter output-sync,$(.FEATURES)),-O) test-commands test-parts test-laws check-types

# Of the commands those that take longest go with the laws, so that the three parts end at about the same time.
LONGEST = tests/system/test_pages.py tests/system/test_cli_runs.py

test-commands: $(VENV)/.dev
	@$(BIN)/python -m pytest -q -m "not slow" tests/system $(addprefix --ignore ,$(LONGEST))

test-parts: $(VENV)/.dev
	@$(BIN)/python -m pytest -q -m "not slow" tests/unit tests/tidy

test-laws: $(VENV)/.dev
	@$(BIN)/python -m pytest -q -m "not slow" $(LONGEST) $(filter-out tests/unit/ tests/tidy/ tests/system/ tests/__pycache__/,$(sort $(wildcard tests/*/)))

test-slow: $(VENV)/.dev ## what needs longer: kills, fuzzing, fresh clones
	@$(BIN)/python -m pytest -q -m slow

pages: $(VENV)/.dev ## rewrite the pages that are made from the code: docs/dialect.md, docs/library.md
	@$(BIN)/python -m pytest -q --update -k "test_the_page_of" tests/tidy/test_documents.py

format: $(VENV)/.dev ## rewrite to the house style
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

bench: $(VENV)/.dev ## the figures of docs/performance.md
	@$(BIN)/python -m benchmarks

bench-peers: .venv-peers/.installed ## a stage and a branch beside LangGraph, pydantic-graph and Haystack; a hop beside ZeroMQ
	@.venv-peers/bin/python -W ignore -m benchmarks.peers
	@.venv-peers/bin/python -W ignore -m benchmarks.wire

bench-executor: .venv-peers/.installed ## the executor beside its peers, Ray and DBOS too; into docs/performance.md
	@.venv-peers/bin/python -W ignore -m benchmarks.executor --write docs/performance.md

.venv-peers/.installed: locks/peers.lock pyproject.toml setup.py
	@test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	@.venv-peers/bin/python -m pip --disable-pip-version-check -q install --require-hashes --no-deps --only-binary=:all: -r locks/peers.lock
	@.venv-peers/bin/python -m pip --disable-pip-version-check -q install --no-deps --no-build-isolation -e .
	@touch $@

bench-engines: $(VENV)/.dev .venv-transformers/.installed ## the engines beside each other and transformers; into docs/performance.md
	@$(BIN)/python -m benchmarks.engines --write docs/performance.md

# PyTorch is left to pip's settings: where they name a build for CPUs, gigabytes for GPUs stay away.
.venv-transformers/.installed: locks/transformers.lock
	@test -x .venv-transformers/bin/python || $(PYTHON) -m venv .venv-transformers
	@.venv-transformers/bin/python -m pip --disable-pip-version-check -q install --require-hashes --no-deps --only-binary=:all: -r locks/transformers.lock
	@.venv-transformers/bin/python -m pip --disable-pip-version-check -q install torch==2.13.0
	@touch $@

lock: ## write the lock files again
	@uvx=$$(command -v uv) || { echo "needs uv"; exit 2; }; \
	for name in run dev all; do \
	  case $$name in run) e="--extra models --extra repl --extra remote";; dev) e="--extra models --extra repl --extra lsp --extra mcp --extra iree --extra plan --extra sign --extra remote --extra observe --extra ray --extra dev";; all) e="--all-extras";; esac; \
	  uv pip compile pyproject.toml locks/build.in $$e --universal --generate-hashes --no-emit-index-url --python-version 3.11 --no-header -q -o locks/$$name.lock; \
	done; \
	uv pip compile pyproject.toml locks/build.in locks/peers.in --universal --generate-hashes --no-emit-index-url --python-version 3.11 --no-header -q -o locks/peers.lock; \
	uv pip compile locks/transformers.in --universal --generate-hashes --no-emit-index-url --python-version 3.11 --no-header -q -o locks/transformers.lock

clean: ## remove what was made here
	rm -rf $(VENV) .venv-peers .venv-transformers build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
