# `make demo` shows it, `make test` checks it; `make help` lists the rest.
# Everything installs into .venv, from lock files with hashes; nothing is fetched again while they stand unchanged.

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
UV_VERSION := 0.13.8

.PHONY: help demo test e2e lint format types bench lock image clean
.DEFAULT_GOAL := help

help:
	@echo 'make demo    a real Label Studio with sample projects, this backend connected to it'
	@echo 'make test    the tests: no key, no container, no network (ARGS="-k rating" is passed on to pytest)'
	@echo 'make e2e     the tests with a real Label Studio and a real browser'
	@echo 'make lint    ruff: rules and format (make format mends what can be mended)'
	@echo 'make types   mypy, strict'
	@echo 'make bench   the table of speeds'
	@echo 'make lock    resolve the dependencies of pyproject.toml again, into the lock files'
	@echo 'make image   the Docker image llm-backend'
	@echo 'make clean   remove environments, builds and caches; ./data and .demo stay'

demo: $(VENV)/.package
	@$(BIN)/python -m llm_backend demo $(ARGS)

test: $(VENV)/.package $(VENV)/.dev
	@$(BIN)/python -m pytest $(ARGS)

e2e: $(VENV)/.package $(VENV)/.dev
	@test -n "$$E2E_LABEL_STUDIO" || $(BIN)/python -m llm_backend.demo.label_studio .demo/label-studio
	@$(BIN)/python -m pytest -m e2e $(ARGS)

lint: $(VENV)/.dev
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .

format: $(VENV)/.dev
	@$(BIN)/python -m ruff check --fix .
	@$(BIN)/python -m ruff format .

types: $(VENV)/.package $(VENV)/.dev
	@$(BIN)/python -m mypy

bench: $(VENV)/.package $(VENV)/.dev
	@$(BIN)/python -m benchmarks $(ARGS)

# A stamp is written last, so an installation that was interrupted is begun anew.
$(VENV)/.runtime: requirements.lock requirements-build.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'llm-backend needs Python 3.11 or newer; "$(PYTHON)" is missing or older. Name another: make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo 'This Python cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	@echo 'Installing what llm-backend needs into $(VENV) ...'
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) --require-hashes -r requirements.lock -r requirements-build.lock
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@echo 'Installing what its tests need ...'
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.package: $(VENV)/.runtime pyproject.toml setup.py
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

lock:
	@test -x .venv-lock/bin/uv || { $(PYTHON) -m venv --clear .venv-lock && \
		.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); }
	@COMPILE=".venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url"; \
	export UV_CUSTOM_COMPILE_COMMAND='make lock'; set -e; \
	$$COMPILE $(ARGS) pyproject.toml -o requirements.lock; \
	$$COMPILE $(ARGS) pyproject.toml -c requirements.lock --extra ocr -o requirements-ocr.lock; \
	$$COMPILE $(ARGS) pyproject.toml -c requirements-ocr.lock --extra ocr --extra pdf --extra video -o requirements-media.lock; \
	$$COMPILE $(ARGS) pyproject.toml -c requirements-media.lock --all-extras --group dev -o requirements-dev.lock; \
	$$COMPILE $(ARGS) -c requirements-dev.lock --group build -o requirements-build.lock

image:
	@command -v docker >/dev/null || { echo 'make image needs Docker: https://docs.docker.com/engine/install/' >&2; exit 1; }
	docker build -t llm-backend $(ARGS) .

clean:
	rm -rf .venv .venv-lock build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
