# Each target does its own set-up in .venv: Python 3.11 or newer and a package index are all it takes.
.PHONY: help docs demo bench chaos fuzz soak test test-clients test-console test-mixed test-ray test-scale test-stores test-vllm lint format lock reference

help:
	@echo "make demo        a batch over drawn pictures, all on real parts (KEEP=1 leaves the server running)"
	@echo "make bench       how fast it is beside a bare loop and its peers (CASES=\"text images\")"
	@echo "make test        every check and the whole test suite"
	@echo "make chaos       kills, faults and damage in full (an hour or two)"
	@echo "make fuzz        random bodies, references and damaged pictures for ten minutes and more"
	@echo "make soak        batch after batch with a death a minute, memory and descriptors watched (MINUTES=480)"
	@echo "make test-clients  litellm and schemathesis against the API (some ten minutes)"
	@echo "make test-stores   pictures from OpenStack Swift in two regions and from Azurite (Debian packages, npm)"
	@echo "make test-mixed  another version beside this one on one database (OLD=REVISION or OLD=FILE.whl)"
	@echo "make test-console  every page and flow of the console in a browser, light and dark, desktop and phone; pictures in artefacts/console"
	@echo "make test-scale  figures at full size, on a quiet machine"
	@echo "make test-ray    a Ray cluster that loses a node in the middle of a batch (installs 300 MB once)"
	@echo "make test-vllm   answers of a real vLLM (installs 3 GB once)"
	@echo "make docs        the pages as a site in build/site"
	@echo "make lint        the checks alone"
	@echo "make format      put the code into its form"
	@echo "make lock        new versions into requirements/*.txt"
	@echo "make reference   write docs/reference.md anew"

demo:
	@scripts/setup demo
	@.venv/bin/pronk demo $(if $(KEEP),--keep)

bench:
	@scripts/setup dev
	@.venv/bin/pronk bench $(CASES)

test:
	@scripts/setup dev
	@scripts/check tests

chaos:
	@scripts/setup dev
	@.venv/bin/python -m pytest -q -s -m chaos tests/chaos tests/store

soak:
	@scripts/setup dev
	@MINUTES=$(or $(MINUTES),10) .venv/bin/python -m pytest -q -s -m soak tests/chaos

test-clients:
	@scripts/setup dev
	@scripts/setup-clients
	@.venv/bin/python -m pytest -q -m clients tests/conformance

test-stores:
	@scripts/setup dev
	@scripts/setup-swift
	@.venv/bin/python -m pytest -q -m "swift or azurite" tests/media

fuzz:
	@scripts/setup dev
	@.venv/bin/python -m pytest -q -m fuzz tests/media

test-mixed:
	@scripts/setup dev
	@scripts/old-version $(OLD)
	@.venv/bin/python -m pytest -q -m mixed tests/chaos

test-scale:
	@scripts/setup dev
	@.venv/bin/python -m pytest -q -m scale tests

test-console:
	@scripts/setup dev
	@.venv/bin/python -m pytest -q -m "console or not console" tests/console

test-ray:
	@scripts/setup dev
	@scripts/setup-ray
	@# Each file on a cluster of its own: where Ray places a group depends on what was there before.
	@for file in $$(grep -l "mark.ray" tests/cluster/test_*.py); do .venv-ray/bin/python -m pytest -q -n0 -m ray $$file || exit 1; done

test-vllm:
	@scripts/setup dev
	@scripts/setup-vllm
	@.venv/bin/python -m pytest -q -m vllm --log-cli-level=INFO tests/vllm

docs:
	@scripts/setup dev
	@scripts/setup-docs
	@.venv/bin/python scripts/site.py build/pages
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet
	@echo "build/site/quickstart.html"

lint:
	@scripts/setup dev
	@scripts/check

format:
	@scripts/setup dev
	@.venv/bin/ruff check --fix-only --quiet .
	@.venv/bin/ruff format .

lock:
	@scripts/setup dev
	@scripts/lock

reference:
	@scripts/setup dev
	@.venv/bin/python scripts/reference.py
