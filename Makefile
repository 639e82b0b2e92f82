# The two commands are `make run` and `make test`; the rest are their parts.
# One profile for everything (--release), so that nothing is compiled twice.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TARGET := $(or $(CARGO_TARGET_DIR),target)
BERTH := $(TARGET)/release/berth
PACKAGES := $(TARGET)/release/berth-packages
CARGO_FLAGS := --release --locked

.PHONY: help run build test verify soak bench screenshots packages setup setup-test setup-bench fmt fmt-check clippy rules test-logic fuzz clean

help:
	@echo "make run       set up this machine, build, and start a host (ARGS=... for its options)"
	@echo "make test      set up this machine and run every test"
	@echo "make build     a complete $(BERTH)"
	@echo "make verify    format, lints, rules of the house, unit tests"
	@echo "make fuzz      hostile input for parsers, FUZZ_SECONDS each"
	@echo "make soak      long proofs: crashes, fuzzing, density"
	@echo "make bench     the figures of the goals"
	@echo "make screenshots  pictures of the pages, in the target directory"
	@echo "make packages  the distro packages and test apps in Wasm"
	@echo "make clean     remove what was built"

run: build
	exec $(BERTH) serve $(ARGS)

build: setup
	cargo build $(CARGO_FLAGS) --workspace
	@$(MAKE) --no-print-directory packages

# The artifacts depend on the packages and on the engine inside the binary.
packages: setup
	@cargo xtask packages
	@if [ -x $(BERTH) ] && { [ ! -e $(PACKAGES)/.precompiled ] \
	    || [ $(PACKAGES)/.stamp -nt $(PACKAGES)/.precompiled ] \
	    || [ $(BERTH) -nt $(PACKAGES)/.precompiled ]; }; then \
	    $(BERTH) __precompile $(PACKAGES) && touch $(PACKAGES)/.precompiled; \
	fi

# Everything is compiled before the first test runs, so that no test competes
# with the compiler for the machine.
test: setup setup-test
	cargo build $(CARGO_FLAGS) --workspace --all-targets
	@$(MAKE) --no-print-directory packages
	cargo test $(CARGO_FLAGS) --workspace --no-fail-fast
	@$(MAKE) --no-print-directory test-logic

# The decisions of the Wasm packages, as far as they need no node.
test-logic:
	cd runtime/packages && cargo test $(CARGO_FLAGS) --package distro-logic \
	    --target-dir $(abspath $(TARGET))/packages

# Named, since `--bins` would also start the fuzz targets, which never end.
BINS = --bin berth --bin node-engine-compile-worker --bin xtask
verify: setup setup-test fmt-check rules clippy
	cargo test $(CARGO_FLAGS) --workspace --lib $(BINS)
	@$(MAKE) --no-print-directory test-logic

# Hostile input made by libFuzzer, for so many seconds a target.
FUZZ_SECONDS ?= 20
fuzz: setup
	@for target in vfs_paths vfs_zip dialects http_head http_paths rpc_json extension; do \
	    runtime/fuzz/run $$target $(FUZZ_SECONDS); \
	done

# Long proofs and measurements are ignored tests, told apart by their names.
soak: build setup-test
	cargo test $(CARGO_FLAGS) --workspace --no-fail-fast -- --ignored --nocapture --test-threads=1 soak_
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=1200

bench: build setup-test setup-bench
	cargo run $(CARGO_FLAGS) -p node-engine --example bare_call
	cargo test $(CARGO_FLAGS) --workspace --no-fail-fast -- --ignored --nocapture --test-threads=1 bench_

# Pictures of the pages, at two widths and in both themes.
screenshots: build setup-test
	cargo test $(CARGO_FLAGS) -p berth --test host -- --ignored --nocapture --test-threads=1 screenshots_

setup:
	@infra/setup build

setup-test:
	@infra/setup test

setup-bench:
	@infra/setup bench

fmt:
	cargo fmt
	cd runtime/packages && cargo fmt

fmt-check:
	cargo fmt --check
	cd runtime/packages && cargo fmt --check

clippy:
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings
	cd runtime/packages && cargo clippy $(CARGO_FLAGS) --package distro-logic --all-targets \
	    --target-dir $(abspath $(TARGET))/packages -- -D warnings

rules:
	@cargo xtask rules

clean:
	cargo clean
