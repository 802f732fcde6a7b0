#!/usr/bin/env bash
# Mixed load, cancellations and new layouts on the GPUs of this machine, 8 minutes; each argument is a run with these flags more.
# tests/gpu/pack.sh makes the programs.   tests/gpu/run_soak.sh ["" "--quantization fp8" ...]
set -uo pipefail
source "$(dirname "$0")/common.sh"
gpus=$(nvidia-smi -L | wc -l)
nvidia-smi --query-gpu=name,driver_version,power.limit --format=csv,noheader

layouts="--dp 1"
[ "$gpus" -ge 2 ] && layouts="--pp 2;--dp 2;--tp 2"

[ $# -eq 0 ] && set -- ""
for flags in "$@"; do
  stage "soak${flags// /}" 570 python3 tests/e2e/soak.py --bin-dir "$BIN" --minutes "${MINUTES:-8}" --people 64 --layouts "$layouts" --every 15 \
    --differ 0.02 -- --tp "$gpus" --max-batch-size 64 $flags
  tail -4 "$OUT/soak${flags// /}.log"
done
save_logs
