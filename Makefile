# `make run` starts the whole product, `make test` runs all tests; both set everything up first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Most tests wait for processes and leases rather than compute, so a few files at a time halve the run on two cores.
# They come in their order, not those with many tests first: the long ones are few in a file.
JOBS ?= 3
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev

.DEFAULT_GOAL := help

help:  ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(STAMP)  ## Set everything up and start the product on http://localhost:3000
	@exec $(BIN)/stanchion serve

demo: $(STAMP)  ## Try it all at once: the service, a box office behind the gate, a worker, a crowd
	@exec $(BIN)/stanchion demo $(ARGS)

test: $(DEV_STAMP)  ## Set everything up and run all tests, with branch coverage (JOBS=1: one after the other)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest --cov --cov-report=term --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

bench: $(STAMP)  ## Measure throughput, latency and CPU on loopback (needs wrk; PARTS=… for some only)
	$(BIN)/python -m benchmarks $(PARTS)

screenshots: $(DEV_STAMP)  ## Make the pictures of README and docs anew, from a demo (needs Chromium; some minutes)
	$(BIN)/python -m tests.browser.pictures
	$(BIN)/python -m tests.browser.crowd_pictures

check: $(DEV_STAMP)  ## Only the linters and the type checker
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(DEV_STAMP)  ## Put the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

chaos: $(DEV_STAMP)  ## Soak the task queue while killing everything (CHAOS_SECONDS=600)
	$(BIN)/python -m tests.tasks.soak $(or $(CHAOS_SECONDS),600)

pins: $(DEV_STAMP)  ## Take the newest versions that fit into the image, and write them into pyproject.toml
	$(BIN)/python .ci/pins.py

containers: $(DEV_STAMP)  ## Build the image, bring docker-compose.yml up and try it (needs a Docker engine)
	$(BIN)/python -m tests.containers $(ARGS)

clean:  ## Remove the virtual environment and caches (never the data)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(DEV_STAMP): pyproject.toml $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(BIN)/pip install --quiet --disable-pip-version-check --group dev
	@touch $@

.PHONY: help run demo test bench chaos screenshots check format pins containers clean
