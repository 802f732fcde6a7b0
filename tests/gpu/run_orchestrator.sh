#!/usr/bin/env bash
# The orchestrator's questions on this machine's GPUs: which load fits a goal (searched, confirmed, applied), which layout of the
# pool wins at which speed. Real shapes, dummy weights, 128 tokens in and 128 out.   tests/gpu/run_orchestrator.sh [STAGE ...]
# tests/gpu/pack.sh makes the programs.
set -uo pipefail
source "$(dirname "$0")/common.sh"
nvidia-smi --query-gpu=name,driver_version,clocks.sm,power.limit --format=csv,noheader
lengths=(--dummy-weights --target-input-len 128 --target-output-len 128 --max-seq-len 256 --max-time-per-point "${POINT_SECONDS:-5}")

# ask NAME SECONDS COMMAND...: a question with its report kept.
ask() {
  local name=$1 limit=$2
  shift 2
  stage "$name" "$limit" "$BIN/regatta" "$@" --output "$OUT/results" || tail -30 "$OUT/$name.log"
  tail -n "${LINES_SHOWN:-45}" "$OUT/$name.log"
}

recommend() {
  ask "$1" "${RECOMMEND_TIMEOUT:-200}" recommend --model tests/testing/configs/llama-3.1-8b "${lengths[@]}" --min-user-speed 50 \
    --repeats "${REPEATS:-2}" --apply "${@:2}"
}
recommend_bf16() { recommend recommend-bf16; }
recommend_fp8() { recommend recommend-fp8 --quantization fp8_static --kv-cache-dtype fp8; }

# Every layout of all GPUs here.
partition() {
  ask "partition-$1" "${PARTITION_TIMEOUT:-200}" partition --model "tests/testing/configs/$1" "${lengths[@]}" \
    --concurrency "${CONCURRENCY:-1:256:x4}" --launch-timeout 120 "${@:2}"
}
partition_experts() { partition qwen3-30b-a3b; }
partition_dense() { partition llama-3.3-70b --precision fp8-static-kv; }

for one in "${@:-recommend_bf16 partition_experts}"; do for name in $one; do "$name"; done; done
save_logs
