#!/usr/bin/env bash
# The whole stack on this machine's GPUs: goldens, the bundled models' exact answers, and load points of real shapes with
# dummy weights. tests/gpu/pack.sh makes the programs.   tests/gpu/run_serving.sh [STAGE ...]
set -uo pipefail
source "$(dirname "$0")/common.sh"
nvidia-smi --query-gpu=name,driver_version,clocks.sm,power.limit --format=csv,noheader
configs=tests/testing/configs

golden() {
  stage lives 120 "$BIN/cuda_executor_test" || tail -40 "$OUT/lives.log"
  stage golden 150 "$BIN/cuda_golden_test" || tail -40 "$OUT/golden.log"
  grep -E '^\[ +(OK|FAILED|SKIPPED)|differ$' "$OUT/golden.log"
}

# Random checkpoints of real architectures: logits beside those of transformers on the same GPU.
logits() {
  for shape in llama-3.1-8b:4 qwen3-8b:4 mixtral-8x7b:2 qwen3-30b-a3b:3; do
    local model=${shape%:*} layers=${shape#*:} reference=/tmp/reference/${shape%:*}
    stage "reference-$model" 90 python3 tests/gpu/make_reference.py $configs/$model "$layers" "$reference" ||
      { tail -5 "$OUT/reference-$model.log"; continue; }
    for dtype in bfloat16 float32; do
      stage "logits-$model-$dtype" 60 "$BIN/reference_logits" "$reference" cuda:0 $dtype
      tail -1 "$OUT/logits-$model-$dtype.log"
    done
    rm -rf "$reference"
  done
}

# Exact answers of the bundled models through orchestrator, router and worker.
answers() {
  for model in regatta-dense regatta-moe; do
    stage "answers-$model" 60 "$BIN/regatta" sweep --model tests/models/$model \
      --dataset tests/models/$model/heldout.jsonl --concurrency 64 --num-requests 672 --output "$OUT/results" ||
      tail -30 "$OUT/answers-$model.log"
    grep -iE 'exact|Total Output Throughput' "$OUT/answers-$model.log"
  done
}

# points NAME MODEL CONCURRENCIES [FLAG ...]: 128 tokens in, 128 out.
points() {
  local name=$1 model=$2 concurrency=$3
  shift 3
  stage "$name" "${POINT_TIMEOUT:-240}" "$BIN/regatta" sweep --model $configs/$model --dummy-weights \
    --target-input-len 128 --target-output-len 128 --max-seq-len 256 --concurrency "$concurrency" \
    --output "$OUT/results" --report-json "$OUT/$name.json" "$@" || tail -40 "$OUT/$name.log"
  grep -A12 -iE 'concurrency .*tok' "$OUT/$name.log" | tail -14
}

bf16() { points llama8b-bf16 llama-3.1-8b "${CONCURRENCY:-1,64,256}" --max-batch-size 512 --max-num-tokens 2048; }

for one in "${@:-golden answers bf16}"; do for name in $one; do "$name"; done; done
nvidia-smi --query-gpu=name,clocks.sm,power.draw,temperature.gpu,memory.used --format=csv,noheader
find "$OUT" -name '*.log' -path '*results*' | head -3
