#!/usr/bin/env bash
# What this machine's GPUs say to one another: tests, memory checks and rates. With one GPU, the peers' all-reduce between two
# streams of it. tests/gpu/pack.sh makes the programs.   tests/gpu/run_collectives.sh [STAGE ...]
set -uo pipefail
source "$(dirname "$0")/common.sh"
nvidia-smi --query-gpu=name,driver_version,clocks.sm,power.limit --format=csv,noheader
nvidia-smi topo -m >"$OUT/topology.log" 2>&1

# gtest NAME SECONDS PROGRAM [FLAG ...]
gtest() {
  local name=$1 log=$OUT/$1.log code=0
  stage "$@" || code=$?
  echo "   $(grep -c '^\[       OK' "$log") passed, $(grep -c '^\[  SKIPPED .*ms)' "$log") skipped"
  grep -m1 'does not map' "$log"
  ((code == 0)) || { grep -B12 '^\[  FAILED  .*ms)' "$log" | cut -c1-300 | head -60; tail -3 "$log" | cut -c1-300; }
}

peers() { gtest peer_all_reduce 120 "$BIN/peer_all_reduce_test"; }
memcheck() {
  gtest peer_memcheck 60 compute-sanitizer --tool memcheck --error-exitcode 9 "$BIN/peer_all_reduce_test" \
    --gtest_filter='*Sums*/2OnOneGpu:*Fused*/3OnOneGpu'
  grep 'ERROR SUMMARY' "$OUT/peer_memcheck.log"
}
nccl() { gtest nccl_group 240 "$BIN/nccl_group_test"; }
rates() { stage all_reduce 240 "$BIN/all_reduce_bench"; cat "$OUT/all_reduce.log"; }

for one in "${@:-peers nccl rates memcheck}"; do for name in $one; do "$name"; done; done
