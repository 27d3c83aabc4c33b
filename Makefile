# The commands for this repository: `make` lists them.

WORKSPACE := --workspace --locked

# Only `make golden` writes golden files, whatever the environment says.
unexport UPDATE_GOLDEN

.DEFAULT_GOAL := help
.PHONY: help up cluster test contract browser chart lint fmt golden bench dist ci

help: ## prints this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## runs Tasker: every service in one process, on SQLite
	cargo run --locked --bin tasker -- up

cluster: ## runs Tasker as a cluster of processes on this machine: PostgreSQL, Kafka, two Backends, three workers
	scripts/cluster

test: ## runs every test, with a PostgreSQL and a Kafka of its own, then `make contract`, `make browser` and `make chart`
	scripts/with-services cargo test $(WORKSPACE) --no-fail-fast
	scripts/contract
	scripts/browser
	scripts/chart

contract: ## checks the published API documents with validators, generated clients and made-up requests
	scripts/contract

browser: ## visits the account pages with Chromium, over plain HTTP, and checks each with axe
	scripts/browser

chart: ## checks the Helm chart, and that Tasker accepts the settings that it renders
	scripts/chart

lint: ## checks format, lints, documentation and, where cargo-deny is installed, dependencies
	cargo fmt --all -- --check
	cargo clippy $(WORKSPACE) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(WORKSPACE) --no-deps --document-private-items
	@if cargo deny --version >/dev/null 2>&1; then \
		set -x; cargo deny --workspace --locked check --hide-inclusion-graph bans licenses sources; \
	else \
		echo "cargo-deny is not installed: dependency licences were not checked"; \
	fi

fmt: ## formats the code
	cargo fmt --all

golden: ## writes the golden files of docs/ anew; read the difference before you commit it
	UPDATE_GOLDEN=1 scripts/with-services cargo test $(WORKSPACE) --no-fail-fast

bench: ## measures the store, tasks through the HTTP API, and several workers, with commits that wait for the disk
	TASKER_PG_DURABLE=1 TASKER_KAFKA_JIT=1 scripts/with-services cargo bench --locked --package store --package tasker --bench store --bench flow --bench several_workers

dist: ## packs a release binary into target/dist: a Debian package and an archive
	scripts/dist

ci: lint test ## decides whether a change lands: lint, then test
