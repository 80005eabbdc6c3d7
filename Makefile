# Two commands do everything: `make demo` shows Vicinal at work, `make test` proves it.
# Each makes its environment in .venv on first use; Python >= 3.10, a C++ compiler and make are enough.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS   ?=
PACKAGES := -e "engine[all]" -e adapters/langchain -e adapters/llama_index
SOURCES  := pyproject.toml engine/pyproject.toml adapters/langchain/pyproject.toml adapters/llama_index/pyproject.toml

.PHONY: help demo test slow soak chroma check lint types contracts bench bench-quality notebooks clean

help:  ## What can be done here
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/.demo  ## Build a collection of Python's own documentation and ask it; ARGS='--ask "…"'
	@$(BIN)/python -m demo $(ARGS)

test: $(VENV)/.test  ## The tests, in a few minutes; ARGS='-k name' for some
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

slow: $(VENV)/.test  ## The long ones: more kills, longer histories
	$(BIN)/python -m pytest -m slow $(ARGS)

soak: $(VENV)/.test  ## Kills, histories and fuzzing for a while; ARGS='--seconds 600'
	$(BIN)/python -m tests.soak $(ARGS)

chroma: $(VENV)/.bench  ## Chroma's own tests, and long random histories on both; needs chromadb 1.5.9
	$(BIN)/python -m pytest tests/chroma $(ARGS)
	$(BIN)/python -m tests.chroma $(ARGS)

check: lint types contracts test  ## What CI runs, and more: style, types, import contracts, tests

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.lint
	$(BIN)/mypy

contracts: $(VENV)/.lint
	$(BIN)/lint-imports

bench: $(VENV)/.bench  ## Every bar of speed and size beside other engines; ARGS='--quick' or '--scaling'
	$(BIN)/python -m bench $(ARGS)

bench-quality: $(VENV)/.bench  ## How well dense, text and hybrid search rank; writes docs/quality.md
	$(BIN)/python -m bench.quality $(ARGS)

notebooks: $(VENV)/.test  ## Execute the notebooks in place
	$(BIN)/python -m notebooks.execute $(ARGS)

clean:  ## Remove the environment and everything that was built
	rm -rf $(VENV) .vicinal-demo .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.made:
	@echo "Making the environment in $(VENV) (once; a minute or two) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or later is needed")'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade "pip>=25.1"
	@touch $@

$(VENV)/.demo: $(VENV)/.made $(SOURCES)
	@$(PIP) install $(PACKAGES) --group demo
	@touch $@

$(VENV)/.test: $(VENV)/.made $(SOURCES)
	@$(PIP) install $(PACKAGES) --group test
	@touch $@

$(VENV)/.lint: $(VENV)/.test
	@$(PIP) install --group lint
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	@$(PIP) install --group bench
	@touch $@
