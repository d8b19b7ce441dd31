# Each target works on a machine that has only Python 3.11+ (with venv) and make.
#
#   make serve     run it, here and now          make lint      style, types, arrows
#   make test      everything that must pass     make format    put the style right
#   make faults    full counts of faults         make bench     measure, side by side
#   make screens   every page as a picture       make lock      renew requirements/*.txt

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TEST_MINUTES := 12
FAULTS_MINUTES := 25
RACES_MINUTES := 22

# Nothing of the machine's own pip settings is needed or wanted, but where it downloads from stays its business.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
export PYTHONDONTWRITEBYTECODE := 1
INSTALL := -m pip install -qq --require-hashes --only-binary :all: -r

.DEFAULT_GOAL := help
.PHONY: help serve venv test lint format faults bench screens lock
.DELETE_ON_ERROR:

help:
	@sed -n 's/^#   //p' Makefile

# --- environments: each is renewed when the requirements that made it change ---

python_is_new_enough = "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	|| { echo "Onetime needs Python 3.11 or newer; '$(PYTHON)' is not. Say which: make PYTHON=python3.12 ..." >&2; exit 1; }
new_venv = $(python_is_new_enough); "$(PYTHON)" -m venv --clear $(1) \
	|| { echo "'$(PYTHON)' cannot make a virtual environment (on Debian: apt-get install python3-venv)." >&2; exit 1; }

# What serving needs, and the program itself, editable. The build backend comes from the same lock.
$(VENV)/.serve: requirements/serve.txt pyproject.toml
	@$(BIN)/python -c '' 2>/dev/null || { $(call new_venv,$(VENV)); }
	@echo "Installing what serving needs into $(VENV)"
	@$(BIN)/python $(INSTALL) requirements/serve.txt
	@$(BIN)/python -m pip install -qq --no-deps --no-index --no-build-isolation --editable .
	@touch $@

# What has no wheel is built here, by the locked setuptools, from the source whose hash is locked.
$(VENV)/.dev: requirements/dev.txt requirements/ece.txt $(VENV)/.serve
	@echo "Installing what tests and checks need into $(VENV)"
	@$(BIN)/python $(INSTALL) requirements/dev.txt
	@$(BIN)/python -m pip install -qq --require-hashes --no-deps --use-pep517 --no-build-isolation \
		--no-binary http-ece -r requirements/ece.txt
	@touch $@

# Environments apart, so that nothing in them can meet what the program runs on.
.venv-clients/.ready .venv-openapi/.ready .venv-bench/.ready: .venv-%/.ready: requirements/%.txt
	@$(call new_venv,.venv-$*)
	@echo "Installing requirements/$*.txt into .venv-$*"
	@.venv-$*/bin/python $(INSTALL) requirements/$*.txt
	@touch $@

# JavaScript tools of the tests; without npm the tests that want them say so.
tests/js/node_modules/.ready: tests/js/package.json tests/js/package-lock.json
	@if command -v npm >/dev/null; then \
		echo "Installing JavaScript tools into tests/js/node_modules"; \
		npm ci --prefix tests/js --ignore-scripts --no-audit --no-fund --loglevel=error && touch $@; \
	fi

venv: $(VENV)/.dev

# --- what people run ---

serve: $(VENV)/.serve
	@exec $(BIN)/onetime serve

test: $(VENV)/.dev .venv-clients/.ready .venv-openapi/.ready tests/js/node_modules/.ready
	@echo "Time budget: $(TEST_MINUTES) minutes on 2 cores."
	@PYTHONHASHSEED=0 TEST_MINUTES=$(TEST_MINUTES) $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

lint: $(VENV)/.dev tests/js/node_modules/.ready
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m tests.lint

format: $(VENV)/.dev
	@$(BIN)/ruff check --select I --fix
	@$(BIN)/ruff format

# Full counts: the tests that have rounds, with all of them, then the black-box checker.
faults: $(VENV)/.dev .venv-clients/.ready .venv-openapi/.ready tests/js/node_modules/.ready
	@echo "Time budget: $(FAULTS_MINUTES) minutes on 2 cores."
	@PYTHONHASHSEED=0 TEST_ROUNDS=full TEST_MINUTES=$(RACES_MINUTES) \
		$(BIN)/python -m pytest -n 2 --dist loadfile -m "rounds or full" -o faulthandler_timeout=0
	@PYTHONHASHSEED=0 TEST_ROUNDS=full $(BIN)/python -m tests.faults

bench: $(VENV)/.dev .venv-bench/.ready
	@$(BIN)/python -m bench $(ARGS)

screens: $(VENV)/.dev
	@$(BIN)/python -m tests.browser.screens $(ARGS)

# Renew every lock from pyproject.toml: hashes for all platforms, no address of any index, no path.
UV_LOCK = $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header --upgrade
lock: $(VENV)/.dev
	@$(UV_LOCK) pyproject.toml --group build --extra server --output-file requirements/serve.txt
	@$(UV_LOCK) pyproject.toml --group build --extra server --extra postgres --constraint requirements/serve.txt \
		--output-file requirements/postgres.txt
	@$(UV_LOCK) pyproject.toml --group build --extra server --extra valkey --constraint requirements/serve.txt \
		--output-file requirements/valkey.txt
	@$(UV_LOCK) pyproject.toml --group build --extra server --extra postgres --extra valkey --extra dev \
		--constraint requirements/postgres.txt --constraint requirements/valkey.txt --output-file requirements/dev.txt
	@$(UV_LOCK) --group ece --constraint requirements/dev.txt --output-file requirements/ece.txt
	@$(UV_LOCK) --group clients --output-file requirements/clients.txt
	@$(UV_LOCK) --group openapi --output-file requirements/openapi.txt
	@$(UV_LOCK) --group bench --output-file requirements/bench.txt
	@cd tests/js && npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved --no-audit --no-fund
	@$(BIN)/python -m tests.lint
