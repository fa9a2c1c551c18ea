# Two commands set everything up on a fresh machine and then do their work:
#   make demo   a whole simulated session, from stimulus to report
#   make test   every check

PYTHON ?= $(shell for p in python3.11 python3.12 python3.10 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 13))' \
	2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Tobii's SDK exists for Python 3.10 alone: where there is one, its tests run in an environment of their own.
PYTHON310 ?= $(shell for p in python3.10 $(wildcard $(HOME)/.pyenv/versions/3.10.*/bin/python3.10); do \
	"$$p" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 10))' 2>/dev/null && echo "$$p" && break; done)
VENV310 := .venv310
STAMP310 := $(if $(PYTHON310),$(VENV310)/.installed)
SYSTEM_PACKAGES := xvfb libgl1 libegl1 libgles2 libglu1-mesa libportaudio2
# The tests open the reports and the console in a browser.
TEST_PACKAGES := chromium

.PHONY: demo test lint format clean system

demo: $(STAMP)
	$(BIN)/duchenne demo --out demo-study

test: SYSTEM_PACKAGES += $(TEST_PACKAGES)
test: $(STAMP) $(STAMP310) lint
	$(if $(PYTHON310),DUCHENNE_PYTHON310=$(VENV310)/bin/python) $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd .types && PYTHONPATH=. ../$(BIN)/lint-imports --config ../pyproject.toml

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(STAMP): pyproject.toml setup.py constraints.txt | system
	@test -n "$(PYTHON)" || { echo "Duchenne needs Python 3.10, 3.11 or 3.12; name one: make demo PYTHON=/path/to/python"; exit 1; }
	@echo "Setting up $(VENV) with $(PYTHON); this takes some minutes the first time."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[lab,analysis,devices,study,console,rendering,export,dev]"
	@touch $@

$(VENV310)/.installed: pyproject.toml setup.py constraints.txt
	@echo "Setting up $(VENV310) with $(PYTHON310) for the tests of the Tobii source."
	test -x $(VENV310)/bin/python || $(PYTHON310) -m venv $(VENV310)
	$(VENV310)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[tobii]" pytest pytest-timeout
	@touch $@

# What PsychoPy needs from the system, where apt provides it.
system:
	@command -v dpkg >/dev/null 2>&1 || exit 0; \
	missing=""; \
	for package in $(SYSTEM_PACKAGES); do \
		dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q "ok installed" || missing="$$missing $$package"; \
	done; \
	test -x $(BIN)/python || $(PYTHON) -c 'import ensurepip' 2>/dev/null || missing="$$missing python3-venv"; \
	test -z "$$missing" && exit 0; \
	if [ "$$(id -u)" = 0 ]; then as_root=""; \
	elif sudo -n true 2>/dev/null; then as_root="sudo"; \
	else echo "Missing system packages. Run: sudo apt-get install -y$$missing"; exit 1; fi; \
	echo "Installing system packages:$$missing"; \
	$$as_root apt-get update -qq && \
	$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null

clean:
	rm -rf $(VENV) $(VENV310) demo-study build *.egg-info
