# `make run` serves the sample, `make test` passes every test; both install what they need into .venv first.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: install run test check clients soak bench bench-short

install: $(INSTALLED)

$(INSTALLED): pyproject.toml setup.py constraints.txt redirector/answer/_fast.c
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[network,postgresql,dev,bench]'
	@touch $@

run: install
	@echo 'Try, in another terminal:'
	@echo 'curl http://127.0.0.1:8080/mirrorlist/9/baseos'
	@echo 'curl http://127.0.0.1:8080/metalink?path=9/BaseOS/x86_64/os/repodata/repomd.xml'
	@echo 'curl http://127.0.0.1:8080/isolist/9/x86_64'
	@exec $(BIN)/redirector serve --config data/redirector.yml

test: install
	$(BIN)/python -m pytest

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet tests/test_imports.py

# The package managers themselves, as Debian has them. Installs them, so it needs the right to do so.
clients:
	.ci/install install clients
	$(MAKE) install
	$(BIN)/python -m pytest tests/clients

# What a server goes through in years, in a quarter of an hour; prints a table.
soak: install
	$(BIN)/python -m tests.soak

# How fast it is and what that costs, beside its targets: a table, curves and plots, in twenty minutes. bench-short fills
# the table alone, in five. Reports go to benchmarks/results.
bench bench-short:
	.ci/install install benchmarks
	$(MAKE) install
	$(BIN)/python -m benchmarks $(if $(filter bench-short,$@),--quick)
