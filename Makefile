# `make help` says what there is. CORES=16 make table1 uses 16 cores.
# nproc takes OMP_NUM_THREADS for the number of cores, which is 1 wherever serflow's own jobs or a cluster set it
CORES ?= $(shell env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc 2>/dev/null || echo 2)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# one word for the shell, whatever stands in it
quoted = '$(subst ','\'',$(1))'
SNAKEMAKE = $(BIN)/snakemake --cores $(call quoted,$(CORES))
TORCH := torch==2.13.0
COMPILE := .lockenv/bin/uv pip compile --quiet --no-annotate --generate-hashes --custom-compile-command 'make lock'
# ATen, oneDNN, OpenBLAS, MKL, NumPy and glibc held to older instructions: as they compute without AVX, and without AVX-512
WITHOUT_AVX := ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 OPENBLAS_CORETYPE=Prescott MKL_CBWR=COMPATIBLE \
	NUMBA_CPU_NAME=generic NPY_DISABLE_CPU_FEATURES="X86_V3 X86_V4" \
	GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F
WITHOUT_AVX512 := ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell MKL_CBWR=AVX2 \
	NUMBA_CPU_NAME=haswell NPY_DISABLE_CPU_FEATURES=X86_V4
# mutmut in an environment of its own, which sees the packages of the other
MUTENV := .mutenv
MUTANTS ?= *
# Snakemake's plugin for Slurm beside it, for the tests of that alone
SLURMENV := .slurmenv
# pip-audit in an environment of its own
AUDITENV := .auditenv
# benchmarks that read EmoDB and other free corpora
ON_REAL_DATA := benchmarks/emodb.py benchmarks/truth.py
# what takes an hour, and what measures no speed: what papers take is reckoned, and whether methods work
KILLS := benchmarks/kills.py
NO_SPEEDS = $(KILLS) benchmarks/memory.py benchmarks/paper_size.py $(wildcard benchmarks/planted*.py)
SPEEDS = $(filter-out $(ON_REAL_DATA) $(NO_SPEEDS),$(wildcard benchmarks/[a-z]*.py))
SITE := -c 'import sysconfig; print(sysconfig.get_path("purelib"))'

# a pipe fails where any part of it does, and what a failed command had begun to write goes
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

.DEFAULT_GOAL := help
.PHONY: help env table1 invariance temporal multigating speakernorm features free free-full test test-portable test-slurm mutants lint report report-all report-run benchmarks readme rulegraph lock schema unlock audit kills clean

help:  ## this list
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

env: $(BIN)/.installed  ## build the environment in .venv from envs/requirements.lock

# what is installed is what the lock files name, hash for hash
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-deps
LOCKED := $(PIP_INSTALL) --require-hashes

$(BIN)/.installed: $(wildcard envs/*.lock) pyproject.toml
	@$(call quoted,$(PYTHON)) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "serflow needs Python 3.11 or newer: make PYTHON=python3.11 env")'
	test -x $(BIN)/python || $(call quoted,$(PYTHON)) -m venv $(VENV)
	# a build of this PyTorch that is there already stays
	$(BIN)/pip show torch 2> /dev/null | grep '^Version: $(subst torch==,,$(TORCH))' > /dev/null || $(LOCKED) -r envs/torch-cpu.lock \
	  || { echo "pip finds no PyTorch for the CPU alone: PyPI's is taken, with CUDA's libraries on Linux"; $(LOCKED) -r envs/cuda.lock; }
	$(LOCKED) -r envs/requirements.lock
	# without its dependencies, as all: it names an old webrtcvad that no longer imports, and needs webrtcvad-wheels
	$(LOCKED) -r envs/peers.lock
	$(PIP_INSTALL) --editable .
	@touch $@

table1: env  ## Table I of the DLC paper from synthetic stand-in corpora: results/table1.csv
	$(SNAKEMAKE) results/table1.csv
	@echo "results/table1.csv is there; the paper's numbers beside it: results/dlc/table1_vs_paper.csv (stand-ins are not compared)"

invariance: env  ## the speaker-invariance paper from stand-ins: results/invariance
	$(SNAKEMAKE) invariance
	@echo "results/invariance/table2.csv and table3.csv are there; the paper's numbers beside each: ..._vs_paper.csv (stand-ins are not compared)"

temporal: env  ## the temporal-context paper from stand-ins: results/temporal
	$(SNAKEMAKE) temporal
	@echo "results/temporal/table1.csv to table3.csv are there; the paper's numbers beside each: ..._vs_paper.csv (stand-ins are not compared)"

multigating: env  ## the multilingual paper from stand-ins: results/multigating
	$(SNAKEMAKE) multigating
	@echo "results/multigating/table1.csv to table4.csv are there; the paper's numbers beside each: ..._vs_paper.csv (stand-ins are not compared)"

speakernorm: env  ## the speaker-normalisation paper from stand-ins: results/speakernorm
	$(SNAKEMAKE) speakernorm
	@echo "results/speakernorm/table1.csv to table3.csv are there; the paper's numbers beside each: ..._vs_paper.csv (stand-ins are not compared)"

free: PRESET := workflow/presets/free.yaml
free: env  ## a real result from EmoDB and RAVDESS in noise of ESC-50, about half an hour on two cores: make free DATA=/folder/of/them
free-full: PRESET := workflow/presets/free_full.yaml
free-full: env  ## the same with both experiments, and nEMO, an evening as reckoned: make free-full DATA=/folder/of/them
free free-full:
	@test -n $(call quoted,$(DATA)) || { echo "say where they are: make $@ DATA=/folder ($(PRESET) says what it holds)"; exit 1; }
	$(SNAKEMAKE) results/table1.csv --configfile $(PRESET) --config $(call quoted,data_root=$(DATA))
	@echo "results/table1.csv is there; how sure it is: results/dlc/table1_intervals.csv"

test: lint  ## all tests; those that hang on the CPU also as one without AVX computes
	$(BIN)/python -m pytest -n 2 --dist loadscope tests
	$(WITHOUT_AVX) $(BIN)/python -m pytest -q -n 2 --dist loadscope -m numeric tests/unit

test-portable: env  ## the unit tests as on CPUs without AVX, and without AVX-512
	$(WITHOUT_AVX) $(BIN)/python -m pytest -q tests/unit
	$(WITHOUT_AVX512) $(BIN)/python -m pytest -q tests/unit

test-slurm: env $(SLURMENV)/.installed  ## a table on a Slurm of two nodes on this machine (Debian, as root): jobs, nodes and controller fail
	tests/slurm/packages
	# told to end, it takes Slurm away first
	PYTHONPATH=$(call quoted,$(CURDIR)/$(SLURMENV)) timeout --kill-after=180 1500 $(BIN)/python -m pytest -v --durations=0 tests/slurm

$(SLURMENV)/.installed: envs/slurm.lock
	rm -rf $(SLURMENV)
	$(LOCKED) --target $(SLURMENV) -r envs/slurm.lock
	@touch $@

mutants: env  ## the code broken line by line, and what no test notices of it: make mutants MUTANTS='serflow.nn.*'
	test -x $(MUTENV)/bin/mutmut || { rm -rf $(MUTENV) && $(BIN)/python -m venv $(MUTENV); }
	$(BIN)/python $(SITE) > "$$($(MUTENV)/bin/python $(SITE))/serflow.pth"
	$(MUTENV)/bin/pip install --quiet --disable-pip-version-check mutmut==3.8.1
	$(MUTENV)/bin/mutmut run --max-children $(CORES) "$(MUTANTS)"
	$(MUTENV)/bin/mutmut results

lint: env  ## ruff, mypy, snakefmt and snakemake --lint
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

features: env  ## the features of every corpus, clean and noisy, as Parquet stores
	$(SNAKEMAKE) features

report: env  ## the page of Table I in both readings of its levels, beside the paper's, with every prediction to look into
	$(SNAKEMAKE) results/report/dlc.html
	@echo "open file://$(CURDIR)/results/report/dlc.html"

report-all: env  ## the pages of all studies: results/report/index.html
	$(SNAKEMAKE) results/report/index.html
	@echo "open file://$(CURDIR)/results/report/index.html"

report-run: report  ## report.html: Snakemake's own, with jobs, run times and versions
	$(BIN)/snakemake --report report.html results/report/dlc.html

readme: env  ## the table of README.md from results/table1.csv: make readme TOOK="8 min 20 s"
	$(BIN)/python benchmarks/_readme.py --took $(call quoted,$(TOOK))

rulegraph: env  ## rulegraph.svg: the stages of Table I (without graphviz: rulegraph.md, which GitHub and editors draw)
	@if command -v dot > /dev/null; then \
	  $(BIN)/snakemake results/table1.csv --rulegraph > rulegraph.dot && dot -Tsvg rulegraph.dot > rulegraph.svg.part \
	  && mv rulegraph.svg.part rulegraph.svg && rm rulegraph.dot && echo "rulegraph.svg is there"; \
	else \
	  { echo '```mermaid' && $(BIN)/snakemake results/table1.csv --rulegraph mermaid-js && echo '```'; } > rulegraph.md.part \
	  && mv rulegraph.md.part rulegraph.md \
	  && echo "rulegraph.md is there; for a picture install graphviz (apt-get install graphviz, brew install graphviz)"; \
	fi

benchmarks: env  ## speed beside named peers, and beside what was recorded last: make benchmarks ONLY="kernels log_mel" DATA=/folder RECORD=yes
	$(BIN)/python benchmarks/_record.py $(if $(RECORD),--record) $(if $(ONLY),$(ONLY:%=benchmarks/%.py),$(SPEEDS))
	$(if $(DATA),for benchmark in $(ON_REAL_DATA); do $(BIN)/python $$benchmark --data $(call quoted,$(DATA)) || exit 1; done)

kills: env  ## runs killed at 40 random moments, and whether they end with the bytes of an undisturbed one: an hour
	$(BIN)/python $(KILLS)

lock: ## write the lock files in envs anew from pyproject.toml: every package, pinned, with the hashes of all its files
	rm -rf .lockenv && $(call quoted,$(PYTHON)) -m venv .lockenv
	.lockenv/bin/pip install --quiet uv $(TORCH) '.[praat,dev]'
	.lockenv/bin/pip freeze --exclude serflow --exclude uv | sed -E 's/^torch(==| @).*/$(TORCH)/' > .lockenv/pins
	$(COMPILE) --no-deps .lockenv/pins -o envs/requirements.lock
	echo Resemblyzer==0.1.4 | $(COMPILE) --no-deps - -o envs/peers.lock
	printf '%s\n' snakemake-executor-plugin-slurm==2.8.0 snakemake-executor-plugin-slurm-jobstep==0.6.1 \
	  | $(COMPILE) --no-deps - -o envs/slurm.lock
	echo $(TORCH) | $(COMPILE) --universal --constraints .lockenv/pins $$(sed -E 's/==.*//; s/^/--no-emit-package /' .lockenv/pins) \
	  - -o envs/cuda.lock
	rm -rf .lockenv

audit: ## known weaknesses of what the lock files name, by pip-audit; fails where PyPI's advisories cannot be had
	test -x $(AUDITENV)/bin/pip-audit || { rm -rf $(AUDITENV) && $(call quoted,$(PYTHON)) -m venv $(AUDITENV) \
	  && $(AUDITENV)/bin/pip install --quiet pip-audit==2.10.1; }
	# PyPI does not have the build of PyTorch for the CPU; its own has the same version
	cat $(filter-out envs/torch-cpu.lock,$(wildcard envs/*.lock)) > $(AUDITENV)/all.lock
	$(AUDITENV)/bin/pip-audit --strict --progress-spinner off --disable-pip --require-hashes -r $(AUDITENV)/all.lock

schema: env  ## write workflow/schemas/config.schema.json anew from the typed config
	$(BIN)/python -m serflow.config > workflow/schemas/config.schema.json

unlock: env  ## after a run was killed: let the next one start (`snakemake --unlock`)
	$(BIN)/snakemake --unlock --cores 1

clean:  ## remove results and generated inputs (not the environment)
	find results resources -mindepth 1 ! -name README.md -delete
	rm -rf .snakemake report.html
