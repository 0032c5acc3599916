# `make bench` measures everything, some twenty minutes; `make bench-short` fills the table, some five.
# Both print the report, and leave it with its plots in benchmarks/results.

.PHONY: bench bench-short bench-tools

bench: install bench-tools
	$(BIN)/python -m benchmarks

bench-short: install bench-tools
	$(BIN)/python -m benchmarks --quick

# wrk makes the load, nginx is the yardstick. nginx must not be started by its package.
bench-tools:
	@if ! command -v wrk > /dev/null || ! PATH="$$PATH:/usr/sbin" command -v nginx > /dev/null; then \
		apt-get install --yes --no-install-recommends wrk nginx-light; \
	fi
