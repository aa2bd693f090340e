# make run    a demo slide on http://localhost:3000
# make test   the whole suite
# make check  ruff, mypy, the layering test

# The newest Python that we support and that is here; PYTHON=... names another.
PYTHON ?= $(firstword $(foreach v,3.13 3.12 3.11,$(shell command -v python$(v) 2>/dev/null)) python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: run test check install docs clean

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
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed") if sys.version_info < (3, 11) else 0'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install -e .
	touch $@

$(VENV)/.tests: $(VENV)/.installed
	$(PIP) install -e '.[test]'
	touch $@

$(VENV)/.checks: $(VENV)/.tests
	$(PIP) install -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

docs: $(VENV)/.installed
	$(BIN)/python docs/settings_table.py
