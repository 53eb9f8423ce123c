# The project's commands. `make` alone lists them.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup dev test check clean

help: ## list the commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: ## install everything pinned, each part once
	@exec $(PYTHON) -m tools.setup

dev: ## run the proxy here under the real wrangler dev (PORT=8787 HOST=127.0.0.1 UPSTREAM=local|none)
	@exec $(PYTHON) -m tools.dev

test: setup ## run all tests, with branch coverage of the pure modules
	$(BIN)/pytest --cov --cov-report=term-missing:skip-covered

check: ## lint, types, import rules
	@$(PYTHON) -m tools.setup node venv
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports --no-logo
	PATH="$(CURDIR)/node_modules/.bin:$$PATH" eslint --no-error-on-unmatched-pattern public tests

clean: ## remove what was installed, built or stored
	rm -rf .cache .venv node_modules python_modules .wrangler .coverage .hypothesis .*_cache
