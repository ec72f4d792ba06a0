# Each habit is a target; `make help` lists them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STORE  ?= demo/abstore
INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test test-light test-all lint types format docs fuzz fuzz-coverage crash bench bench-derive bench-core bench-training bench-evidence bench-annotators bench-full pictures sample wheel clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-14s %s\n", $$1, $$2}'

# What people use, and what the tests need beside it: torch, above all.
$(BIN)/abpipe: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e '.[view]'
	@touch $@

$(BIN)/pytest: $(BIN)/abpipe
	$(INSTALL) -e '.[test]'
	@touch $@

demo: $(BIN)/abpipe  ## environment, install, both samples ingested and derived, a few SQL answers
	@rm -rf $(STORE)
	$(BIN)/abpipe ingest data/imagenet/imagenet_ab.tar.gz data/coco/coco_ab.json -s $(STORE)
	$(BIN)/abpipe derive -s $(STORE)
	$(BIN)/abpipe sql -s $(STORE) "SELECT dataset, kind, count(*) AS events FROM events GROUP BY ALL ORDER BY ALL"
	$(BIN)/abpipe sql -s $(STORE) "SELECT image_id, annotator_id, selected, len(x) AS moves, x[-1] AS last_x, y[-1] AS last_y FROM trace_lists LIMIT 5"
	$(BIN)/abpipe sql -s $(STORE) "SELECT image_id, label, x, y, agreement, flags FROM image_targets LIMIT 5"
	$(BIN)/abpipe sql -s $(STORE) "SELECT label, count(*) AS taken_back FROM icons WHERE NOT is_final GROUP BY label ORDER BY ALL"
	$(BIN)/abpipe show n01817953_175 -s $(STORE) --images data/imagenet/images -o demo/picture.png
	$(BIN)/abpipe report -s $(STORE) -o demo/report.html
	@echo "Look at demo/picture.png and demo/report.html; the store is in $(STORE): $(BIN)/abpipe sql -s $(STORE)"

test: $(BIN)/pytest  ## the core tier of the tests
	$(BIN)/python -m pytest -n logical -m "not beyond"

test-light: $(BIN)/abpipe  ## the same without torch, for other Pythons: VENV=.venv-3.13 PYTHON=python3.13
	$(INSTALL) -e '.[test-light]'
	$(BIN)/python -m pytest -n logical -m "not beyond"

test-all: $(BIN)/pytest  ## all tests: the core tier, long fuzzing, and what needs a cluster, an object store, JAX, TensorFlow, torchvision, timm
	$(INSTALL) -e '.[test,frameworks]'
	$(INSTALL) --no-deps torchvision timm safetensors  # what else they need is there, a PyTorch above all
	ABPIPE_FUZZ_SECONDS=20 ABPIPE_FUZZ_EXAMPLES=1000 $(BIN)/python -m pytest -n logical

lint: $(BIN)/pytest  ## ruff, and whether the README is what the code says
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/cog --check README.md

types: $(BIN)/pytest  ## mypy, strict
	$(BIN)/mypy

format: $(BIN)/pytest  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(BIN)/pytest  ## renew the generated parts of the README
	$(BIN)/cog -r README.md

fuzz: $(BIN)/pytest  ## a minute of fuzzing for every reader, and fast paths against strict parsers
	ABPIPE_FUZZ_SECONDS=60 ABPIPE_FUZZ_EXAMPLES=5000 $(BIN)/python -m pytest -n logical -m fuzz

fuzz-coverage: $(BIN)/pytest  ## a minute for each reader, led by what its code does with the bytes (atheris)
	$(INSTALL) atheris
	$(BIN)/python tests/fuzz_coverage.py 60

crash: $(BIN)/pytest  ## every step of every write fails, or is the last one; a hundred kills of each
	ABPIPE_CRASH_KILLS=100 $(BIN)/python -m pytest -n logical tests/test_crash.py

bench: bench-derive  ## ingest and derive against the alternatives, as ratios in one run
	$(BIN)/python tests/bench/bench_ingest.py

bench-derive: $(BIN)/pytest  ## derive: time and memory of each table, beside pandas and a loop
	$(BIN)/python tests/bench/bench_derive.py

bench-core: $(BIN)/pytest  ## which box of a trace is nearest to its object, on synthetic archives
	$(BIN)/python tests/bench/bench_core.py

bench-training: $(BIN)/pytest  ## what targets cost beside reading pictures, and beside parsing XML
	$(BIN)/python tests/bench/bench_training.py

bench-evidence: $(BIN)/pytest  ## do byproducts help where backgrounds mislead? Synthetic, five seeds
	$(BIN)/python tests/bench/bench_evidence.py

bench-annotators: $(BIN)/pytest  ## which planted annotators are found, and who is flagged by mistake
	$(BIN)/python tests/bench/bench_annotators.py

bench-full: $(BIN)/pytest  ## the full size: 1,274,843 files
	$(BIN)/python tests/bench/bench_full.py

pictures: $(BIN)/pytest  ## make the README's pictures anew
	@rm -rf demo/pictures
	$(BIN)/abpipe ingest -q data/imagenet/imagenet_ab.tar.gz -s demo/pictures
	$(BIN)/abpipe ingest -q data/coco/coco_ab.json data/coco/truth/instances_train2014.json --dataset coco-ab -s demo/pictures
	$(BIN)/abpipe show 471810 --images data/coco/images -s demo/pictures --speed 8 -o data/pictures/replay.gif
	$(BIN)/abpipe show n02950826_176 --images data/imagenet/images -s demo/pictures -o data/pictures/annotators.webp

sample: $(BIN)/pytest  ## make the samples in data/ anew
	rm -rf data/imagenet data/coco
	$(BIN)/abpipe synth data/imagenet -n 120 --seed 2023 --pictures
	$(BIN)/abpipe synth data/coco --kind coco -n 60 --seed 2023 --pictures

wheel: $(BIN)/pytest  ## build the wheel and the sdist into dist/
	$(BIN)/python -m build

clean:  ## remove what the other targets made
	rm -rf $(VENV) demo bench dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
