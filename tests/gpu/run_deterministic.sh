#!/usr/bin/env bash
# Whether answers keep their bytes in company with --deterministic, on a real device, and without; and what it costs. Bytes: random checkpoints
# that transformers writes here (with dummy weights drawn tokens are replaced by others, by slot). Cost: the 8B shape at 1, 64 and 256 users.
# tests/gpu/pack.sh makes the programs.   tests/gpu/run_deterministic.sh [bytes | cost ...]
set -uo pipefail
source "$(dirname "$0")/common.sh"
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,clocks.sm,power.limit --format=csv,noheader

bytes() {
  for shape in llama-3.1-8b:4 qwen3-30b-a3b:2; do
    local model=${shape%:*} layers=${shape#*:} folder=/tmp/random/${shape%:*}
    stage "checkpoint-$model" 120 python3 tests/gpu/make_reference.py "tests/testing/configs/$model" "$layers" "$folder" ||
      { tail -5 "$OUT/checkpoint-$model.log"; continue; }
    cp tests/models/regatta-dense/tokenizer*.json tests/models/regatta-dense/special_tokens_map.json "$folder/model"
    for flags in "--deterministic" "" "--deterministic --quantization fp8"; do
      stage "bytes-$model${flags// /}" 90 python3 tests/e2e/same_bytes.py --bin-dir "$BIN" --model "$folder/model" --prompts 32 --company 48 -- \
        --max-seq-len 2048 $flags
      tail -1 "$OUT/bytes-$model${flags// /}.log"
    done
    rm -rf "$folder"
  done
}

cost() {
  for flags in "--deterministic" ""; do
    stage "cost$flags" 100 "$BIN/regatta" sweep --model tests/testing/configs/llama-3.1-8b --dummy-weights --max-seq-len 256 $flags \
      --target-input-len 128 --target-output-len 128 --concurrency "${CONCURRENCY:-1,64,256}" \
      --max-time-per-point "${POINT_SECONDS:-5}" --output "$OUT/results"
    grep -A4 'req/s   out tok/s' "$OUT/cost$flags.log"
  done
}

for name in "${@:-bytes}"; do "$name"; done
save_logs
