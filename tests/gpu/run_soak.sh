#!/usr/bin/env bash
# Mixed load, cancellations and new layouts on the GPUs of this machine, 8 minutes; each argument is a server with these flags more, and all
# of them run at once: they are small and leave one another room. With --deterministic every answer must be what it was alone; otherwise drawn
# answers and those to random tokens part at near ties, and a fifth of all may.
# tests/gpu/pack.sh makes the programs.   tests/gpu/run_soak.sh [--deterministic "--deterministic --quantization fp8" ...]
set -uo pipefail
source "$(dirname "$0")/common.sh"
gpus=$(nvidia-smi -L | wc -l)
nvidia-smi --query-gpu=name,driver_version,power.limit --format=csv,noheader

layouts="--dp 1"
[ "$gpus" -ge 2 ] && layouts="--pp 2;--dp 2;--tp 2"
limits=$(mktemp --suffix=.yaml)
trap 'rm -f "$limits"' EXIT
echo "kv_cache_config: {max_tokens: 65536}" >"$limits"  # the same memory whatever the others hold

soak() {
  local flags=$1 name="soak${1// /}" differ=0.2 code=0
  [[ $flags == *--deterministic* ]] && differ=0
  stage "$name" 570 python3 tests/e2e/soak.py --bin-dir "$BIN" --minutes "${MINUTES:-8}" --people "${PEOPLE:-32}" --layouts "$layouts" \
    --every 15 --differ "$differ" -- --tp "$gpus" --max-batch-size 64 --config "$limits" $flags || code=$?
  tail -4 "$OUT/$name.log"
  return $code
}

[ $# -eq 0 ] && set -- --deterministic
runs=()
for flags in "$@"; do
  soak "$flags" &
  runs+=($!)
done
status=0
for run in "${runs[@]}"; do wait "$run" || status=1; done
save_logs
exit $status
