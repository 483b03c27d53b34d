# Each target is a thin call of the `clicklake` command, which `make install` puts into .venv.
# Any machine with Python 3.11, Java 17 and make: `make run`.

PYTHON ?= $(or $(shell command -v python3.11),$(shell command -v python3),python3.11)
CLICKLAKE := .venv/bin/clicklake
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help install run stop status sql check test soak lock

help: ## Show this help
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

install: ## Make the environment from the lock and fetch the Delta jars; starts nothing
	@$(PYTHON) -m cli.bootstrap

$(CLICKLAKE):
	@echo "clicklake: not installed; run \`make install\`" >&2; exit 2

run: install ## Start everything, bring a sample (DATA=market or obd), run the DAGs, show a prediction
	@$(CLICKLAKE) run $(if $(DATA),--data $(DATA))

stop: $(CLICKLAKE) ## Stop everything; nothing is left running
	@$(CLICKLAKE) stop

status: $(CLICKLAKE) ## Show each service: state, health, URL, memory
	@$(CLICKLAKE) status

sql: $(CLICKLAKE) ## Query the tables with DuckDB
	@$(CLICKLAKE) sql

check: install ## All static checks: ruff, mypy, import-linter, the generated page
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(CLICKLAKE) docs --check

test: check ## All checks and all tests
	$(BIN)/pytest

soak: install ## The long forms of tests: kills, power cuts, gates, swaps, 200,000 strange requests (hours; as root)
	$(BIN)/pytest -m soak

lock: install ## Resolve requirements.in into requirements.lock (network), to be reviewed and committed
	$(BIN)/uv pip compile --quiet --no-header --python-version 3.11 --generate-hashes requirements.in -o requirements.lock
