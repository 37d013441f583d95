# Every command that the README names. Each is complete by itself on a fresh machine.
.DEFAULT_GOAL := help
SHELL := /bin/bash
# As in .env.STACK (toolchain/environment.py): each start of Python would compile all anew.
export PYTHONDONTWRITEBYTECODE :=
PYTHON ?= python3
SANDBOX := source ./.env.sandbox

.PHONY: help setup tools up down test check s3 e2e faults bench bench-backups lock format purge

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/' | expand -t 22

setup: ## Python environment, Pulumi and its plugins, Docker engine, images
	@$(PYTHON) -m toolchain setup

tools: ## what a machine needs that deploys to another: no Docker, no images; STACK=production
	@$(PYTHON) -m toolchain tools --stack $(or $(STACK),production)

up: setup ## deploy the sandbox stack on this machine's Docker
	@$(SANDBOX) && pulumi stack select --create sandbox && ytops up
	@echo "  in this shell, first: source .env.sandbox"

down: ## remove everything that `make up` made
	@$(PYTHON) -m toolchain down

# In one go, because much of it is waiting. The story of jobs is the longest, so it is first.
test: setup check ## everything: format, lint, types, unit, policies, S3, and end to end on real Docker
	@$(PYTHON) -m toolchain packages
	@$(SANDBOX) && pytest tests/e2e/test_jobs.py tests/s3 tests/e2e -n 2 --dist loadfile --rate=40

s3: ## the backup bucket: the real engine and AWS provider, S3 by moto
	@$(PYTHON) -m toolchain packages
	@$(SANDBOX) && pytest tests/s3 -n 2 --dist loadfile

e2e: ## end to end: the real engine, real Docker
	@$(PYTHON) -m toolchain packages
	@$(SANDBOX) && pytest tests/e2e -n 2 --dist loadfile --rate=40

faults: ## every fault at every step of a deploy, under load; writes docs/faults.md
	@$(PYTHON) -m toolchain packages
	@$(SANDBOX) && pytest tests/e2e/faults --faults=all

bench: ## deploys and rollbacks beside other tools' and a hand-written script's; docs/benchmark.md
	@$(PYTHON) -m toolchain packages
	@$(SANDBOX) && python -m bench $(ARGUMENTS)

bench-backups: ## backups and restores beside other tools'; docs/benchmark-backups.md
	@$(SANDBOX) && python -m bench.backups $(ARGUMENTS)

check: ## the inner loop: format, lint, types, unit tests and policies
	@$(PYTHON) -m toolchain python
	@.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy
	@.venv/bin/pytest -n 2 tests/unit tests/policies

format: ## write the format that `make check` wants
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

lock: ## pin requirements.in, with hashes, into requirements.txt
	@.venv/bin/uv pip compile -q --generate-hashes --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links --python-version 3.11 requirements.in -o requirements.txt

purge: down ## also remove the caches that set-up keeps outside the checkout
	@$(PYTHON) -m toolchain purge
