#!/usr/bin/env bash
# The whole stack on this machine's GPUs: goldens, the bundled models' exact answers, and load points of real shapes with
# dummy weights. tests/gpu/pack.sh makes the programs.   tests/gpu/run_serving.sh [STAGE ...]
set -uo pipefail
source "$(dirname "$0")/common.sh"
nvidia-smi --query-gpu=name,driver_version,clocks.sm,power.limit --format=csv,noheader
configs=tests/testing/configs
FP8=(--quantization fp8_static --kv-cache-dtype fp8)

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
    for dtype in ${LOGIT_DTYPES:-bfloat16 float32}; do
      stage "logits-$model-$dtype" 60 "$BIN/reference_logits" "$reference" cuda:0 $dtype
      tail -1 "$OUT/logits-$model-$dtype.log"
    done
    rm -rf "$reference"
  done
}

# Exact answers of the bundled models through orchestrator, router and worker.
answers() {
  local flags
  for model in regatta-dense regatta-moe; do
    for flags in "" "--quantization fp8" "--quantization fp8 --kv-cache-dtype fp8"; do
      local name="answers-$model${flags// /}"
      stage "$name" 60 "$BIN/regatta" sweep --model tests/models/$model --dataset tests/models/$model/heldout.jsonl \
        --concurrency 64 --num-requests 672 --output "$OUT/results" $flags || tail -30 "$OUT/$name.log"
      grep -iE 'exact|Total Output Throughput' "$OUT/$name.log"
    done
  done
}

# points NAME MODEL CONCURRENCIES [FLAG ...]: INPUT tokens in, OUTPUT out (128 each).
points() {
  local name=$1 model=$2 concurrency=$3
  shift 3
  stage "$name" "${POINT_TIMEOUT:-240}" "$BIN/regatta" sweep --model $configs/$model --dummy-weights \
    --target-input-len "${INPUT:-128}" --target-output-len "${OUTPUT:-128}" --max-seq-len $((${INPUT:-128} + ${OUTPUT:-128})) --concurrency "$concurrency" \
    --max-time-per-point "${POINT_SECONDS:-12}" --output "$OUT/results" --report-json "$OUT/$name.json" "$@" ||
    tail -40 "$OUT/$name.log"
  grep -A9 'req/s   out tok/s' "$OUT/$name.log"
}

bf16() { points llama8b-bf16 llama-3.1-8b "${CONCURRENCY:-1,64,256,512}" --max-batch-size 512 --max-num-tokens 2048; }
fp8() {
  points llama8b-fp8 llama-3.1-8b "${CONCURRENCY:-1,64,512,1024}" --max-batch-size 1024 --max-num-tokens 2048 "${FP8[@]}"
}
# As many requests as the peers' figures are of; of few users enough for beginning and end not to count.
fp8_best() {
  POINT_SECONDS=200 POINT_TIMEOUT=280 points llama8b-fp8-best llama-3.1-8b "${CONCURRENCY:-1280}" --max-batch-size 1280 --max-num-tokens 4096 \
    --num-requests 30000 "${FP8[@]}"
}
fp8_64() {
  POINT_SECONDS=120 POINT_TIMEOUT=180 points llama8b-fp8-64 llama-3.1-8b 64 --max-batch-size 512 --max-num-tokens 2048 --num-requests 10000 "${FP8[@]}"
}
# Long prompts, long answers.
fp8_2048_128() {
  INPUT=2048 POINT_SECONDS=140 POINT_TIMEOUT=200 points llama8b-fp8-2048-128 llama-3.1-8b "${CONCURRENCY:-256}" --max-batch-size 256 --max-num-tokens 4096 \
    --num-requests 3000 "${FP8[@]}"
}
# The same by the size of a step.
prompt_steps() {
  for tokens in ${TOKENS:-1024 1152 1536 2048 4096}; do
    INPUT=2048 points "llama8b-fp8-2048-128-$tokens" llama-3.1-8b "${CONCURRENCY:-64,128}" --max-batch-size 256 --max-num-tokens "$tokens" "${FP8[@]}"
  done
}
fp8_1000_1000() { INPUT=1000 OUTPUT=1000 points llama8b-fp8-1000-1000 llama-3.1-8b "${CONCURRENCY:-512}" --max-batch-size 512 --max-num-tokens 4096 "${FP8[@]}"; }
fp8_128_2048() { OUTPUT=2048 points llama8b-fp8-128-2048 llama-3.1-8b "${CONCURRENCY:-768}" --max-batch-size 1024 --max-num-tokens 4096 "${FP8[@]}"; }
# The article's 100 requests at once, in bf16.
hundred() { points llama8b-hundred llama-3.1-8b 100 --max-batch-size 512 --max-num-tokens 2048 --num-requests 100 --warmup 64; }
# How fast the slowest twentieth of as many users is as are to have 50 tok/s each (p5_user_speed_tok_s in the JSON).
users_at_50() {
  points users-at-50-bf16 llama-3.1-8b "${BF16_USERS:-370}" --max-batch-size 512 --max-num-tokens 2048 --repeats 3 --user-speed 50
  points users-at-50-fp8 llama-3.1-8b "${FP8_USERS:-640,656}" --max-batch-size 1024 --max-num-tokens 2048 --repeats 3 --user-speed 50 "${FP8[@]}"
}
# Prompts in waves and dealt out over steps, on the same card.
pacing() {
  local waves
  waves=$(mktemp --suffix=.yaml)
  echo 'scheduler_config: {pace_prompts: false}' >"$waves"
  for flags in "--config $waves" ""; do
    points "pacing-fp8${flags:+-waves}" llama-3.1-8b "${CONCURRENCY:-16,64,128}" --max-batch-size 512 --max-num-tokens 2048 "${FP8[@]}" $flags
    points "pacing-bf16${flags:+-waves}" llama-3.1-8b "${CONCURRENCY:-16,64,128}" --max-batch-size 512 --max-num-tokens 2048 $flags
  done
}
# JSON schemas among free requests: masks come from the host while the device works.
constrained() {
  stage constrained 60 python3 tests/e2e/constrained.py --bin-dir "$BIN" --requests 128
  tail -2 "$OUT/constrained.log"
}
doctor() { stage doctor 30 "$BIN/regatta" doctor || true; cat "$OUT/doctor.log"; }
operations() {
  stage operations 240 "$BIN/cuda_ops_test" --gtest_brief=1 || grep -A6 Failure "$OUT/operations.log" | head -40
  tail -3 "$OUT/operations.log"
}

for one in "${@:-golden answers bf16}"; do for name in $one; do "$name"; done; done
nvidia-smi --query-gpu=name,clocks.sm,power.draw,temperature.gpu,memory.used --format=csv,noheader
save_logs
