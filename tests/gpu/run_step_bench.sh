#!/usr/bin/env bash
# Steps of real shapes with dummy weights on this machine's GPUs, without a router, beside what the GPUs could do at best.
#   tests/gpu/run_step_bench.sh [STAGE ...]: 8b (default), 8b-fp8, 8b-loop and 8b-fp8-loop (a closed loop of 128 tokens in,
#   128 out), 8b-long, 8b-tp (all GPUs), moe
#   profile: one load (FLAGS), kernel by kernel, with Nsight Compute
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
  tail -20 "$OUT/step-$name.log"
}

fp8=(--quantization fp8_static --kv-cache-dtype fp8)
loop=(--context 128 --output 128 --max-num-tokens 2048)

# Where the time of steps goes, kernel by kernel: two steps or so, after tuning and prompts.
profile() {
  stage "${NAME:-profile}" "${STEP_TIMEOUT:-90}" ncu --target-processes all --metrics gpu__time_duration.sum \
    --clock-control none --csv --launch-skip "${SKIP:-25000}" --launch-count 800 "$BIN/step_bench" \
    --model "$configs/${MODEL:-llama-3.1-8b}" --batch "${BATCH:-64}" --steps 1500 --no-trace --log-dir "$OUT" ${FLAGS:---context 256}
  python3 - "$OUT/${NAME:-profile}.log" <<'PY'
import collections, csv, sys
lines = [line for line in open(sys.argv[1], errors="replace") if line.startswith('"')]
total = collections.Counter()
count = collections.Counter()
for row in csv.DictReader(lines):
    value = row.get("Metric Value", "").replace(",", "")
    if not value:
        continue
    name = row["Kernel Name"][:90]
    scale = {"ns": 1e-3, "us": 1, "usecond": 1, "nsecond": 1e-3, "ms": 1e3}.get(row["Metric Unit"], 1)
    total[name] += float(value) * scale
    count[name] += 1
for name, micros in total.most_common(24):
    print(f"{micros:10.1f} us {count[name]:5d} x {micros / count[name]:8.2f}  {name}")
PY
}

for one in "${@:-8b}"; do
  case $one in
    profile) profile ;;
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
    *) echo "stage $one is not known: 8b, 8b-fp8, 8b-loop, 8b-fp8-loop, 8b-long, 8b-tp, moe, profile"; exit 2 ;;
  esac
done
exit $status
