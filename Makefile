# The two commands of the README are `cargo run --release -- demo` and `make test`; the rest is for those who change things.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export GRAYLANE_TEST_PYTHON := $(CURDIR)/target/test-venv/bin/python
export GRAYLANE_TEST_NODE := $(CURDIR)/target/test-node

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s $$'\t'

.PHONY: test
test: setup ## every test of an ordinary run; installs what they need
	cargo test --locked --doc
	@if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --locked; else cargo test --locked --tests; fi
	cargo test --locked --package graylane-loadtest

.PHONY: setup
setup: ## what the tests need, installed (as root) or named
	@scripts/setup-test-env

.PHONY: check
check: ## formatting, lints, documentation, architecture
	cargo fmt --all --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --test long -- -D warnings
	cargo clippy --locked --package graylane-loadtest --package graylane-counted --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
	cargo test --locked --test architecture --test protocol_page

.PHONY: test-long
test-long: ## what takes minutes and gigabytes; keeps its output in docs/measurements
	@scripts/setup-test-env --bench
	@scripts/test-long

LOADTEST := target/release/graylane-loadtest

.PHONY: release
release: ## target/release/graylane as it is measured: by a profile, what it runs first laid together; half an hour on two cores
	@scripts/setup-test-env --bench
	scripts/release

.PHONY: bench
bench: bench-build ## every figure beside nginx, HAProxy and Envoy; writes them into docs/performance.md; about 40 minutes
	$(LOADTEST) run --document docs/performance.md

.PHONY: bench-quick
bench-quick: bench-build ## the same with short turns, about 2 minutes; writes no document
	$(LOADTEST) run --quick

.PHONY: bench-build
bench-build:
	@scripts/setup-test-env --bench
	scripts/release
	cargo build --locked --release --package graylane-loadtest

.PHONY: instructions
instructions: counted ## instructions per decision, record and request against the budget
	cargo run --locked --quiet --package graylane-loadtest -- instructions

.PHONY: instructions-budget
instructions-budget: counted ## writes what is counted as the new budget
	cargo run --locked --quiet --package graylane-loadtest -- instructions --write --repeat 3

.PHONY: counted
counted:
	@scripts/setup-test-env
	cargo build --locked --profile counted --package graylane --bin graylane --package graylane-counted --bin graylane-counted

.PHONY: bench-telemetry
bench-telemetry: ## CPU per request with metrics read, the access log on, and so on, in the same run
	@scripts/setup-test-env --bench
	cargo build --locked --release
	scripts/bench-telemetry

.PHONY: deny
deny: ## licences, sources and forbidden crates of what is built in; needs cargo-deny (cargo install --locked cargo-deny)
	cargo deny --locked check licenses bans sources

.PHONY: advisories
advisories: ## known flaws of what is built in, by the RustSec database, which is fetched; needs cargo-deny
	cargo deny --locked check advisories

.PHONY: soak
soak: ## SOAK_MINUTES (30) of everything at once; memory and descriptors must not grow
	@scripts/setup-test-env
	SOAK_MINUTES=$${SOAK_MINUTES:-30} cargo test --locked --release --test long soak:: -- --nocapture --test-threads=1

.PHONY: reference
reference: ## docs/configuration-reference.md from the schema
	cargo run --locked --quiet -- schema | python3 tests/e2e/python/configuration_reference.py >docs/configuration-reference.md

.PHONY: crds
crds: ## k8s/crds, and the chart's copy, from the types that read the same documents
	cargo run --locked --quiet -- crds --dir k8s/crds
	cp k8s/crds/*.gray.alibaba.com.yaml k8s/crds/*.graylane.io.yaml charts/graylane/crds/

.PHONY: manifests-check
manifests-check: ## k8s/ by kustomize and charts/graylane by helm: valid, and the same objects; builds both tools by go where they are missing
	@scripts/setup-test-env
	@$(GRAYLANE_TEST_PYTHON) scripts/manifests-check

.PHONY: image
image: ## the image of docker/, built and run by buildah without a registry; its size and what is in it
	@scripts/image

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZ_SECONDS (60) each
	@scripts/fuzz

.PHONY: conformance
conformance: ## h2spec and Autobahn through a sidecar, see docs/conformance.md
	@scripts/conformance
