# Each habit is a target; `make help` lists them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STORE  ?= demo/abstore

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint types format docs fuzz bench bench-derive bench-core bench-full sample wheel clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-12s %s\n", $$1, $$2}'

$(BIN)/abpipe: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

demo: $(BIN)/abpipe  ## environment, install, both samples ingested and derived, a few SQL answers
	@rm -rf $(STORE)
	$(BIN)/abpipe ingest data/imagenet/imagenet_ab.tar.gz data/coco/coco_ab.json -s $(STORE)
	$(BIN)/abpipe derive -s $(STORE)
	$(BIN)/abpipe sql -s $(STORE) "SELECT dataset, kind, count(*) AS events FROM events GROUP BY ALL ORDER BY ALL"
	$(BIN)/abpipe sql -s $(STORE) "SELECT image_id, annotator_id, selected, len(x) AS moves, x[-1] AS last_x, y[-1] AS last_y FROM trace_lists LIMIT 5"
	$(BIN)/abpipe sql -s $(STORE) "SELECT image_id, label, x, y, agreement, flags FROM image_targets LIMIT 5"
	$(BIN)/abpipe sql -s $(STORE) "SELECT label, count(*) AS taken_back FROM icons WHERE NOT is_final GROUP BY label ORDER BY ALL"
	@echo "The store is in $(STORE): $(BIN)/abpipe sql -s $(STORE)"

test: $(BIN)/abpipe  ## the core tier of the tests
	$(BIN)/python -m pytest -m "not beyond"

test-all: $(BIN)/abpipe  ## all tests: the core tier, and what needs a cluster, an object store, JAX, TensorFlow
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,frameworks]'
	$(BIN)/python -m pytest

lint: $(BIN)/abpipe  ## ruff, and whether the README is what the code says
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/cog --check README.md

types: $(BIN)/abpipe  ## mypy, strict
	$(BIN)/mypy

format: $(BIN)/abpipe  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(BIN)/abpipe  ## renew the generated parts of the README
	$(BIN)/cog -r README.md

fuzz: $(BIN)/abpipe  ## ten minutes of fuzzing: the fast paths against the strict parsers
	ABPIPE_FUZZ_SECONDS=300 $(BIN)/python -m pytest -k "mutat or fuzz"

bench: bench-derive  ## ingest and derive against the alternatives, as ratios in one run
	$(BIN)/python tests/bench/bench_ingest.py

bench-derive: $(BIN)/abpipe  ## derive: time and memory of each table, beside pandas and a loop
	$(BIN)/python tests/bench/bench_derive.py

bench-core: $(BIN)/abpipe  ## which box of a trace is nearest to its object, on synthetic archives
	$(BIN)/python tests/bench/bench_core.py

bench-full: $(BIN)/abpipe  ## the full size: 1,274,843 files
	$(BIN)/python tests/bench/bench_full.py

sample: $(BIN)/abpipe  ## make the samples in data/ anew
	rm -rf data/imagenet data/coco
	$(BIN)/abpipe synth data/imagenet -n 120 --seed 2023 --pictures
	$(BIN)/abpipe synth data/coco --kind coco -n 60 --seed 2023 --pictures

wheel: $(BIN)/abpipe  ## build the wheel and the sdist into dist/
	$(BIN)/python -m build

clean:  ## remove what the other targets made
	rm -rf $(VENV) demo bench dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
