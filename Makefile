# What people run. `make start` is all a listener needs.
SHELL := /bin/sh
VENV := .venv
TOOLS := .venv-dev
BIN := $(TOOLS)/bin
# Many tests wait for real processes, those of whole stations longest: several at a time, and in the order they stand in.
WORKERS := --numprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help start test check format bench lock clean environment tools

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

environment:
	@scripts/bootstrap.sh $(VENV) requirements.lock

tools:
	@scripts/bootstrap.sh $(TOOLS) requirements-dev.lock

start: environment ## Start the station here; Ctrl-C ends it
	@$(VENV)/bin/infiniloop precheck
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" exec $(VENV)/bin/honcho start --no-prefix

test: tools ## Run the tests (no sound card, no root)
	@$(BIN)/python -m pytest $(WORKERS)

check: tools ## Formatting, lint, types, layers, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest $(WORKERS)

format: tools ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: tools ## Every benchmark; one JSON line per figure
	@for benchmark in $$($(BIN)/python benchmarks/list.py); do $(BIN)/python $$benchmark || exit 1; done

lock: ## Resolve the dependencies again (needs uv)
	uv pip compile --universal --quiet --generate-hashes --no-header --no-annotate --no-emit-index-url --python-version 3.11 \
		--group build pyproject.toml -o requirements.lock
	uv pip compile --universal --quiet --generate-hashes --no-header --no-annotate --no-emit-index-url --python-version 3.11 \
		--group build --group dev --extra musicgen pyproject.toml -o requirements-dev.lock

clean: ## Remove the environments
	rm -rf $(VENV) $(TOOLS)
