# The few commands of a day. `make` alone lists them.

# Where cargo builds; a machine may have set one for all its workspaces. Exported, so that cargo
# builds where we look.
export CARGO_TARGET_DIR ?= target

# Arguments for `daybook dev`: make run ARGS="--listen 127.0.0.1:9000"
ARGS ?=
# Arguments for scripts/fuzz: make fuzz FUZZ="--seed 7"
FUZZ ?=

# None of these makes a file; a file of such a name must not keep it from running.
.PHONY: help run test lint fuzz setup

help: ## Lists these commands
	@sed -n 's/^\([a-z]*\):[^#]*## /\1	/p' Makefile | expand -t 8

# `exec`, so that a signal sent to make reaches Daybook itself and not a shell around it: it stops
# its servers in order and ends well, and make then has nothing to complain about.
run: setup ## Builds a release and runs it with its own servers; ARGS="..." are passed on
	cargo build --release
	@exec "$(CARGO_TARGET_DIR)/release/daybook" dev $(ARGS)

# Last and alone, so that the closing lines are the tests' own.
test: setup ## Runs all tests
	cargo test --workspace

lint: ## Checks the layout of the code and what clippy says about it
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

fuzz: setup ## Sends the running program whatever its OpenAPI document allows, and what not; FUZZ="..."
	cargo build -p api
	@scripts/fuzz $(FUZZ)

setup: ## Installs the PostgreSQL and nats-server that this machine lacks
	@scripts/setup
