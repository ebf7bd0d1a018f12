# One verb, one command. Everything works on a fresh clone: each target sets up what it needs.
#   make demo          three virtual phones do a session that came in over HTTP   (KEEP=1 leaves the farm up)
#   make test          all checks and all tests     (ARGS=... go to pytest; WORKERS=0: one test after the other)
#   make bench         what the farm costs, against peers and limits  (ARGS="--only g,k --rounds 3 --quick")
#   make chaos         ten minutes of storm on each database, then a judge    (ARGS="--seed 7 --minutes 3 --db sqlite")
#   make faults        docs/faults.md again from a run of the tests that carry a fault's mark
#   make crash-points  the farm killed at every commit, callback and statement of an upgrade, not only at a sample of them
#   make check         formatting, lint, types, import rules
#   make openapi       docs/openapi.json, docs/capabilities.md, farm.yaml's schema, docs/doctor.md and docs/metrics.md again
#   make lock          resolve requirements.lock again from pyproject.toml

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
ARGS ?=
WORKERS ?= 2
# Some environments forbid Python to keep what it compiled: then every process of a farm compiles Ray and all else anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup demo test bench chaos faults crash-points check format openapi lock clean

# Our own code is compiled whenever it has changed, the packages by setup.sh, for the same reason.
setup: $(STAMP)
	@$(BIN)/python -m compileall -q phonefarm

$(STAMP): requirements.lock pyproject.toml scripts/setup.sh
	PYTHON="$(PYTHON)" scripts/setup.sh $(VENV)
	@touch $(STAMP)

demo: setup
	$(BIN)/phonefarm demo $(if $(KEEP),--keep)

check: setup
	$(BIN)/ruff format --check phonefarm tests scripts
	$(BIN)/ruff check phonefarm tests scripts
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	@scripts/chromium.sh || echo "the tests of the console are skipped"
	$(BIN)/python -m pytest -n $(WORKERS) --no-loadscope-reorder $(ARGS)

bench: setup
	$(BIN)/python -m tests.bench $(ARGS)

chaos: setup
	$(BIN)/python -m tests.chaos.storm $(ARGS)

faults: setup
	$(BIN)/python -m pytest -m fault --fault-report faults.json $(ARGS); $(BIN)/python -m scripts.faults faults.json

crash-points: setup
	PHONEFARM_ALL_CRASH_POINTS=1 $(BIN)/python -m pytest -s tests/integration/test_crash_points.py tests/integration/test_migration_kills.py $(ARGS)

format: setup
	$(BIN)/ruff format phonefarm tests scripts
	$(BIN)/ruff check --fix phonefarm tests scripts

openapi: setup
	$(BIN)/python -m scripts.openapi
	$(BIN)/python -m scripts.metrics
	$(BIN)/python -m phonefarm.cli.doctor.page

lock: setup
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --upgrade -q -o requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache demo-output
