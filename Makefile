# What people and machines run; `make` alone lists the targets. run, try and build need cargo and a C compiler, test also python3.

CARGO ?= cargo
ARGS ?=
PROGRAMS = $(or $(CARGO_TARGET_DIR),target)/release
DOUBLE_ADDR ?= 127.0.0.1:4010
# The command line for a running node: what is built already, else a debug build.
GPT_LOAD = $(or $(wildcard $(PROGRAMS)/gpt-load),$(CARGO) run --locked --bin gpt-load --)

.DEFAULT_GOAL := help
.PHONY: help run try double build dev test sdk-test lint fmt bench bench-selection soak fuzz clean docs \
        health stats blacklist reset-keys validate-keys

help: ## List the targets
	@echo "GPT-Load: make run starts a node, make try shows one at work."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Build for release and start a node on SQLite; needs no configuration (.env, OPENAI_BASE_URL, KEYS_FILE … apply)
	$(CARGO) build --release --locked --bin gpt-load
	@echo "No provider key at hand? 'make double' in another terminal is a provider to try with; 'make try' starts both."
	@exec $(PROGRAMS)/gpt-load

try: ## Start a provider double and a node in front of it, with data of their own; paste the printed curl line
	$(CARGO) build --release --locked -p gpt-load -p gpt-load-benches --bin gpt-load --bin provider-double
	@exec tests/try.sh $(PROGRAMS)

double: ## Start the provider double on DOUBLE_ADDR (127.0.0.1:4010)
	$(CARGO) build --release --locked -p gpt-load-benches --bin provider-double
	@exec $(PROGRAMS)/provider-double --addr $(DOUBLE_ADDR) $(ARGS)

build: ## Build all programs for release
	$(CARGO) build --release --locked --workspace

dev: ## Start a debug build with LOG_LEVEL=debug
	LOG_LEVEL=$${LOG_LEVEL:-debug} $(CARGO) run --bin gpt-load

test: ## Run every test: Rust, then the official Python SDKs against a node
	tests/with-servers.sh $(CARGO) test --locked --workspace
	$(CARGO) build --locked -p gpt-load -p gpt-load-benches --bin gpt-load --bin provider-double
	tests/run-sdk.sh $(or $(CARGO_TARGET_DIR),target)/debug

sdk-test: ## Run the official Python SDKs against a debug build (python3; packages come from PyPI)
	$(CARGO) build --locked -p gpt-load -p gpt-load-benches --bin gpt-load --bin provider-double
	tests/run-sdk.sh $(or $(CARGO_TARGET_DIR),target)/debug $(ARGS)

lint: ## Check format, lints, licences and shell scripts
	@$(CARGO) fmt --all -- --check || { echo "lint: 'make fmt' puts the format right" >&2; exit 1; }
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny --locked check licenses bans sources; \
	else echo "lint: licences not checked, cargo-deny is not installed (cargo install cargo-deny)"; fi
	@if command -v shellcheck >/dev/null; then shellcheck -x .ci/run tests/*.sh tests/sdk/*.sh; \
	else echo "lint: shell scripts not checked, shellcheck is not installed"; fi

fmt: ## Format all code
	$(CARGO) fmt --all

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

docs: ## Write the generated documents again (configuration) and build the code's own
	$(CARGO) run --locked --bin gpt-load -- config --write-docs
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
