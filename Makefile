# make demo    the whole service on this machine, with two sample calendars; PORT=8000
#              SIMULATORS=1: Google and Outlook accounts can be connected, to simulated vendors on this machine
# make simulators   only these two, for a service that runs elsewhere; prints the settings that lead there
# make test    the whole suite: on SQLite, then on a real PostgreSQL and Valkey
# make lint    ruff, mypy, import-linter, migrations, production settings
# make check   lint and test
# make faults  the long tries: killed workers, a thousand token rotations, many random histories; prints its seed
# make bench   the benchmarks
# make interop the feeds, read by programs that share no code with them
# make differential   drawn calendars through our expansion and three others
# make screenshots  the pictures of the README, taken from a demo; make clean first
# make clean   remove the demo's data and the record of what is installed

PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
export PORT
export SIMULATORS

.PHONY: demo simulators test lint check faults bench interop differential screenshots setup clean

demo: .venv/demo.stamp
	@exec $(BIN)/python -m config.demo

simulators: .venv/demo.stamp
	@exec $(BIN)/python -m tests.simulators

test: .venv/dev.stamp
	@exec $(BIN)/python -m tests

lint: .venv/dev.stamp
	@exec $(BIN)/python -m tests.lint

check: lint test

faults: .venv/dev.stamp
	@exec $(BIN)/python -m tests.faults

bench: .venv/dev.stamp
	@exec $(BIN)/python -m tests.benchmarks

interop: .venv/dev.stamp
	@exec $(BIN)/python -m tests.interop

differential: .venv/dev.stamp
	@exec $(BIN)/python -W ignore -m tests.differential $(SEEDS)

screenshots: .venv/dev.stamp
	@exec $(BIN)/python -m tests.screenshots

setup: .venv/dev.stamp

.venv/demo.stamp: requirements.txt requirements-demo.txt constraints.txt .ci/venv
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed: apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) .ci/venv requirements-demo.txt
	@touch $@

# requirements-dev.txt includes the demo's.
.venv/dev.stamp: requirements.txt requirements-demo.txt requirements-dev.txt constraints.txt .ci/venv
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed: apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) .ci/venv requirements-dev.txt
	@touch $@ .venv/demo.stamp

clean:
	@if [ -e var/demo.lock ] && command -v flock >/dev/null && ! flock -n var/demo.lock true; then \
		echo "The demo is running here; stop it first." >&2; exit 1; fi
	rm -rf var .venv/demo.stamp .venv/dev.stamp
