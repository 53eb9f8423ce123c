# The project's commands. `make` alone lists them.

PYTHON ?= python3
BIN := .venv/bin
NODE_BIN := $(CURDIR)/node_modules/.bin
COMPILE := uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate

.DEFAULT_GOAL := help
.PHONY: help setup dev test test-unit test-e2e test-agents fuzz contract soak check bench bench-peers catalog lock deploy clean

help: ## list the commands
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile | awk -F '\t' '{printf "  make %-11s  %s\n", $$1, $$2}'

setup: ## install everything pinned, each part once
	@exec $(PYTHON) -m tools.setup

dev: ## run the proxy here under the real wrangler dev (PORT=8787 HOST=127.0.0.1 UPSTREAM=local|none)
	@exec $(PYTHON) -m tools.dev

test: setup ## run all tests, with branch coverage of the pure modules
	@exec $(BIN)/python -m tests.run

test-unit: ## run the unit tests alone, without coverage
	@$(PYTHON) -m tools.setup node venv
	@exec $(BIN)/python -m tests.run unit

test-e2e: setup ## run the end-to-end tests alone, in workerd and in a browser
	@exec $(BIN)/python -m tests.run e2e

test-agents: setup ## run Claude Code and Codex against the Worker (fetches 660 MB once)
	@$(PYTHON) -m tools.setup agents
	@exec $(BIN)/python -m pytest tests/agents --no-cov

fuzz: setup ## send hostile requests at the pipeline and the Worker (SEED=1 PIPELINE=100000 WORKER=5000; 10 minutes)
	@exec $(BIN)/python -m tests.fuzz $(if $(SEED),--seed $(SEED)) --pipeline $(or $(PIPELINE),100000) --worker $(or $(WORKER),5000)

contract: setup ## hold the Worker to /openapi.json with all of schemathesis (SEED=1, EXAMPLES=50; 10 minutes)
	@CONTRACT_SHARE=1 CONTRACT="--seed $(or $(SEED),1) --max-examples $(or $(EXAMPLES),50)" \
		$(BIN)/python -m pytest tests/e2e/test_openapi.py --no-cov

soak: setup ## mixed traffic with faults and restarts; writes docs/soak.md (MINUTES=30)
	@exec $(BIN)/python -m tests.soak --minutes $(or $(MINUTES),30) --seed $(or $(SEED),1)

check: ## lint, types, import rules
	@$(PYTHON) -m tools.setup node venv
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports --no-logo
	PATH="$(NODE_BIN):$$PATH" eslint

bench: setup ## measure the proxy beside bare Workers, and as it fills (4 to 5 minutes)
	@$(BIN)/python -m bench
	@exec $(BIN)/python -m bench.growth --rounds 1

bench-peers: setup ## measure it beside LiteLLM, Portkey and Ferro too (10 minutes)
	@exec $(BIN)/python -m bench --peers

catalog: ## bring the catalogue's prices, limits and dates up to date (ADD="PROVIDER/ID …")
	@$(PYTHON) -m tools.setup venv
	@exec $(BIN)/python -m tools.catalog --add $(ADD)

lock: ## pin anew after a change to locks/*.in or package.json (needs uv)
	$(COMPILE) --python-version 3.14 locks/worker.in --output-file locks/worker.txt
	$(COMPILE) --python-version 3.11 locks/dev.in --output-file locks/dev.txt
	$(COMPILE) --python-version 3.11 --no-deps locks/local-model.in --output-file locks/local-model.txt
	npm install --package-lock-only --ignore-scripts
	npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved --prefix locks/agents

deploy: ## deploy ENV=staging|production with the secrets of .env.ENV, check it, tell how to go back (URL=https://…)
	@exec $(PYTHON) -m tools.deploy "$(ENV)" $(URL)

clean: ## remove what was installed, built or stored
	rm -rf .build .cache .venv node_modules python_modules .wrangler .coverage .hypothesis .*_cache
