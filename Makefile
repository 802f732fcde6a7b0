# Regatta's daily commands. `make help` lists them.
SHELL := /bin/bash
BUILD ?= build/host
JOBS  ?= $(shell nproc)

# CUDA is compiled where a GPU and nvcc are seen, or with CUDA=1; drivers and toolkits are never installed.
GPU   := $(shell scripts/see-gpu.sh)
CUDA  ?= $(GPU)
PRESET := $(if $(filter 1,$(CUDA)),cuda,host)
ifeq ($(PRESET),cuda)
BUILD := build/cuda
endif

.PHONY: help deps build sweep test test-long test-clients fuzz bench bench-gpu dist format clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

deps:  ## install what is missing (asks before sudo; YES=1 does not ask)
	@scripts/install-deps.sh

build: deps  ## compile everything
	@scripts/build.sh $(PRESET) $(BUILD) $(JOBS)

sweep: deps  ## start a local cluster, sweep concurrency on the bundled model, show and write the report
	@scripts/build.sh $(PRESET) $(BUILD) $(JOBS) regatta regatta-router regatta-worker
	@scripts/sweep.sh $(BUILD) $(ARGS)

test: build  ## all tests that need no GPU, within 20 minutes on two cores
	@ctest --test-dir $(BUILD) --output-on-failure --no-tests=error -j $(JOBS) -LE 'long|gpu'

test-long: build  ## long simulations, corpora and soaks
	@ctest --test-dir $(BUILD) --output-on-failure --no-tests=error -L long

fuzz:  ## fuzz all that reads bytes from outside, SECONDS=1800 in all; TARGETS="http schema" chooses (needs clang)
	@scripts/install-deps.sh clang libclang-rt-dev
	@scripts/build.sh fuzz build/fuzz $(JOBS) fuzzers
	@scripts/fuzz.sh build/fuzz $(or $(SECONDS),1800) $(TARGETS)

test-clients: build  ## other people's clients and load generators on a local router (network: PyPI)
	@tests/e2e/clients.sh $(BUILD)

bench: deps  ## micro-benchmarks; figures are kept in docs/PERFORMANCE.md
	@scripts/build.sh $(PRESET) $(BUILD) $(JOBS) benchmarks
	@scripts/bench.sh $(BUILD)

bench-gpu: deps  ## decoding steps on this host's GPUs beside what the GPUs could do at best
	@[[ $(PRESET) == cuda ]] || { echo "bench-gpu needs a GPU and nvcc (CUDA=1 builds without seeing a GPU)"; exit 1; }
	@scripts/build.sh $(PRESET) $(BUILD) $(JOBS) step_bench
	@BIN=$(BUILD)/bench-gpu tests/gpu/run_step_bench.sh $(ARGS)

dist: deps  ## one compressed archive of stripped programs with static third-party libraries
	@scripts/dist.sh $(JOBS)

format:  ## clang-format in place
	@git ls-files '*.cc' '*.h' '*.cu' '*.cuh' | xargs clang-format -i

clean:  ## remove build outputs
	@rm -rf build
