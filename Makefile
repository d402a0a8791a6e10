# Two commands on a fresh machine: `make demo` and `make test`. Each makes .venv and installs when needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-slow test-browser bench tiny grounding clean

demo: $(VENV)/.installed
	$(BIN)/saccade train reason_rft

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

# Needs Chromium (apt-get install chromium). Without it they are skipped, or with SACCADE_BROWSER=required they fail.
test-browser: $(VENV)/.installed-browser
	$(BIN)/python -m pytest -n 2 --dist loadfile -m browser tests/browser

bench: $(VENV)/.installed-bench
	$(BIN)/python -m bench

tiny: $(VENV)/.installed
	$(BIN)/python scripts/make_tiny.py

# Needs Chromium, for widgets to learn from: as many as teaching takes, not only those that are shipped.
grounding: $(VENV)/.installed
	mkdir -p build
	$(BIN)/python scripts/make_screens.py --out build/screens.parquet --train 4000 --test 0 --seed 1
	$(BIN)/python scripts/make_grounding.py --screens build/screens.parquet

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $(VENV)/.installed $@

$(VENV)/.installed-browser: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[test,browser]'
	@touch $(VENV)/.installed $(VENV)/.installed-test $@

$(VENV)/.installed-bench: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
