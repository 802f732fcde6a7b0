#!/usr/bin/env bash
# Steps of real shapes with dummy weights on this machine's GPUs, without a router, beside what the GPUs could do at best.
#   tests/gpu/run_step_bench.sh [STAGE ...]: 8b (default), 8b-fp8, 8b-loop and 8b-fp8-loop (a closed loop of 128 tokens in,
#   128 out), 8b-long, 8b-tp (all GPUs), moe
#   profile: one load (BATCH, FLAGS), kernel by kernel; search: ways of cuBLASLt, at the power limit too (product_search.cc)
# BIN is the folder of step_bench (tests/gpu/pack.sh packs it); tables are printed, JSON goes to $OUT.
set -uo pipefail
source "$(dirname "$0")/common.sh"
nvidia-smi --query-gpu=name,driver_version,clocks.sm,power.limit --format=csv,noheader
configs=tests/testing/configs
gpus=$(nvidia-smi -L | wc -l)
status=0

# bench NAME MODEL [FLAG ...]
bench() {
  local name=$1 model=$2
  shift 2
  stage "step-$name" "${STEP_TIMEOUT:-300}" "$BIN/step_bench" --model "$configs/$model" --json "$OUT/step-$name.json" \
    --log-dir "$OUT" "$@" || status=1
  tail -45 "$OUT/step-$name.log"
}

fp8=(--quantization fp8_static --kv-cache-dtype fp8)
loop=(--context 128 --output 128 --max-num-tokens 2048)

for one in "${@:-8b}"; do
  case $one in
    profile) bench profile "${MODEL:-llama-3.1-8b}" --list-kernels --batch "${BATCH:-64}" ${FLAGS:---context 256} ;;
    search)
      g++ -O2 -std=c++20 -I/usr/local/cuda/include tests/gpu/product_search.cc -L/usr/local/cuda/lib64 -lcublasLt -lcudart -o /tmp/product_search || exit 1
      for dtype in ${DTYPES:-fp8 bf16}; do
        LD_LIBRARY_PATH=/usr/local/cuda/lib64 stage "search-$dtype" 300 /tmp/product_search "$dtype" ${TOKENS:-64 192 512 1024 2048} || status=1
        cat "$OUT/search-$dtype.log"
      done ;;
    8b) bench 8b llama-3.1-8b --batch "${BATCH:-1,2,4,8,16,32,64,128,256}" --context "${CONTEXT:-256}" ;;
    8b-fp8) bench 8b-fp8 llama-3.1-8b --batch "${BATCH:-1,2,4,8,16,32,64,128,256,512}" --context "${CONTEXT:-256}" "${fp8[@]}" ;;
    8b-loop) bench 8b-loop llama-3.1-8b --batch "${BATCH:-64,256,512}" "${loop[@]}" ;;
    8b-fp8-loop) bench 8b-fp8-loop llama-3.1-8b --batch "${BATCH:-64,256,512,1024}" "${loop[@]}" "${fp8[@]}" ;;
    8b-long) bench 8b-long llama-3.1-8b --batch "${BATCH:-1,8,32}" --context "${CONTEXT:-8192}" ;;
    8b-tp) bench "8b-tp$gpus" llama-3.1-8b --tp "$gpus" --batch "${BATCH:-1,8,64,256}" --context "${CONTEXT:-256}" ;;
    moe)
      for skew in 0 1; do
        bench "moe-skew$skew" qwen3-30b-a3b --batch "${BATCH:-1,8,64,256}" --context "${CONTEXT:-256}" --dummy-router-skew $skew
      done ;;
    *) echo "stage $one is not known: 8b, 8b-fp8, 8b-loop, 8b-fp8-loop, 8b-long, 8b-tp, moe, profile, search"; exit 2 ;;
  esac
done
exit $status
