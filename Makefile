PYTHON ?= python3
BIN := .venv/bin
RUN_DIR ?= results/first-light

.PHONY: run test lint bench clean

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

bench: .venv/ready
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv results
