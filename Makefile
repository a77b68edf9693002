# Every target sets up what it needs; on a fresh machine each of them is enough.
PYTHON ?= python3.11
BIN := .venv/bin
DIST := dist
BENCH := build/bench
BENCH_INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode --constraint requirements/dev.txt --python
PEERS := build/peers
COMPAT := build/compat
# uv trusts what pip trusts
export UV_SYSTEM_CERTS := true

.PHONY: setup demo test tests check lint types peers wheels compat bench prompts panel bundle pins clean

setup: .venv/.installed

.venv/.installed: pyproject.toml requirements/dev.txt requirements/uv.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/uv.txt
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/uv.txt requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# Starts the server on the sandbox, as a host would, and makes two pictures.
demo: setup
	@$(BIN)/python examples/demo.py

# A file's tests stay together, in their order: what a file has set up once, such as packages, is not set up twice.
PYTEST := pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder

# Runs the tests that last a moment and need Python alone.
test: setup
	$(BIN)/$(PYTEST) -m 'not packages and not peers and not processes and not soak and not compat'

# Runs all tests, and holds the coverage: all of tools/, nine tenths of server/. Needs Node.js. The soak runs by itself:
# its servers wait a tenth of the usual time, and other tests beside them would look ten times as slow.
tests: setup
	@$(BIN)/coverage erase
	$(BIN)/$(PYTEST) -m exhaustive
	$(BIN)/coverage run -m $(PYTEST) -m 'not exhaustive and not soak'
	$(BIN)/coverage run -m pytest -m soak
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --include='tools/*' --fail-under=100
	@$(BIN)/coverage report --include='server/*' --fail-under=90

check: lint types tests

lint: setup
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

types: setup
	$(BIN)/pyright

# Installs other people's gateways, which the tests start, each in an environment of its own. Needs Node.js.
peers: $(PEERS)/litellm/.installed $(PEERS)/aimock/.installed

$(PEERS)/litellm/.installed: requirements/litellm.txt | setup
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(@D)
	$(BIN)/uv pip sync --quiet --python $(@D)/bin/python --require-hashes $<
	@touch $@

$(PEERS)/aimock/.installed: requirements/aimock/package.json requirements/aimock/package-lock.json
	@mkdir -p $(@D)
	cp $^ $(@D)
	cd $(@D) && npm ci --silent --ignore-scripts --no-audit --no-fund
	@touch $@

# Tries the built wheel with other people's clients; ARGS="fastmcp codex" with some of them. Needs Node.js.
compat: setup
	@$(BIN)/uv build --quiet --wheel --clear --no-build-isolation --python $(BIN)/python --out-dir $(COMPAT)/wheel
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(COMPAT)/server
	@$(BIN)/uv pip install --quiet --python $(COMPAT)/server/bin/python $(COMPAT)/wheel/*.whl
	@$(BIN)/python -m tests.compat --server $(COMPAT)/server/bin/blockrun-image-mcp $(ARGS)

# Packs what hosts install with a click, after a check of the manifest. Needs Node.js.
bundle: VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
bundle:
	npx --yes @anthropic-ai/mcpb@2.1.2 pack . $(DIST)/blockrun-image-mcp-$(VERSION).mcpb

# Asks the index what Windows and macOS install from wheels, and so without a compiler; fails if that has changed.
wheels: setup
	@$(BIN)/python -m tests.wheels

# Measures the server beside the least that mcp makes possible, without the development tools; ARGS=--json for programs.
bench: $(BENCH)/.installed
	@$(BIN)/uv build --quiet --wheel --clear --no-build-isolation --python $(BIN)/python --out-dir $(BENCH)/wheel
	@$(BENCH_INSTALL) $(BENCH)/ours/bin/python --no-deps --reinstall $(BENCH)/wheel/*.whl
	@$(BIN)/python -m tests.benchmarks --python $(BENCH)/ours/bin/python --floor-python $(BENCH)/floor/bin/python $(ARGS)

$(BENCH)/.installed: .venv/.installed
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(BENCH)/ours
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(BENCH)/floor
	$(BENCH_INSTALL) $(BENCH)/ours/bin/python --requirements pyproject.toml
	$(BENCH_INSTALL) $(BENCH)/floor/bin/python mcp
	@touch $@

# Scores what is added to prompts against the quality bar, beside two baselines; ARGS="--list contradictions" shows why.
prompts: setup
	@$(BIN)/python -m tests.prompts $(ARGS)

# Prints the sheet on which somebody judges what is added to prompts of their own (PROMPTS=file), or scores it when it
# is filled in (SHEET=file), beside a second judging (SECOND=file); tests/prompts/PANEL.md tells how.
panel: setup
	@$(BIN)/python -m tests.prompts.panel $(if $(PROMPTS),--prompts '$(PROMPTS)') $(if $(SHEET),--sheet '$(SHEET)') \
		$(if $(SECOND),--second '$(SECOND)') $(ARGS)

# Writes the hashed pins anew, from the bounds in pyproject.toml. Needs Node.js.
pins: setup
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --upgrade --group dev pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --upgrade requirements/litellm.in -o requirements/litellm.txt
	echo uv | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --upgrade - -o requirements/uv.txt
	cd requirements/aimock && npm install --silent --package-lock-only --omit-lockfile-registry-resolved --save-exact @copilotkit/aimock@1

clean:
	rm -rf .venv .coverage* .pytest_cache .ruff_cache .import_linter_cache build dist demo-pictures
