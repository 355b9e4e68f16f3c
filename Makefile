# What a person runs. `make` alone lists the targets.
.POSIX:
.SUFFIXES:

PYTHON = python3
VENV = .venv
BIN = $(VENV)/bin
T =
A =

help: ## List the targets.
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /	/' | expand -t 12

$(VENV)/demo: pyproject.toml functions/ops/internal/version.sql
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[binary,embedded,edge]'
	@touch $@

$(VENV)/dev: $(VENV)/demo
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/pip install --quiet --disable-pip-version-check --group dev
	@touch $@

demo: $(VENV)/demo ## Play a day of the app on an embedded PostgreSQL.
	@$(BIN)/rendio demo

serve: $(VENV)/demo ## The same, then the calls over HTTP with tokens and curl lines to try.
	@$(BIN)/rendio demo --serve $(A)

test: $(VENV)/dev ## Test on PostgreSQL 15 and 18; T=path for one file or folder.
	@$(BIN)/python tests/run.py $(T)

bench: $(VENV)/dev ## Measure a generation beside the floor and the plan's, and the app's traffic.
	@PYTHONPATH=tests:tests/edge $(BIN)/python tests/bench/run.py

crash: $(VENV)/dev ## Kill the server inside every kind of call; A="--kills 500 --seed 7" for more.
	@PYTHONPATH=tests:tests/integration $(BIN)/python -m crash $(A)

gen: $(VENV)/dev ## Write the generated files anew.
	@$(BIN)/rendio gen

lint: $(VENV)/dev ## Lint and type-check SQL and Python.
	@$(BIN)/ruff check py_glue tests
	@$(BIN)/ruff format --check py_glue tests
	@$(BIN)/mypy
	@$(BIN)/sqlfluff lint sql functions policies cron
	@$(BIN)/squawk sql/*.sql

check: lint ## What CI runs: lint, generated files, tests on every shape of database.
	@$(BIN)/rendio gen --check
	@$(BIN)/python tests/run.py --all

clean: ## Remove the environment and caches.
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.PHONY: help demo serve test bench crash gen lint check clean
