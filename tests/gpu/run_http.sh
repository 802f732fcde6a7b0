#!/usr/bin/env bash
# What the HTTP front end costs beside gRPC on a real device: `regatta serve` of the 8B shape with dummy weights, swept over both at
# 1, 64 and 256 users. tests/gpu/pack.sh makes the programs.   tests/gpu/run_http.sh [FLAG OF frontend_overhead.py ...]
# MODEL and FLAGS (of regatta serve) replace the shape: MODEL=tests/models/regatta-dense FLAGS="--device cpu" tries the script anywhere.
set -uo pipefail
source "$(dirname "$0")/common.sh"
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,clocks.sm,power.limit --format=csv,noheader

model=${MODEL:-$(text_shape llama-3.1-8b)}
flags=${FLAGS:---dummy-weights --max-batch-size 256 --max-num-tokens 2048 --max-seq-len 256}
# shellcheck disable=SC2086 # several flags
stage http "${HTTP_TIMEOUT:-540}" python3 tests/e2e/frontend_overhead.py --bin-dir "$BIN" --model "$model" --concurrency 1,64,256 \
  --rounds 2 --input-len 128 --output-len 64 --seconds 12 "$@" -- $flags || tail -40 "$OUT/http.log"
cat "$OUT/http.log"
save_logs
