PYTHON ?= python3
BIN := .venv/bin
RUN_DIR ?= results/first-light

.PHONY: run test lint docs bench leaderboard clean

# The stamp makes every command set up once and again only when the requirements change.
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade --constraint constraints.txt pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

run: .venv/ready
	$(BIN)/satfl compare --scenario leo-multitask --seeds 5 --out $(RUN_DIR) \
		--policies full,semspacefl,task-clustering,nearest-fedavg,individual,random

test: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# mkdocs is needed here alone.
.venv/docs-ready: .venv/ready
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

docs: .venv/docs-ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: .venv/ready
	$(BIN)/python -m benchmarks

# Plays what of the suite is not yet in results/v1, records it in the package, and makes the page anew.
leaderboard: .venv/ready
	$(BIN)/satfl evaluate --suite v1 --replay --workers 2 --out results/v1
	cp results/v1/finals.json baselines/satfl_baselines/suites/v1.json
	$(BIN)/satfl leaderboard $(wildcard docs/entries/v1/*.json) --suite v1 --out results/leaderboard
	cp results/leaderboard/leaderboard.md results/leaderboard/leaderboard.csv docs

clean:
	rm -rf .venv results site
