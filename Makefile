# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later

VENV := .venv
SHELL := bash
# The distribution's Python is an optimized build, which pyenv's is not: a run of Ansible takes a tenth less time.
PYTHON ?= $(or $(shell /usr/bin/python3 -c 'import ensurepip, sys; sys.version_info < (3, 11) or print(sys.executable)' 2>/dev/null),python3)
BENCH := molecule/shared/bench
# Emulated processors are slow: this scenario runs before a release, and by its name.
EMULATED := selinux
# The scenarios that take longest begin first; those with hundreds of requests a second are apart, and do not begin beside the checks.
SLOW = $(if $(FLASK_SSO_LONG),$(EMULATED)) servers el9 cluster swap sites debian13 change_under_load client_certificates interruptions reuse metadata_trust key_rotation openid_connect refusals removal doctor certificates default real_applications app_saml gunicorn_mtls
SCRIPTS = $(shell grep -rlE '^#!/usr/bin/env bash$$' .ci benchmarks molecule roles tools) $(wildcard roles/*/files/*.sh)
SCENARIOS = $(filter-out $(if $(FLASK_SSO_LONG),,$(EMULATED)),$(patsubst molecule/%/molecule.yml,%,$(wildcard molecule/*/molecule.yml)))
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg

.PHONY: help demo demo-client-certificates test scenarios checks test-long test-compat lint sanity unit bench down clean images tools
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -nE 's/^([a-z%-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22
	@printf '  Scenarios: %s; only in test-long: %s\n' "$(SCENARIOS)" "$(EMULATED)"

demo: tools images ## bring up the bench, deploy site.yml on it, log in with a real browser
	molecule create
	ansible-playbook -i inventories/bench site.yml
	ansible-playbook -i inventories/bench molecule/shared/register_sp.yml
	python molecule/shared/demo.py

demo-client-certificates: tools images ## the same for people with a client certificate instead of an account
	molecule create --scenario-name client_certificates
	ansible-playbook -i inventories/bench molecule/client_certificates/converge.yml
	python molecule/shared/demo_client_certificates.py

# The output goes through a pipe; it is easier to read and search if lines are not wrapped at 80 columns.
test: export COLUMNS := 200
# Two scenarios at a time leave a third of two processors idle, which is for the checks.
test: ## run everything but selinux: linters, unit tests, every other scenario, two at a time
	mkdir -p artifacts
	set -o pipefail; $(MAKE) --jobs=2 --keep-going --output-sync=target --print-directory scenarios checks 2>&1 \
	    | tee artifacts/test.log || { tools/failures.py artifacts/test.log; exit 1; }
	tools/failures.py artifacts/test.log
	@printf '\nEverything passed: linters, unit tests, scenarios %s.\n' "$(SCENARIOS)"

scenarios: tools images
	+MAKEFLAGS= $(MAKE) --jobs=2 --keep-going --output-sync=target --print-directory \
	    $(addprefix test-,$(SLOW) $(filter-out $(SLOW),$(SCENARIOS)))

checks: tools
	+nice $(MAKE) lint sanity unit

test-long: export FLASK_SSO_LONG := 1
test-long: test ## run everything and selinux, kill a run at 25 tasks instead of five, and send a gigabyte

test-compat: tools images ## run default with the oldest and the newest ansible-core, as far as their Python is here
	tools/compat

# Commands with a + print at once, the others when the scenario has ended.
test-%: tools images ## run one scenario from nothing
	+@printf '%(%H:%M:%S)T  scenario %s begins\n' -1 $*
	molecule/shared/lane molecule test --scenario-name $*
	+@printf '%(%H:%M:%S)T  scenario %s passed\n' -1 $*

lint: tools ## check style, types, spelling, licenses, and drift and links of the documentation
	yamllint --strict .
	ruff check .
	ruff format --check .
	mypy
	shellcheck $(SCRIPTS)
	codespell
	REUSE_ENCODING_MODULE=charset_normalizer reuse lint --lines
	python tools/role_docs.py --check
	python tools/doctor_docs.py --check
	python tools/links.py
	python tools/boundaries.py
	antsibull-changelog lint
	antsibull-docs lint-collection-docs --plugin-docs .
	ansible-lint --strict --offline

sanity: tools ## run the tests of ansible-test on what would be published
	tools/sanity

unit: tools ## test the application and the modules without a host
	pytest --quiet app
	pytest --quiet tests/unit

bench: tools ## measure speed and memory in comparison with other set-ups, and of each choice
	$(BENCH) docker images
	PYTHONPATH=molecule/shared python benchmarks/measure.py
	PYTHONPATH=molecule/shared python benchmarks/choices.py

down: tools ## remove the bench
	for lane in '' -2; do FLASK_SSO_LANE=$$lane molecule destroy --all; done
	docker images --quiet --filter label=snapshot | xargs --no-run-if-empty docker rmi --force
	docker volume rm --force flask-sso-bench-ccache

clean: ## remove the tools and all files of earlier runs
	rm -rf $(VENV) .ansible .cache .hypothesis .pytest_cache .ruff_cache artifacts* .mypy_cache

images:
	+@printf '%(%H:%M:%S)T  images of the bench\n' -1
	$(BENCH) docker images browser

tools: $(VENV)/complete

$(VENV)/complete: $(wildcard requirements*.txt app/requirements*.txt)
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later is needed; python3 here is " + sys.version)'
	@$(PYTHON) -c 'import ensurepip' || { echo 'Python has no venv: install it (Debian package python3-venv)'; exit 1; }
	@echo 'Installing the tools into $(VENV)'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@
