# make run    a demo slide on http://localhost:3000
# make test   the whole suite
# make check  ruff, mypy, the layering test
# make bench  measure against other servers, and write docs/performance.md (15 minutes)

# The newest Python that we support, is here and can make environments; PYTHON=... names another.
PYTHON ?= $(shell for it in python3.13 python3.12 python3.11 python3; do \
	$$it -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$it && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: run test check bench install docs clean

run: $(VENV)/.installed .demo/demo.svs
	$(BIN)/wsi-streamer serve --host 127.0.0.1 --port 3000 .demo

test: $(VENV)/.tests
	$(BIN)/python -m pytest $(PYTEST)

check: $(VENV)/.checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layers.py

install: $(VENV)/.installed

.demo/demo.svs: | $(VENV)/.installed
	$(BIN)/wsi-streamer demo .demo

$(VENV)/.installed: setup.cfg setup.py
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install -e .
	touch $@

$(VENV)/.tests: $(VENV)/.installed
	$(PIP) install -e '.[test]'
	touch $@

$(VENV)/.checks: $(VENV)/.tests
	$(PIP) install -e '.[dev]'
	touch $@

bench: $(VENV)/.bench .bench/peers/.installed
	$(BIN)/python -m bench $(BENCH)

$(VENV)/.bench: $(VENV)/.installed
	$(PIP) install -e '.[bench]'
	touch $@

# Some of them need versions of botocore and others that are not ours.
.bench/peers/.installed: bench/peers/requirements.txt
	test -x .bench/peers/bin/python || $(PYTHON) -m venv .bench/peers
	.bench/peers/bin/python -m pip --disable-pip-version-check -q install -r $<
	touch $@

clean:
	rm -rf $(VENV) .bench .demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

docs: $(VENV)/.installed
	$(BIN)/python docs/settings_table.py
