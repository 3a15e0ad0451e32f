# What people and machines run; `make` alone lists the targets. run, try and build need cargo and a C compiler,
# the web UI needs Node.js 20 or newer, test also python3.

CARGO ?= cargo
ARGS ?=
PROGRAMS = $(or $(CARGO_TARGET_DIR),target)/release
NPM ?= npm
DOUBLE_ADDR ?= 127.0.0.1:4010
IMAGE ?= gpt-load
# The command line for a running node: what is built already, else a debug build.
GPT_LOAD = $(or $(wildcard $(PROGRAMS)/gpt-load),$(CARGO) run --locked --bin gpt-load --)

.DEFAULT_GOAL := help
.PHONY: help run try double build web dev test sdk-test api-test e2e lint lint-web fmt bench bench-selection soak fuzz clean \
        helm-test docs-test docker-build docker-run dockerfile-test \
        docs health stats blacklist reset-keys validate-keys migrate-keys

help: ## List the targets
	@echo "GPT-Load: make run starts a node, make try shows one at work."
	@echo
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: web ## Build UI and node for release and start it on SQLite; needs no configuration (.env, OPENAI_BASE_URL, KEYS_FILE … apply)
	$(CARGO) build --release --locked --bin gpt-load
	@echo "No provider key at hand? 'make double' in another terminal is a provider to try with; 'make try' starts both."
	@exec $(PROGRAMS)/gpt-load

try: ## Start a provider double and a node in front of it, with data of their own; paste the printed curl line
	$(CARGO) build --release --locked -p gpt-load -p gpt-load-benches --bin gpt-load --bin provider-double
	@exec tests/try.sh $(PROGRAMS)

double: ## Start the provider double on DOUBLE_ADDR (127.0.0.1:4010)
	$(CARGO) build --release --locked -p gpt-load-benches --bin provider-double
	@exec $(PROGRAMS)/provider-double --addr $(DOUBLE_ADDR) $(ARGS)

build: web ## Build the UI and all programs for release
	$(CARGO) build --release --locked --workspace

web: ## Build the web UI, which the next cargo build embeds (Node.js; without it the node says how to get it)
	@if command -v $(firstword $(NPM)) >/dev/null; then $(MAKE) --no-print-directory web/dist/index.html; \
	else echo "web: the UI is left out, Node.js is not installed (20 or newer: https://nodejs.org)"; fi

WEB_SOURCES = $(shell find web/src web/public web/build -type f 2>/dev/null) \
              web/index.html web/vite.config.ts web/tsconfig.json web/package.json

web/dist/index.html: $(WEB_SOURCES) web/node_modules/.package-lock.json
	cd web && $(NPM) run --silent build

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && $(NPM) ci --no-audit --no-fund
	@touch $@

dev: ## Start a debug build with LOG_LEVEL=debug
	LOG_LEVEL=$${LOG_LEVEL:-debug} $(CARGO) run --bin gpt-load

test: web ## Run every test: Rust, then the official Python SDKs, made-up requests and a browser against a node
	tests/without-secrets.sh tests/with-servers.sh $(CARGO) test --locked --workspace
	$(CARGO) build --locked -p gpt-load -p gpt-load-benches --bin gpt-load --bin provider-double
	tests/run-sdk.sh $(or $(CARGO_TARGET_DIR),target)/debug
	tests/run-schemathesis.sh $(or $(CARGO_TARGET_DIR),target)/debug
	$(MAKE) --no-print-directory e2e

sdk-test: ## Run the official Python SDKs against a debug build (python3; packages come from PyPI)
	$(CARGO) build --locked -p gpt-load -p gpt-load-benches --bin gpt-load --bin provider-double
	tests/run-sdk.sh $(or $(CARGO_TARGET_DIR),target)/debug $(ARGS)

api-test: ## Make up requests from the OpenAPI document for a debug build (schemathesis; python3, packages from PyPI)
	$(CARGO) build --locked -p gpt-load -p gpt-load-benches --bin gpt-load --bin provider-double
	tests/run-schemathesis.sh $(or $(CARGO_TARGET_DIR),target)/debug $(ARGS)

e2e: web ## Test the web UI in Chromium against a debug build (Node.js; screenshots in target/e2e)
	$(CARGO) build --locked -p gpt-load -p gpt-load-benches --bin gpt-load --bin provider-double
	tests/run-e2e.sh $(or $(CARGO_TARGET_DIR),target)/debug $(ARGS)

lint: ## Check format, lints, licences and shell scripts
	@$(CARGO) fmt --all -- --check || { echo "lint: 'make fmt' puts the format right" >&2; exit 1; }
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny --locked check licenses bans sources; \
	else echo "lint: licences not checked, cargo-deny is not installed (cargo install cargo-deny)"; fi
	@if command -v shellcheck >/dev/null; then shellcheck -x .ci/run tests/*.sh tests/sdk/*.sh docs/docker/*.sh; \
	else echo "lint: shell scripts not checked, shellcheck is not installed"; fi
	@if command -v $(firstword $(NPM)) >/dev/null; then $(MAKE) --no-print-directory lint-web; \
	else echo "lint: the web UI not checked, Node.js is not installed"; fi

lint-web: web/node_modules/.package-lock.json ## Check the web UI: lints, format, types, generated client, texts
	cd web && $(NPM) run --silent lint && $(NPM) run --silent test

fmt: ## Format all code
	$(CARGO) fmt --all
	@if test -d web/node_modules; then cd web && $(NPM) run --silent format; fi

bench: ## Measure the node against nginx and the bare provider; ARGS=--quick for a minute's worth
	$(CARGO) build --release --locked --workspace --bins
	$(PROGRAMS)/bench $(ARGS)

bench-selection: ## Measure the choice of a key against the size of the pool and the share of dead keys
	$(CARGO) bench --locked -p gpt-load-actors --features bench --bench selection -- $(ARGS)

soak: ## Hold a thousand streams for a minute and count: flat memory, every request one row (STREAMS, RUN_SECONDS)
	$(CARGO) build --release --locked --workspace --bins
	tests/soak.sh $(PROGRAMS)

fuzz: ## Fuzz whatever parses outside input, a minute per target (nightly toolchain, cargo-fuzz)
	@command -v cargo-fuzz >/dev/null || { echo "fuzz: install it with 'cargo install cargo-fuzz'" >&2; exit 1; }
	@test -d fuzz || { echo "fuzz: this checkout has no folder fuzz/" >&2; exit 1; }
	@for target in $$($(CARGO) +nightly fuzz list); do \
	  $(CARGO) +nightly fuzz run $$target -- -max_total_time=60 || exit 1; done

helm-test: ## Lint the chart, render it for many values and check what comes out (helm, else go; python3)
	tests/helm.sh $(or $(CARGO_TARGET_DIR),target)/tools

docker-build: ## Build the container image IMAGE (gpt-load) with docker
	docker build --tag $(IMAGE) $(ARGS) .

docker-run: ## Run the image IMAGE at PORT (3001), its data in ./data
	docker run --rm --init --name gpt-load --publish $(or $(PORT),3001):3001 --volume "$(CURDIR)/data:/app/data" \
	  --read-only --tmpfs /tmp $(ARGS) $(IMAGE)

dockerfile-test: ## Check Dockerfile, compose file and entrypoint without an engine (root; ARGS=--build runs all steps too)
	$(CARGO) build --locked --bin gpt-load
	tests/dockerfile.sh $(or $(CARGO_TARGET_DIR),target)/tools $(or $(CARGO_TARGET_DIR),target)/debug/gpt-load $(ARGS)

docs-test: ## Check the documents: links, the commands that they name, the shell blocks run against a node (python3)
	$(CARGO) build --locked -p gpt-load -p gpt-load-benches --bin gpt-load --bin provider-double
	tests/docs.sh $(or $(CARGO_TARGET_DIR),target)/debug $(ARGS)

docs: ## Write the generated documents again (configuration, docs/openapi.json, routes) and build the code's own
	$(CARGO) run --locked --bin gpt-load -- config --write-docs
	python3 tests/docs/routes.py
	$(CARGO) doc --locked --workspace --no-deps

clean: ## Remove what was built; data/ stays
	$(CARGO) clean

health: ## Ask the node whether it is alive
	@$(GPT_LOAD) health $(ARGS)

stats: ## Show keys and requests of the default group
	@$(GPT_LOAD) stats $(ARGS)

blacklist: ## Show keys that may not serve, and why
	@$(GPT_LOAD) blacklist $(ARGS)

reset-keys: ## Make all disabled and invalid keys of the default group active again
	@$(GPT_LOAD) reset-keys $(ARGS)

validate-keys: ## Prove keys: make validate-keys ARGS="keys.txt --channel openai"
	@$(GPT_LOAD) validate-keys $(or $(ARGS),--help)

migrate-keys: ## Encrypt, decrypt or rekey the database of a stopped node: make migrate-keys ARGS="--to-file key"
	@$(GPT_LOAD) migrate-keys $(or $(ARGS),--help)
