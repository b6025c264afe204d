# One file runs everything. `make` alone lists what it can do.
.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV ?= .venv
PYTHON ?=
PROFILE ?= quick
# Two threads on a busy machine are slower than one; a free machine may raise this.
OMP_NUM_THREADS ?= 1
export OMP_NUM_THREADS
# Chapters and tests run in so many processes; each may take 1.5 GB.
WORKERS ?= 2
# With any value, `make test` and `make unit` also run the slow cases; a quicker test of the same remains.
SLOW ?=
# What `make poses-env` installs: mediapipe, or rtmlib; and with which Python if uv is not at hand.
ENGINE ?= mediapipe
POSES_PYTHON ?= python3.12 python3.11
# Where `make hosted` lets notebooks take the course from: owner/name on GitHub or a folder, and a tag.
REPOSITORY ?=
TAG ?=

PY := $(VENV)/bin/python
COURSE := $(PY) -m tools
EXECUTE := --nbmake --nbmake-timeout=300 --overwrite
UNIT = $(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations 12 \
  $(if $(SLOW),,-m "not slow") tests --ignore tests/test_chapters.py
STAMP := $(VENV)/.installed
# Versions of all that is installed. `make course LOCK=` takes the newest of what is not pinned.
LOCK ?= constraints.txt
PIP := $(PY) -m pip install --quiet $(if $(LOCK),-c $(LOCK))
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11)

# One target after the other, with -j too: the parts of `make test` would disturb one another.
.NOTPARALLEL:
.PHONY: help course test lint chapters unit coverage quick install lab book pdf student solutions hosted slides \
  notebooks pairs readme benchmarks papermill poses-env lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' $(firstword $(MAKEFILE_LIST)) \
	| awk -F'|' '{printf "%-16s %s\n", $$1, $$2}'

# Touched last, so a failed or interrupted installation is tried again.
# torch goes first: resolved together with the rest, a larger build may win.
$(STAMP): requirements.txt pyproject.toml $(LOCK)
	@for python in $(CANDIDATES); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Creating $(VENV) with $$("$$python" --version); the first time takes minutes"; \
	    "$$python" -m venv $(VENV); exit $$?; \
	  fi; \
	done; \
	echo "error: Python 3.11 or newer not found (tried: $(CANDIDATES))." >&2; \
	echo "Install one, or name it: make course PYTHON=/path/to/python3.12" >&2; exit 1
	$(PIP) "$$(sed -n 1p requirements.txt)"
	$(PIP) -r requirements.txt
	$(PIP) --no-deps -e .
	@touch $@

course: $(STAMP) ## run every chapter and build the HTML book (PROFILE=full for the long version)
	@$(COURSE) run --profile $(PROFILE) --workers $(WORKERS)
	@$(COURSE) book
	@echo "The planned contrasts on real people (chapter 09, from its records):"
	@$(PY) -m piumar_lib.evidence contrasts

test: lint chapters unit ## check style and types, execute every chapter, run all tests

lint: $(STAMP) ## check style, spelling, types, sizes and words
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(VENV)/bin/codespell
	$(PY) -m mypy
	@$(COURSE) counts --check

# Chapters 11 and 12 share a stand-in of MA-52: one after the other. Chapter 10 measures time: alone.
chapters: $(STAMP) ## execute every chapter and test what came out
	@$(COURSE) notebooks
	$(PY) -m pytest -n $(WORKERS) --dist loadgroup $(EXECUTE) build/notebooks/0*.ipynb build/notebooks/1[1-4]*.ipynb
	$(PY) -m pytest $(EXECUTE) build/notebooks/10*.ipynb
	$(PY) -m pytest tests/test_chapters.py

unit: $(STAMP) ## run the tests of the library (SLOW=yes for the slow ones, too)
	$(UNIT)

coverage: SLOW := yes
coverage: $(STAMP) ## run all tests of the library with coverage of at least 95 % of lines (takes longer)
	$(UNIT) --cov=piumar_lib --cov=tools --cov=book --cov-report=term --cov-fail-under=95

quick: $(STAMP) ## run the quick tests, in about a minute
	$(PY) -m pytest -n $(WORKERS) --dist loadfile -m quick

install: $(STAMP) ## install into .venv, which every other target does by itself

lab: $(STAMP) ## open JupyterLab on the chapters
	$(PY) -m jupyterlab notebooks

book: $(STAMP) ## build the HTML book from the notebooks at hand
	@$(COURSE) book

pdf: $(STAMP) ## print the book to build/piumr-course.pdf, which takes Chromium or Chrome
	@$(COURSE) pdf

student: $(STAMP) ## write notebooks without solutions to build/student/
	@$(COURSE) student

solutions: $(STAMP) ## write notebooks with every exercise solved to build/solutions/
	@$(COURSE) solutions

hosted: $(STAMP) ## write notebooks that fetch the course, REPOSITORY=owner/name TAG=v1, to build/hosted/
	@$(COURSE) hosted --repository "$(REPOSITORY)" --tag "$(TAG)"

slides: $(STAMP) ## build lecture slides that run offline in build/slides/
	@$(COURSE) slides

notebooks: $(STAMP) ## convert the chapters to unexecuted build/notebooks/*.ipynb
	@$(COURSE) notebooks

pairs: $(STAMP) ## execute the chapters in profile full into the committed notebooks/*.ipynb
	@$(COURSE) pairs

readme: $(STAMP) ## measure every chapter and refresh the table in README.md
	@$(COURSE) run --profile quick --record
	@$(COURSE) readme

benchmarks: $(STAMP) ## measure everything side by side with what one would use instead
	$(PY) tests/benchmarks/run.py

papermill: $(STAMP) ## example: chapter 00 with a parameter of your own
	@$(COURSE) papermill 00 build/example.ipynb -p profile quick

# An environment of its own: the estimators want other versions than the course (mediapipe numpy 1, and
# Python 3.11 or 3.12). Its files name every package, so nothing is resolved. uv fetches a Python, too.
poses-env: ## install what finds people's joints in videos into .venv-poses (ENGINE=mediapipe or rtmlib)
	@folder=.venv-poses/$(ENGINE); needs=data_scripts/poses-$(ENGINE).txt; \
	test -f "$$needs" || { echo "error: ENGINE must be mediapipe or rtmlib, got $(ENGINE)." >&2; exit 1; }; \
	rm -rf "$$folder"; \
	if command -v uv > /dev/null && uv venv --quiet --python '>=3.11,<3.13' "$$folder"; then \
	  uv pip install --quiet --python "$$folder" --no-deps -r "$$needs"; exit $$?; \
	fi; \
	for python in $(POSES_PYTHON); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null; then \
	    "$$python" -m venv "$$folder" \
	      && "$$folder/bin/python" -m pip install --quiet --no-deps -r "$$needs"; exit $$?; \
	  fi; \
	done; \
	echo "error: neither uv nor Python 3.11 or 3.12 found (tried: $(POSES_PYTHON))." >&2; \
	echo "Install one, or name it: make poses-env POSES_PYTHON=/path/to/python3.12" >&2; exit 1

lock: ## write constraints.txt anew; for newer versions of everything, remove .venv first
	@$(MAKE) $(STAMP) LOCK=
	@echo "# Made by 'make lock' on Linux with CPython 3.11: every version that requirements.txt needs." \
	  > constraints.txt
	$(PY) -m pip freeze --all --exclude pip --exclude wheel --exclude-editable | sed 's/+.*//' >> constraints.txt
	@touch $(STAMP)

clean: ## remove everything generated, keep the environment
	rm -rf build .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage
