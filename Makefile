# Every target makes the environment it needs, once; after that it starts at once.
#   make lab        open the course in JupyterLab
#   make test       run every test and compare every notebook's outputs
#   make notebooks  build notebooks/*.ipynb from notebooks/source (ONLY="01 03" for some)
#   make homework   generate the homework's releases from notebooks/homework/source
#   make grade      grade what is in notebooks/homework/submitted, or SUBMISSIONS=folder (docs/teaching.md)
#   make lint       style and types
#   make bench      measure what benchmarks/README.md describes (ONLY="loops pipelines" for some)

PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
KERAS := notebooks/17_keras_and_tensorflow.ipynb
READY := $(VENV)/.ready
TENSORFLOW := $(VENV)-tensorflow
BENCHMARKS := $(VENV)-benchmarks
GRADING := $(VENV)-grading
SUBMISSIONS ?= notebooks/homework/submitted

.PHONY: help lab test notebooks homework grade lint bench
.DELETE_ON_ERROR:

help:
	@sed -n 's/^#   //p' Makefile

# Rebuilt from nothing when the requirements change, so that nothing old stays behind.
$(READY): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { echo "This needs Python 3.11: install it, or name yours: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Setting up $(VENV): about 7 GB, some minutes, only this time."
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	touch $(READY)

# Each beside the course's own environment, whose packages it uses: TensorBoard behaves differently where it finds
# TensorFlow, nbgrader would show in every learner's JupyterLab, and the benchmarks' libraries are nobody else's.
# addsitedir, because a plain path would not find course_utils, which is installed by a .pth file itself.
define BESIDE
$(PYTHON) -m venv --clear $(@D)
echo "import site; site.addsitedir('$(abspath $(VENV))/lib/python3.11/site-packages')" > $(@D)/lib/python3.11/site-packages/course.pth
$(@D)/bin/python -m pip install --quiet $(INSTALL) --requirement $<
touch $@
endef

$(TENSORFLOW)/.ready: requirements-tensorflow.txt $(READY)
	$(BESIDE)

$(BENCHMARKS)/.ready: requirements-benchmarks.txt $(READY)
	$(BESIDE)

# All that the list names is installed, though the course has some of it, because nbgrader looks for it beside its own
# Python; and nothing else, because the course has it.
$(GRADING)/.ready: INSTALL := --ignore-installed --no-deps
$(GRADING)/.ready: requirements-grading.txt $(READY)
	$(BESIDE)

lab: $(READY)
	$(BIN)/jupyter lab --notebook-dir=. notebooks/00_quickstart.ipynb $(LAB_OPTIONS)

# Two processes with one thread each: with more they would wait for one another.
test: $(READY) $(TENSORFLOW)/.ready $(GRADING)/.ready
	env -u COURSE_DATASET OMP_NUM_THREADS=1 $(BIN)/python -m pytest --nbval --numprocesses 2 --dist loadfile
	env -u COURSE_DATASET OMP_NUM_THREADS=1 $(TENSORFLOW)/bin/python -m pytest --nbval $(KERAS)
	env -u COURSE_DATASET OMP_NUM_THREADS=1 $(GRADING)/bin/python -m pytest --numprocesses 2 --dist loadfile tests/homework

notebooks: $(READY) $(TENSORFLOW)/.ready
	$(BIN)/python -m tools.notebooks $(ONLY)
	$(if $(or $(if $(ONLY),,all),$(filter 17,$(ONLY))),$(TENSORFLOW)/bin/python -m tools.notebooks 17)

homework: $(GRADING)/.ready
	$(GRADING)/bin/python -m tools.homework make $(ONLY)

grade: $(GRADING)/.ready
	$(GRADING)/bin/python -m tools.homework grade "$(SUBMISSIONS)"

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(READY) $(BENCHMARKS)/.ready
	$(BENCHMARKS)/bin/python -m benchmarks $(ONLY)
