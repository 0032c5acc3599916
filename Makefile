# `make demo` shows the whole on one machine, `make run` serves the sample, `make test` passes every test; all of them
# install what they need into .venv first.

PYTHON ?= python3
PORT ?= 8080
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: install demo run test check coverage sanitize clients kit browser loop soak soak-network countme bench bench-short dist

install: $(INSTALLED)

$(INSTALLED): pyproject.toml setup.py constraints.txt $(wildcard redirector/*/*.[ch] redirector/sources/*/*.[ch] redirector/server/worker/in_c/*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'Python 3.11 or newer is needed, and $(PYTHON) is another, or is not there: make PYTHON=python3.11' >&2; exit 1; }
	@echo 'Installing what is needed into .venv; the first time it takes a minute or two'
	@$(PYTHON) -m venv .venv || { echo 'Debian has venv in a package of its own: apt install python3-venv' >&2; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --use-pep517 --constraint constraints.txt --editable '.[network,postgresql,dev,bench]' || { \
		echo 'pytricia is built from source: a C compiler and the headers of Python have to be there' >&2; \
		echo 'Debian, Ubuntu: apt install gcc python3-dev    Fedora, AlmaLinux: dnf install gcc python3-devel' >&2; exit 1; }
	@touch $@

# A master, five mirrors and every program, until Ctrl-C; leaves build/demo.
demo: install
	@exec $(BIN)/python -m demo

run: install
	@$(BIN)/python -c 'import socket; socket.create_server(("127.0.0.1", $(PORT)))' 2>/dev/null || { \
		echo 'Port $(PORT) is busy, or not to be had: take another one, make run PORT=8081' >&2; exit 1; }
	@echo 'Loading the sample; it takes some seconds. Then try, in another terminal:'
	@echo "curl 'http://127.0.0.1:$(PORT)/mirrorlist/9/baseos'"
	@echo "curl 'http://127.0.0.1:$(PORT)/metalink?path=9/BaseOS/x86_64/os/repodata/repomd.xml'"
	@echo "curl 'http://127.0.0.1:$(PORT)/isolist/9/x86_64'"
	@exec $(BIN)/redirector serve --config data/redirector.yml --listen '127.0.0.1:$(PORT)' \
		--admin '127.0.0.1:$(if $(filter 8080,$(PORT)),9180,0)'

# Tests start hundreds of processes: none should compile the package anew, as containers like to have it.
test coverage kit loop: export PYTHONDONTWRITEBYTECODE =

test: install
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	REDIRECTOR_STRICT_C='-Wall -Wextra -Werror' $(BIN)/python setup.py --quiet build_ext --force --build-lib build/strict --build-temp build/strict
	$(BIN)/python -m pytest --quiet tests/test_imports.py

# The part in C, its tests and a minute of random input, under the sanitizers of addresses and of undefined behaviour.
sanitize: install
	$(BIN)/python -m tests.sanitize

# Which lines and branches the tests run, in all processes; TESTS chooses among them. Slower, so that a test of speed may fail.
TESTS ?= tests
coverage: install
	rm -rf build/coverage
	$(BIN)/python -m coverage run -m pytest --quiet $(TESTS); $(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage html --quiet --directory build/coverage/html
	$(BIN)/python -m coverage report

# What is given away, in build/dist: built, installed into fresh environments, and tried there.
dist: install
	$(BIN)/python -m tests.dist

# The package managers themselves, as Debian has them. Installs them, so it needs the right to do so.
clients:
	.ci/install install clients
	$(MAKE) install
	$(BIN)/python -m pytest tests/clients

# What people who run mirrors get, with the servers that they use: readers while it synchronizes, and every finding.
kit:
	.ci/install install kit
	$(MAKE) install
	$(BIN)/python -m pytest tests/kit_servers

# Every page in Chromium: three widths, light and dark, without script, by keyboard alone; axe-core and html-validate.
# And logging in by an OpenID provider, a certified one.
browser: install
	.ci/install install browser
	@command -v npm >/dev/null || { echo 'Node.js 20 or newer and npm are needed: apt install nodejs npm' >&2; exit 1; }
	npm ci --prefix tests/browser --no-audit --no-fund --silent
	$(BIN)/python -m pytest tests/browser

# All programs together: the demo, the pages that begin with an empty folder, two of each on one PostgreSQL, a roll-out.
loop:
	.ci/install install loop
	$(MAKE) install
	$(BIN)/python -m pytest tests/loop

# What a server goes through in years, in a quarter of an hour; prints a table.
soak: install
	$(BIN)/python -m tests.soak

# All programs, 120 mirrors and PostgreSQL for an hour at a hundred times the pace; everybody is killed by turns, and what
# clients get must stay right. Prints a table. SOAK='--minutes 5 --mirrors 30' is the short one.
SOAK ?=
soak-network:
	.ci/install install store
	$(MAKE) install
	$(BIN)/python -m tests.soak.network $(SOAK)

# The systems of a million made-up lines, as ours and Fedora's own tool count them: no row may differ.
countme: install
	$(BIN)/python -m tests.stats.fedora

# How fast it is and what that costs, beside its targets: a table, curves and plots, in twenty minutes. bench-short fills
# the table alone, in five. Reports go to benchmarks/results.
bench bench-short:
	.ci/install install benchmarks
	$(MAKE) install
	$(BIN)/python -m benchmarks $(if $(filter bench-short,$@),--quick)
	$(BIN)/python -m benchmarks.network $(if $(filter bench-short,$@),--quick)
	$(BIN)/python -m benchmarks.stats_lines
	$(BIN)/python -m benchmarks.choices
	$(BIN)/python -m benchmarks.rules $(if $(filter bench-short,$@),--quick)
	$(BIN)/python -m benchmarks.scan_list
	$(BIN)/python -m benchmarks.mirror_sync
	$(BIN)/python -m benchmarks.pages $(if $(filter bench-short,$@),--quick)
