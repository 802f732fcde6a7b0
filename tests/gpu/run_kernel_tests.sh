#!/usr/bin/env bash
# Tests, memory checks and rates of the CUDA operations on this machine's GPU 0.
#   tests/gpu/run_kernel_tests.sh [FOLDER]
# FOLDER holds cuda_ops_test, cuda_ops_bench and perhaps cuda_draw_test, built elsewhere; without it both are built here.
# Logs go to $OUT (default: build/gpu).
set -uo pipefail
cd "$(dirname "$0")/../.."
OUT=${OUT:-build/gpu}
mkdir -p "$OUT"
binaries=${1:-}
if [[ -z $binaries ]]; then
  cmake --preset cuda && ninja -C build/cuda cuda_ops_test cuda_ops_bench || exit 1
  binaries=build/cuda/tests/kernels
fi

# cuBLASLt: the toolkit's, or the one that a Python package carries.
library=$(find /usr/local/cuda*/ /opt /usr/lib -name 'libcublasLt.so.13' 2>/dev/null | head -1)
export LD_LIBRARY_PATH=${library:+$(dirname "$library"):}${LD_LIBRARY_PATH:-}
echo "cuBLASLt: ${library:-of the system}"
nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,power.limit --format=csv,noheader

# One process per suite: a fault in one does not fail the others.
status=0
: >"$OUT/tests.log"
for suite in Elementwise Weight Linear Quantized Skinny Wide Rope Attention Moe Sample Coarse; do
  filter="${suite}Cases/*"
  log=$(mktemp)
  timeout "${SUITE_TIMEOUT:-240}" "$binaries/cuda_ops_test" --gtest_filter="$filter" --gtest_brief=1 >"$log" 2>&1
  code=$?
  echo "== $suite: exit $code, $(grep -c '^\[  FAILED  \].*GetParam' "$log") failures: $(grep -E 'PASSED|SKIPPED' "$log" | tail -1)"
  cat "$log" >>"$OUT/tests.log"
  ((code == 0)) || { status=1; grep -B8 -E '^\[  FAILED  \].*GetParam' "$log" | cut -c1-300 | head -${FAILURE_LINES:-24}; tail -3 "$log" | cut -c1-300; }
done
# All of them in one process, on inputs that no run had before.
for seed in ${SEEDS:-$((RANDOM + 1)) $((RANDOM + 1))}; do
  log=$OUT/seed.$seed.log
  timeout "${SUITE_TIMEOUT:-240}" "$binaries/cuda_ops_test" --gtest_random_seed="$seed" >"$log" 2>&1
  code=$?
  echo "== all, seed $seed: exit $code, $(grep -c '^\[       OK' "$log") passed"
  ((code == 0)) || { status=1; grep -B8 -E '^\[  FAILED  \].*GetParam' "$log" | cut -c1-300 | head -24; tail -2 "$log"; }
done

if [[ -x $binaries/cuda_draw_test ]]; then
  timeout "${SUITE_TIMEOUT:-240}" "$binaries/cuda_draw_test" >"$OUT/draws.log" 2>&1 || { status=1; grep -A6 Failure "$OUT/draws.log" | head -40; }
  echo "== draws of a group: $(tail -1 "$OUT/draws.log")"
fi

# Reduced sets, awkward shapes first: every operation for stray accesses; for races, which are slow to
# look for, the kernels that share memory between threads.
declare -A checked=(
  [memcheck]='*/RmsNorm_*_3_250:*/AddGated_*_3_250:*/Linear_*bias_3_33_129:*/Rope_*4_4_80*:*/Attention_??_bfloat16_*:*/MoeRoute_60_4*_3:*/MoeExperts_*_17_8_2_ep_2:*/SamplePenalties:*/SampleGreedyEdges:*/SampleLogprobs:*/Skinny_*_9_2320_192:*/MlpChain_*_5:*CudaWideTest*/Gated_*_129_1040_272_on_4:*CudaWideTest*/Wide_*_129_1040_528_on_4:*/DecodingComposed_bfloat16_*'
  [racecheck]='*/RmsNorm_bfloat16_3_250:*/Linear_float16_to_float16_plain_3_33_129:*/Attention_73_*:*/Attention_80_*:*/Attention_86_*:*/Attention_87_*:*/Attention_92_*:*/Attention_97_*:*/Attention_101_*:*/MoeExperts_bfloat16_3_*_ep_2:*/MoeExperts_float32_3_*_ep_1:*/Skinny_*_to_float32_bias_int32_9_2320_192:*/Skinny_*_to_float32_bias_int32_3_128_100:*/AddRmsNorm_bfloat16_3_250:*/GatedProduct_bfloat16_3:*/LinearReduceAddNorm_bfloat16_3_of_1:*/Producers_*_bfloat16_3_250:*/Quantize_*_bfloat16_3_250:*/MoeRoute_60_4*_3:*/QuantizedExperts_bfloat16_*:*/SamplePenalties:*/SampleLogprobs:*CudaWideTest*/Gated_bfloat16_129_1040_272_on_4:*CudaWideTest*/Wide_bfloat16_33_1040_2320_on_4:*/DecodingComposed_bfloat16_*edges*'
)
for tool in ${SANITIZERS:-memcheck racecheck}; do
  log=$OUT/$tool.log
  timeout "${SANITIZER_TIMEOUT:-300}" compute-sanitizer --tool "$tool" --error-exitcode 9 \
    "$binaries/cuda_ops_test" --gtest_filter="${checked[$tool]}" >"$log" 2>&1
  code=$?
  echo "== $tool: exit $code, $(grep -c '^\[       OK' "$log") passed: $(tail -1 "$log")"
  ((code == 0)) || { status=1; grep -v '^\[' "$log" | cut -c1-200 | head -12; }
done

echo "== rates"
timeout "${BENCH_TIMEOUT:-120}" "$binaries/cuda_ops_bench" | tee "$OUT/rates.log" || status=1
exit $status
