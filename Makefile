# The course's commands. All they make is below .venv/ and build/, but for `publish`, `bench`, `gpu`.
# PYTHON: the Python 3.11 or 3.12 to build .venv with. PIP_FLAGS: more flags for pip.
# GPU_PYTHON: what make gpu runs with; it is not installed into, and .venv is not looked at.
# JOBS: how many processes `make test` tests in; auto: one for each core.
PYTHON ?= python3
VENV ?= .venv
PROFILE ?= quick
SEEDS ?= 0
DATA ?= sample
GPU_PYTHON ?= python3
JOBS ?= auto
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
# Three stamps: with all extras, for most targets; the library with its command alone; with the app.
READY := $(VENV)/.ready
INSTALLED := $(VENV)/.installed
SERVING := $(VENV)/.app
ifeq ($(strip $(VENV)),)
$(error VENV is empty: no environment is active)
endif

.PHONY: help install install-all course test test-slow lab app publish confirm bench gpu batch clean
help:
	@echo "make install                          the library and the command deblur, into .venv"
	@echo "make install-all                      and what notebooks, papermill, tests and batches need"
	@echo "make course                           execute every chapter, render the report"
	@echo "make test                             lint, unit tests, doctests, notebook tests"
	@echo "make test-slow                        20 kills, 20,000 damaged pictures, beside make test"
	@echo "make lab                              open JupyterLab on copies of the notebooks, in build/lab"
	@echo "make app                              serve the web app on this machine, for a browser"
	@echo "make publish CHAPTER=01 PROFILE=report  write a chapter's results into the repository"
	@echo "make confirm                          has any published number moved with the code?"
	@echo "make bench                            time the library beside others, into benchmarks/results/"
	@echo "make gpu                              test and time it on a GPU, with GPU_PYTHON as it is"
	@echo "make batch PROFILE=report SEEDS=0,1,2 train every recipe, then execute the chapters"
	@echo "make clean                            remove build/, but for build/lab"

$(INSTALLED): EXTRAS :=
$(READY): EXTRAS := [course,site,test,bench,batch,app]
$(SERVING): EXTRAS := [app]
$(READY) $(INSTALLED) $(SERVING): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' \
	  || { echo "Python 3.11 or 3.12 is needed: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) --constraint constraints.txt \
	  --editable '.$(EXTRAS)'
	@touch $@

# The variables name the environment that is active, if one is.
install: $(INSTALLED)
install-all: $(READY)
install install-all:
	@case "$(abspath $(VENV))" in \
	  "$$VIRTUAL_ENV"|"$$CONDA_PREFIX") echo "deblur is installed, and on the path" ;; \
	  *) echo "next: source $(BIN)/activate; then deblur is on the path" ;; \
	esac

course: $(READY)
	$(BIN)/deblur report --profile $(PROFILE) --out build

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest --numprocesses $(JOBS)

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

lab: $(READY)
	$(BIN)/deblur lab --out build/lab
	$(BIN)/jupyter lab build/lab

app: $(SERVING)
	$(BIN)/deblur app

publish: $(READY)
	@test -n "$(CHAPTER)" || { echo "name a chapter: make publish CHAPTER=01 PROFILE=report"; exit 2; }
	$(BIN)/deblur publish $(CHAPTER) --profile $(PROFILE)

confirm: $(READY)
	$(BIN)/deblur confirm

bench: $(READY)
	$(BIN)/python -m benchmarks

# Three minutes; installs nothing. Writes benchmarks/results/gpu.json, or build/gpu.json if it failed.
gpu:
	$(GPU_PYTHON) -m benchmarks.gpu

# Writes runs/ and build/batch/. After Ctrl-C or a kill the same command goes on.
batch: $(READY)
	@$(BIN)/deblur batch --profile $(PROFILE) --seeds $(SEEDS) --data '$(DATA)' --out build/batch

# The copies in build/lab are the reader's own work.
clean:
	if [ -d build ]; then find build -mindepth 1 -maxdepth 1 ! -name lab -exec rm -rf {} +; fi
