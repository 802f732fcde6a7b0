#!/usr/bin/env bash
# Tests and rates of what GPUs say to one another, on all GPUs of this machine; the peers' all-reduce
# is also tested with one.
#   tests/gpu/run_collectives.sh [FOLDER]
# FOLDER holds peer_all_reduce_test, nccl_group_test and all_reduce_bench, built elsewhere; without it
# they are built here. Logs go to $OUT (default: build/gpu).
set -uo pipefail
cd "$(dirname "$0")/../.."
OUT=${OUT:-build/gpu}
mkdir -p "$OUT"
folder=${1:-}
programs=(peer_all_reduce_test nccl_group_test all_reduce_bench)
if [[ -z $folder ]]; then
  cmake --preset cuda && ninja -C build/cuda "${programs[@]}" || exit 1
  folder=$OUT/programs
  mkdir -p "$folder"
  find build/cuda/tests \( -name "${programs[0]}" -o -name "${programs[1]}" -o -name "${programs[2]}" \) -type f -exec cp {} "$folder" \;
fi

# Shared libraries: the toolkit's, or those that Python packages carry.
for name in libcublasLt.so.13 libnccl.so.2; do
  library=$(find /usr/local/cuda*/ /opt /usr/lib /usr/local/lib -name "$name" 2>/dev/null | head -1)
  echo "$name: ${library:-of the system}"
  export LD_LIBRARY_PATH=${library:+$(dirname "$library"):}${LD_LIBRARY_PATH:-}
done
nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,power.limit --format=csv,noheader
nvidia-smi topo -m >"$OUT/topology.log" 2>&1

status=0
for test in peer_all_reduce_test nccl_group_test; do
  log=$OUT/$test.log
  timeout "${TEST_TIMEOUT:-240}" "$folder/$test" >"$log" 2>&1
  code=$?
  echo "== $test: exit $code, $(grep -c '^\[       OK' "$log") passed, $(grep -c '^\[  SKIPPED ].*ms)' "$log") skipped"
  grep -m1 'does not map' "$log"
  ((code == 0)) || { status=1; grep -B12 '^\[  FAILED  \].*ms)' "$log" | cut -c1-300 | head -60; tail -3 "$log" | cut -c1-300; }
done

echo "== memcheck of the peers' all-reduce on one GPU"
timeout "${SANITIZER_TIMEOUT:-60}" compute-sanitizer --tool memcheck --error-exitcode 9 \
  "$folder/peer_all_reduce_test" --gtest_filter='*Sums*/2OnOneGpu:*Fused*/3OnOneGpu' >"$OUT/peer_memcheck.log" 2>&1
code=$?
echo "   exit $code: $(tail -1 "$OUT/peer_memcheck.log")"
((code == 0)) || status=1

if (($(nvidia-smi -L | wc -l) > 1)); then
  echo "== rates"
  timeout "${BENCH_TIMEOUT:-240}" "$folder/all_reduce_bench" | tee "$OUT/all_reduce.log" || status=1
fi
exit $status
