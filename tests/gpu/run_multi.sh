#!/usr/bin/env bash
# Several GPUs of this machine as one pool: collectives, goldens in every layout, exact answers, live repartition, a rank
# that is killed or hangs.   tests/gpu/run_multi.sh [STAGE ...]
set -uo pipefail
source "$(dirname "$0")/common.sh"
gpus=$(nvidia-smi -L | wc -l)
echo "$gpus GPUs: $(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader | head -1)"
model=tests/models/regatta-dense
url=grpc://127.0.0.1:9700
status=0

collectives() {
  stage nccl "${NCCL_TIMEOUT:-200}" "$BIN/nccl_group_test" || grep -E 'Failure|FAILED|timed out|died' -A6 "$OUT/nccl.log" | head -60
  grep -E '^\[ +(OK|FAILED|SKIPPED)' "$OUT/nccl.log" | head -40
}

golden() {
  stage golden 200 "$BIN/cuda_golden_test" || grep -E 'Failure' -A8 "$OUT/golden.log" | head -60
  grep -E '^\[ +(OK|FAILED|SKIPPED)|differ$' "$OUT/golden.log"
  stage lives 120 "$BIN/cuda_executor_test" || tail -30 "$OUT/lives.log"
}

answers() {
  for layout in "dense --pp 2" "moe --pp 2" "dense --tp 2" "moe --tp 2 --ep 2" "dense --dp 2"; do
    set -- $layout
    local name=answers-${layout// /} which=$1
    shift
    stage "$name" 60 "$BIN/regatta" sweep --model tests/models/regatta-$which --dataset tests/models/regatta-$which/heldout.jsonl \
      --concurrency 64 --num-requests 672 --output "$OUT/results" "$@" || tail -20 "$OUT/$name.log"
    grep -iE 'exact|Total Output Throughput' "$OUT/$name.log"
  done
}

# A running pool: `serve LAYOUT...` starts two supervised workers and a router, `stop` ends them.
serve() {
  rm -f "$OUT"/*.address
  "$BIN/regatta-worker" --devices 2 --hang-timeout "${HANG_TIMEOUT:-60}" --listen 127.0.0.1:9710 --address-file "$OUT/workers.address" >"$OUT/workers.log" 2>&1 &
  workers=$!
  "$BIN/regatta-router" --model $model --workers 127.0.0.1:9710,127.0.0.1:9711 --listen 127.0.0.1:9700 \
    --max-batch-size 64 --max-seq-len 512 --address-file "$OUT/router.address" "$@" >"$OUT/router.log" 2>&1 &
  router=$!
  for _ in $(seq 300); do [ -s "$OUT/router.address" ] && break; sleep 0.1; done
}
stop() {
  kill $router 2>/dev/null; wait $router 2>/dev/null
  kill $workers 2>/dev/null; wait $workers 2>/dev/null
}
load() {
  timeout 90 "$BIN/regatta" throughput --url $url --model $model --dataset $model/heldout.jsonl --concurrency 32 \
    --num-requests "$1" --output "$OUT/results" >"$OUT/$2.log" 2>&1
  echo "load $2: exit $?; $(grep -iE 'exact' "$OUT/$2.log"); $(grep -ciE 'error|failed' "$OUT/$2.log") lines on errors"
}

repartition() {
  serve --tp 2
  load 6000 during-repartition &
  sleep 1.5
  for layout in "--tp 1 --pp 2" "--tp 1 --dp 2" "--tp 2"; do
    stage repartition 60 "$BIN/regatta" cluster repartition --url $url $layout || tail -5 "$OUT/repartition.log"
    tail -2 "$OUT/repartition.log"
  done
  wait %load 2>/dev/null || wait $!
  grep -E 'connect|load|capture|formed' "$OUT/router.log" | tail -8
  stop
}

# lose SIGNAL: a rank of tp 2 gets it amid a load. When is the pool serving again, and what is left of the old one?
lose() {
  serve --tp 2 || return
  nvidia-smi --query-gpu=memory.used --format=csv,noheader | tr '\n' ' '; echo "used before"
  load 12000 "during-$1" &
  sleep 2
  local start victim served=no
  victim=$(pgrep -P $workers | head -1)
  start=$(date +%s%N)
  kill -s "$1" "$victim"
  sleep 0.3
  for try in $(seq 150); do
    # Where does a survivor that takes this long hang?
    if ((try == 40)); then
      for pid in $(pgrep -P $workers); do
        timeout 40 cuda-gdb -batch -p "$pid" -ex 'thread apply all backtrace 12' >"$OUT/hang.$pid.log" 2>&1
      done
    fi
    timeout 2 "$BIN/regatta" throughput --url $url --model $model --dataset $model/heldout.jsonl --concurrency 1 \
      --num-requests 1 --warmup 0 --output "$OUT/results" >"$OUT/after-$1.log" 2>&1 && { served=yes; break; }
    sleep 0.1
  done
  echo "a rank got $1: serving again: $served, $((($(date +%s%N) - start) / 1000000)) ms"
  wait $!
  nvidia-smi --query-gpu=memory.used --format=csv,noheader | tr '\n' ' '; echo "used after"
  tail -6 "$OUT/router.log"
  stop
  grep -F 'starting it again' "$OUT/workers.log" && [ $served = yes ] || status=1
  pgrep -l regatta && { echo "PROCESSES LEFT"; status=1; } || echo "no process left"
}
killed() { lose KILL; }
hung() { HANG_TIMEOUT=5 lose STOP; }

# Both GPUs on one model of real shape.
tp() {
  for flags in "" "--quantization fp8_static --kv-cache-dtype fp8"; do
    stage "llama8b-tp2${flags:0:10}" 80 "$BIN/regatta" sweep --model tests/testing/configs/llama-3.1-8b --dummy-weights --tp 2 \
      --target-input-len 128 --target-output-len 128 --max-seq-len 256 --concurrency 1,64,256 --max-batch-size 512 \
      --max-num-tokens 2048 --max-time-per-point 6 --output "$OUT/results" $flags || tail -20 "$OUT/llama8b-tp2${flags:0:10}.log"
    grep -A5 'req/s   out tok/s' "$OUT/llama8b-tp2${flags:0:10}.log"
  done
}

# shape NAME MODEL CONCURRENCIES [FLAG ...]: one layout of a real shape, 128 tokens in, 128 out.
shape() {
  local name=$1 which=$2 concurrency=$3
  shift 3
  stage "$name" "${SHAPE_TIMEOUT:-120}" "$BIN/regatta" sweep --model tests/testing/configs/$which --dummy-weights \
    --target-input-len "${IN:-128}" --target-output-len "${OUT_LEN:-128}" --max-seq-len "${LEN:-256}" --concurrency "$concurrency" \
    --max-batch-size 512 --max-num-tokens "${STEP_TOKENS:-2048}" --max-time-per-point "${POINT_SECONDS:-6}" --output "$OUT/results" "$@" ||
    tail -20 "$OUT/$name.log"
  grep -A7 'req/s   out tok/s' "$OUT/$name.log" | grep -E '^ +[0-9]'
}
fp8=(--quantization fp8_static --kv-cache-dtype fp8)

# Prompts in waves and dealt out over steps, on one pair.
pacing() {
  local waves flags
  waves=$(mktemp --suffix=.yaml)
  echo 'scheduler_config: {pace_prompts: false}' >"$waves"
  for flags in "--config $waves" ""; do
    shape "8b-fp8-tp2${flags:+-waves}" llama-3.1-8b "${CONCURRENCY:-16,64,256}" "${fp8[@]}" --tp 2 $flags
  done
}

large() {
  shape 70b-fp8-tp2 llama-3.3-70b 1,64,256 "${fp8[@]}" --tp 2
  shape 70b-fp8-pp2 llama-3.3-70b 1,64,256 "${fp8[@]}" --pp 2
  IN=1000 OUT_LEN=1000 LEN=2000 POINT_SECONDS=${LONG_SECONDS:-60} shape 70b-fp8-tp2-1k llama-3.3-70b 256 "${fp8[@]}" --tp 2
}

# As TensorRT-LLM's figure, with half of its requests.
large_1000() {
  IN=1000 OUT_LEN=1000 LEN=2000 STEP_TOKENS=8192 POINT_SECONDS=400 SHAPE_TIMEOUT=500 shape 70b-fp8-tp2-1000 llama-3.3-70b 512 \
    "${fp8[@]}" --tp 2 --num-requests 1536
}

experts() {
  local layout
  for layout in "--tp 1" "--tp 2" "--tp 2 --ep 2" "--dp 2"; do
    shape "30b-a3b${layout// /}" qwen3-30b-a3b 1,64,256 $layout
  done
}

for one in "${@:-collectives golden answers repartition killed hung}"; do for name in $one; do "$name"; done; done
save_logs
exit $status
