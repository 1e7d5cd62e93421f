# Everything a developer types. Needs make and Python 3.11 or newer; the rest goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input

# Options for `relay serve` and for pytest, such as: make run ARGS="--port 9000"
ARGS ?=

# Where `make client` puts its package.
DIST ?= dist

# What `make image` calls the image.
IMAGE ?= relay-gateway

# Tests wait more than they compute: several at a time for each processor.
WORKERS ?= $(shell echo $$((3 * $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2))))
# Which tests there are is known file by file only, so none can say how many of them have run.
SPREAD := --dist loadfile --no-loadscope-reorder -o console_output_style=classic
XDIST := -n $(WORKERS) $(SPREAD)

# Of each property a fifth of its examples: other ones each time, and all of them in `make properties`. Of tests of the
# whole system each way to fan out and each event loop, but not all pairs of them, which `make whole-runs` takes.
BRIEF := --hypothesis-profile=brief -m "not repeat"

# Whole runs of commands that take their time. What they prove of the relay itself, other tests and `make fuzz` do, too.
WHOLE_RUNS := tests/attacks/test_planted_faults.py tests/bench/test_compare.py \
	tests/faults/test_planted_bugs.py tests/faults/test_run.py tests/fuzz/test_in_process.py \
	tests/system/test_resumed_load.py

# Where cases are marked that `make test` leaves out.
REPEATS := tests/system

# Every page in a real browser, in detail. The first steps in it, and what the relay's clients do there, `make test` tries, too.
PAGES := $(addprefix tests/,docs/test_guide_in_browser.py docs/test_guide_hook_in_browser.py loadtest/report/test_in_browser.py) \
	$(addprefix tests/web/test_demo_,access_in_browser.py centrifuge_in_browser.py credentials_in_browser.py log_in_browser.py) \
	$(addprefix tests/web/test_demo_,messages_in_browser.py outages.py over_tls.py rules_in_browser.py screen_in_browser.py)

# What drives SDKs of other languages, which are installed first.
SDKS := tests/centrifuge/sdk/test_other_sdks.py

# What is tested with other versions of Python: not what needs a browser, minutes, or the load test; and not files, pages,
# measurements, values of settings and the tests' own parts, which are the same with each. Of commands and workers in
# processes of their own, each of which loads everything, some are enough.
SLOW := $(addprefix --ignore=tests/,bench centrifuge compose conformance deploy docs faults fuzz harness_tests honesty loadtest system) \
	$(addprefix --ignore=tests/,test_distribution.py test_imports.py test_sizes.py settings/test_text.py workers/test_hung_workers.py) \
	$(addprefix --ignore=tests/cli/test_,client_token.py loadtest.py loadtest_run.py streams.py tls.py) \
	$(addprefix --ignore=tests/web/,test_browser_behind_proxy.py test_client_types.py test_relay_client_codes.py client) \
	--ignore-glob='*_in_browser.py' --ignore-glob='*outages.py' $(addprefix --ignore=,$(WHOLE_RUNS) $(PAGES))

# Autobahn's test suite for WebSockets, and the Python with which alone it runs.
AUTOBAHN := .venv-autobahn
PYTHON2 ?= $(firstword $(wildcard $(HOME)/.pyenv/versions/2.7.*/bin/python) python2.7)

# What is written in C; hatch_build.py compiles it when the relay is installed.
NATIVE := relay/fan_out/native.c
# The second level warns of an address taken as one of another type, too.
NATIVE_FLAGS := -std=gnu11 -Wall -Wextra -Wstrict-aliasing=2 -Werror
SANITIZED := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# pip doesn't show what a build says that succeeds.
SAY_LEFT_OUT := test -e $(NATIVE:.c=.so.1) || echo "no C compiler: the fan-out isn't compiled, and Python writes to each client instead. To change that: install gcc, then make clean"
HAS_CC := command -v $(firstword $(CC)) >/dev/null

.DEFAULT_GOAL := help
.PHONY: help run test test-fast fast oracle sdk honesty whole-runs pages properties conformance faults fuzz attacks lint native-check format bench peers loadtest redis programs compiler browser axe proxies curl faketime \
	promtool shellcheck image client lock env-example protobuf compose-test loadtest-compose clean

help: ## show this list
	@echo "make run               start a gateway on the memory broker       options: ARGS=\"--port 9000\""
	@echo "make test              run the tests, with coverage: 5 minutes    options: ARGS=\"-k settings\""
	@echo "make test-fast         run the fast ones, with any Python         options: PYTHON=python3.13"
	@echo "make loadtest          load two gateways and a Redis, and write a report"
	@echo "make honesty           run the load test against servers with faults: 2 minutes"
	@echo "make whole-runs        try the commands that inject faults, fuzz, resume and compare commits: 10 minutes"
	@echo "make pages             try each page in a browser, in detail: 1 minute"
	@echo "make oracle            ask Centrifugo what its clients are answered: 5 minutes  options: ARGS=\"--record\""
	@echo "make sdk               drive the official SDKs of Centrifuge through faults: 3 minutes"
	@echo "make properties        try each property with all of its examples: 3 minutes"
	@echo "make faults            break everything at random, and account for every message: 10 minutes   options: ARGS=\"--seconds 60\""
	@echo "make fuzz              send gateways random and mutated bytes: 1 minute   options: ARGS=\"--seconds 600\""
	@echo "make attacks           measure what healthy clients notice of attacks: 10 minutes   options: ARGS=\"--core\""
	@echo "make conformance       judge gateways by Autobahn's suite: 1 minute   options: PYTHON2=/path/to/python2.7"
	@echo "make lint              check style, formatting, types and dependencies"
	@echo "make native-check      try what is written in C with sanitizers: 10 seconds  options: ARGS=\"60 SEED\""
	@echo "make format            format the code"
	@echo "make bench             measure against an everyday relay          options: ARGS=\"...\""
	@echo "make peers             measure beside other servers               options: ARGS=\"...\""
	@echo "make image             build the gateway's image, relay-gateway   options: IMAGE=name:tag"
	@echo "make client            pack the JavaScript client for npm, into dist/"
	@echo "make compose-test      test the stack of docker-compose.yml with a Docker engine: 5 minutes"
	@echo "make loadtest-compose  load the stack that runs here through its balancer"
	@echo "make lock              renew the image's locked dependencies      options: ARGS=\"--upgrade-package aiohttp\""
	@echo "make env-example       write .env.example anew from the settings"
	@echo "make protobuf          write the Python of messages in Protobuf anew from client.proto"
	@echo "make clean             remove the environments, caches and builds"
	@echo
	@echo "The first make run installs relay into $(VENV), which takes about half a minute; the first make test the development"
	@echo "tools, too. It also installs programs that are missing, with the system's package manager: redis-server, without"
	@echo "which most tests can't run, and chromium, nginx, haproxy, node, gcc, curl, promtool and shellcheck, without which some"
	@echo "are skipped. That needs root, or sudo without a password; else it says what is missing."

# With what the playground can show; a .env says all of it.
SHOW := $(if $(wildcard .env),,RELAY_HISTORY_SIZE=$${RELAY_HISTORY_SIZE:-100} RELAY_PRESENCE=$${RELAY_PRESENCE:-on} \
	RELAY_JOIN_LEAVE=$${RELAY_JOIN_LEAVE:-$${RELAY_PRESENCE:-on}})

run: $(VENV)/.stamp-run ## start a gateway
	@$(SHOW) exec $(BIN)/relay serve $(ARGS)

# Programs come with the system's package manager while the tools of Python come from elsewhere.
# Part of the tests only, chosen by ARGS, can't reach the coverage of all of them.
test: compiler $(VENV)/bin/python ## run the tests
	@trap 'kill $$programs' INT; $(MAKE) --silent redis programs & programs=$$!; \
	$(MAKE) --silent $(VENV)/.stamp-dev; failed=$$?; wait $$programs && exit $$failed
	@$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),$(XDIST) $(BRIEF) --ignore=tests/honesty --ignore=tests/compose \
		$(addprefix --ignore=,$(WHOLE_RUNS) $(PAGES) $(SDKS)) --cov --cov-report=term)

# In an environment of its own for each version, so that the one of the other targets stays as it is.
test-fast: ## run the fast tests with any Python
	@version=$$($(PYTHON) -c 'import platform; print(platform.python_version())') && \
		$(MAKE) --no-print-directory VENV=.venv-$$version fast

fast: $(VENV)/.stamp-dev redis
	@$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),$(XDIST) $(BRIEF) $(SLOW) -p no:cacheprovider)

# Each of these is a whole run of the load test: two minutes in all, which the tests that one runs all day needn't take.
honesty: $(VENV)/.stamp-dev redis ## prove the load test honest
	@$(BIN)/python -m pytest -n 2 $(SPREAD) tests/honesty $(ARGS)

whole-runs: $(VENV)/.stamp-dev redis ## run commands that take their time
	@$(BIN)/python -m pytest $(WHOLE_RUNS) $(ARGS)
	@$(if $(ARGS),,$(BIN)/python -m pytest -n 2 $(SPREAD) -m repeat $(REPEATS))

pages: $(VENV)/.stamp-dev redis browser axe ## try each page in a browser
	@$(BIN)/python -m pytest $(XDIST) $(PAGES) $(ARGS)

# Centrifugo is what Go compiles, once; with ARGS=--record its answers are written anew.
oracle: $(VENV)/.stamp-dev ## ask Centrifugo itself what the relay is compared with
	@$(BIN)/python -m tests.centrifuge.oracle $(ARGS)

# With ARGS="--against centrifugo" the scenario itself is tested: the SDKs were made for that.
sdk: $(VENV)/.stamp-dev redis browser ## drive the official SDKs of Centrifuge
	@$(BIN)/python -m tests.centrifuge.sdk
	@$(BIN)/python -m pytest tests/centrifuge/sdk $(ARGS)

properties: $(VENV)/.stamp-dev redis ## try each property with all of its examples
	@$(BIN)/python -m pytest $(XDIST) -m hypothesis --ignore=tests/honesty --ignore=tests/compose $(ARGS)

# A seed repeats the faults: ARGS="--seed 7". With --folder the history is left, to be judged again.
faults: $(VENV)/.stamp-dev redis faketime ## break everything at random
	@$(BIN)/python -m tests.faults --seconds 600 $(ARGS)

fuzz: $(VENV)/.stamp-dev redis ## send gateways random and mutated bytes
	@$(BIN)/python -m tests.fuzz $(ARGS)

attacks: $(VENV)/.stamp-dev redis ## measure what healthy clients notice of attacks
	@$(BIN)/python -m tests.attacks $(ARGS)

conformance: $(VENV)/.stamp-dev $(AUTOBAHN)/.stamp redis ## judge gateways by Autobahn's suite
	@$(BIN)/python -m tests.conformance --python $(AUTOBAHN)/bin/python $(ARGS)

# Needs a Docker engine with Compose; five minutes.
compose-test: $(VENV)/.stamp-dev ## test the stack
	@$(BIN)/python -m pytest tests/compose $(ARGS)

image: ## build the gateway's image
	docker build --file deploy/Dockerfile --tag $(IMAGE) \
		--build-arg REVISION="$$(git rev-parse HEAD 2>/dev/null || echo unknown)" .

# For `npm install FILE`: nothing is published.
client: ## pack the JavaScript client
	@command -v npm >/dev/null || { echo "npm is missing: install Node 22 or newer, which brings it" >&2; exit 1; }
	@mkdir -p $(DIST) && folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
		cp relay/web/client/* LICENSE "$$folder" && \
		packed=$$(npm pack --silent --pack-destination $(abspath $(DIST)) "$$folder") && echo "packed $(DIST)/$$packed"

env-example: $(VENV)/.stamp-run ## write .env.example
	@cd deploy && ../$(BIN)/relay config --env >../.env.example

protobuf: $(VENV)/.stamp-dev ## write what client.proto says in Python
	@$(BIN)/python -m grpc_tools.protoc --proto_path=. --python_out=. --pyi_out=. relay/protocols/centrifuge/client.proto

# For all versions of Python and all platforms, with the hashes of all files of a version: any mirror may serve them.
# No package is built for it, which would run its code.
LOCK = $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --no-build --generate-hashes \
	--custom-compile-command "make lock" $(or $(ARGS),--upgrade)

lock: $(VENV)/.stamp-dev ## write the lock files
	@$(LOCK) --extra uvloop --output-file deploy/requirements.lock pyproject.toml
	@$(BIN)/python -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb")); \
		print(*project["build-system"]["requires"], sep="\n")' | $(LOCK) --output-file deploy/build-requirements.lock -

lint: $(VENV)/.stamp-dev ## check style, formatting, types and dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@$(HAS_CC) || { echo "$(NATIVE): SKIPPED, as there is no C compiler here"; exit 0; }; \
		for file in $(NATIVE) tests/fan_out/native/check.c; do $(CC) $(NATIVE_FLAGS) -O2 -c -o /dev/null $$file || exit 1; done
	$(BIN)/python -m tests.deploy.audit

# One run of the sanitizers ends with the first thing that they find. ARGS: seconds, and a seed that repeats a run.
native-check: CHECK_BUILD := build/native-
native-check: ## try what is written in C with sanitizers
	@mkdir -p build
	@if ! $(HAS_CC); then echo "native-check: SKIPPED, as there is no C compiler here"; \
	elif ! echo 'int main(void) { return 0; }' | $(CC) $(SANITIZED) -o $(CHECK_BUILD)probe -xc - 2>/dev/null || ! $(CHECK_BUILD)probe; then \
		echo "native-check: SKIPPED, as $(CC) has no sanitizers here"; \
	else $(CC) $(NATIVE_FLAGS) -g -O1 $(SANITIZED) -o $(CHECK_BUILD)check tests/fan_out/native/check.c && $(CHECK_BUILD)check $(or $(ARGS),10); fi

format: $(VENV)/.stamp-dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.stamp-dev redis ## measure
	@$(BIN)/python -m bench $(ARGS)

loadtest: $(VENV)/.stamp-run redis ## load two gateways
	@$(BIN)/relay loadtest --gateways 2 --clients 400 --channels 20 --publishers 20 --rate 200 --duration 10s \
		--json loadtest.json --report loadtest.html $(ARGS)

loadtest-compose: $(VENV)/.stamp-run ## load the stack that runs here
	@docker compose port balancer 8080 2>/dev/null | grep -q . || { \
		echo "No balancer runs here: docker compose up --build --scale gateway=3 --wait" >&2; exit 1; }
	@$(BIN)/relay loadtest "ws://$$(docker compose port balancer 8080)" --clients 1000 --channels 50 --publishers 50 \
		--rate 500 --duration 20s --json loadtest.json --report loadtest.html $(ARGS)

peers: $(VENV)/.stamp-dev redis ## measure beside others
	@$(BIN)/python -m bench.peers $(ARGS)

clean: ## remove what the other targets made
	rm -rf relay/fan_out/native.so.1 autobahn loadtest.html loadtest.json .venv .venv-* build dist htmlcov .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than pyproject.toml once the dependencies named there are installed, and than what is compiled then.
$(VENV)/.stamp-run: pyproject.toml hatch_build.py $(NATIVE) $(VENV)/bin/python
	@echo "installing relay into $(VENV); that takes about half a minute"
	@$(PIP) install --editable '.[loadtest,uvloop]'
	@$(SAY_LEFT_OUT)
	@touch $@

# Among these tools is uv, which installs the others in a tenth of the time that pip takes. It knows nothing of pip's
# settings: where pip is told to look elsewhere, pip installs all, and so it does where uv can't.
$(VENV)/.stamp-dev: pyproject.toml hatch_build.py $(NATIVE) $(VENV)/bin/python
	@echo "installing relay and its development tools into $(VENV); that takes about half a minute"
	@{ test -z "$$($(BIN)/python -m pip config list | grep -vE 'cert|timeout|version-check')" && $(PIP) install 'uv>=0.9' && \
		UV_NATIVE_TLS=1 $(BIN)/uv pip install --quiet --no-config --python $(BIN)/python --compile-bytecode --editable '.[dev]'; } || \
		$(PIP) install --editable '.[dev]'
	@$(SAY_LEFT_OUT)
	@touch $@ $(VENV)/.stamp-run

# The last virtualenv that knows Python 2.7 is one before 20.22. Of what the suite needs there will be no newer versions.
$(AUTOBAHN)/.stamp: $(VENV)/bin/python
	@$(PYTHON2) -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' 2>/dev/null || { \
		echo "Autobahn's test suite needs Python 2.7, and $(PYTHON2) is none: make conformance PYTHON2=/path/to/python2.7" >&2; exit 1; }
	@echo "installing Autobahn's test suite into $(AUTOBAHN); that takes about a minute"
	@$(BIN)/python -m venv $(AUTOBAHN)/virtualenv
	@$(AUTOBAHN)/virtualenv/bin/python -m pip --quiet --disable-pip-version-check --no-input install 'virtualenv<20.22'
	@$(AUTOBAHN)/virtualenv/bin/python -m virtualenv --quiet --python $(PYTHON2) $(AUTOBAHN)
	@$(AUTOBAHN)/bin/python -m pip --quiet --disable-pip-version-check --no-python-version-warning --no-input \
		install autobahntestsuite==25.10.1
	@touch $@

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { \
		echo "There is no $(PYTHON): install Python 3.11 or newer, or name one: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "relay needs Python 3.11 or newer, $(PYTHON) is `$(PYTHON) --version`: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) can't make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# The tests start Redis servers of their own: only the program is needed, not a service that runs.
redis:
	@command -v redis-server >/dev/null || sh tests/install.sh redis-server

# Before the relay is installed, which compiles the fan-out with it.
compiler:
	@$(HAS_CC) || sh tests/install.sh gcc || true

# What only some tests need; where it can't be had they are skipped, and say so.
programs: browser proxies curl faketime
	@$(MAKE) --silent promtool || true
	@$(MAKE) --silent shellcheck || true

# Pages are tested in a real browser: if there is one, in that which is made to run without a window. For each page a
# usual Chromium takes another second of a processor.
browser:
	@command -v chromium-headless-shell >/dev/null || \
		{ ! apt-cache show chromium-headless-shell >/dev/null 2>&1 && \
			{ command -v chromium || command -v chromium-browser; } >/dev/null; } || \
		sh tests/install.sh chromium || true

# What judges the accessibility of the playground: exactly what the lock file names. npm comes with Node, or doesn't.
AXE := .venv-sdk/axe
axe:
	@if ! command -v npm >/dev/null; then echo "there is no npm here: axe-core, which judges the playground, is left out"; \
	elif ! cmp -s tests/web/axe/package-lock.json $(AXE)/.installed; then \
		mkdir -p $(AXE) && cp tests/web/axe/package*.json $(AXE) && \
		(cd $(AXE) && npm ci --ignore-scripts --no-audit --no-fund --silent) && cp tests/web/axe/package-lock.json $(AXE)/.installed || \
		echo "npm could not install axe-core, which judges the playground: it is left out"; \
	fi

# Clients and proxies as they are: what stands between a gateway and the world, and what speaks to it.
proxies:
	@PATH=$$PATH:/usr/sbin; command -v nginx >/dev/null || sh tests/install.sh nginx || true
	@PATH=$$PATH:/usr/sbin; command -v haproxy >/dev/null || sh tests/install.sh haproxy || true
	@NODE_PATH=/usr/share/nodejs node --eval 'require("ws")' 2>/dev/null || sh tests/install.sh node || true

# Without it clocks don't jump, and the run says so.
faketime:
	@ls /usr/lib*/faketime/libfaketime.so.1 /usr/lib/*/faketime/libfaketime.so.1 2>/dev/null | grep -q . || \
		sh tests/install.sh faketime || true

curl:
	@command -v curl >/dev/null || sh tests/install.sh curl || true

# Alerts, dashboards and metrics are checked by Prometheus itself.
promtool: $(VENV)/bin/python
	@command -v promtool >/dev/null || test -x $(BIN)/promtool || sh tests/install.sh promtool

shellcheck:
	@command -v shellcheck >/dev/null || sh tests/install.sh shellcheck
