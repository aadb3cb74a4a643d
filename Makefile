# Thin: makes .venv with tox in it and calls tox, which makes everything else.

# Interpreters that a version manager keeps off PATH are used too.
PYENV_ROOT ?= $(HOME)/.pyenv
export PATH := $(PATH):$(subst $() ,:,$(wildcard $(PYENV_ROOT)/versions/3.1[123].*/bin))

# The first of these that is a Python 3.11, 3.12 or 3.13.
IS_SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(IS_SUPPORTED)' 2>/dev/null && echo $$p && break; done)

TOX := .venv/bin/tox
ARGS ?=

# The environment of the interpreter that tox runs on, as `make test` has it.
ENVIRONMENT = py$$(.venv/bin/python -c 'import sys; print("%d%d" % sys.version_info[:2])')

IN_ENVIRONMENT = $(TOX) exec -q -e $(ENVIRONMENT)-enhanced -- python

# What is published is measured beside the newest NautilusTrader, which 3.11 does not have. What is
# exported above does not reach this shell by itself.
MEASURED = $(if $(shell PATH="$(PATH)" command -v python3.12),py312,$(ENVIRONMENT))
IN_MEASURED = $(TOX) exec -q -e $(MEASURED)-enhanced -- python
# Of the environment of `make test`, the command is run as a user runs it.
BENCH = $(IN_MEASURED) -m nautilus_enhanced.cli bench

.PHONY: help demo test long bench bench-pages lint clean

help:
	@echo "make demo    watch a live node trade over the enhanced bus (ARGS='--bus both' and others;"
	@echo "             ARGS=--chaos kills its server again and again)"
	@echo "make test    run all tests, on every supported Python that is found"
	@echo "make long    run what takes longer: the contract suite on a patched NautilusTrader and on 3.13,"
	@echo "             tests marked so, all benchmarks in full, and half an hour of feeding the"
	@echo "             engines while their memory is watched (ARGS='--minutes 5')"
	@echo "make bench   measure the bus beside the stock one (ARGS='--quick')"
	@echo "make bench-pages  the same twice, then write the figures of docs/ and benchmarks/ratios.json:"
	@echo "             forty minutes on a machine that does nothing else"
	@echo "make lint    check style and formatting"
	@echo "make clean   remove what the above made"

demo: $(TOX)
	@NT_ENHANCED_DEMO_ENV=$(ENVIRONMENT) $(TOX) run -q -e demo -- $(ARGS)

test: $(TOX)
	$(TOX) run

long: $(TOX)
	$(TOX) run -e py311-patched,py312-patched,py313-patched
	$(TOX) run -e py313-stock,py313-enhanced -- tests/contract
	@$(IN_ENVIRONMENT) -m pytest -m long tests
	@$(BENCH)
	@$(IN_ENVIRONMENT) -m nautilus_enhanced.benchmarks.soak_dispatcher $(ARGS)

bench: $(TOX)
	@$(BENCH) $(ARGS)

bench-pages: $(TOX)
	@mkdir -p build
	$(TOX) run -e pages

lint: $(TOX)
	$(TOX) run -e lint

clean:
	rm -rf .venv .tox build dist *.egg-info

$(TOX):
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 was found: install one, \
	or name it with 'make PYTHON=/path/to/python3.12 ...'." >&2; exit 2; }
	@echo "Making .venv with tox ($(PYTHON))"
	@$(PYTHON) -m venv .venv || { echo "The venv module is missing: on Debian and Ubuntu run \
	'apt install python3-venv'." >&2; exit 2; }
	@.venv/bin/python -m pip install -q --disable-pip-version-check 'tox>=4.20'
