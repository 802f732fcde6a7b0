#!/usr/bin/env bash
# Whether answers keep their bytes in company with --deterministic, on a real device, and what that costs: the 8B shape with dummy weights,
# bf16 and fp8, at 1, 64 and 256 users with and without. tests/gpu/pack.sh makes the programs.   tests/gpu/run_deterministic.sh [bf16|fp8 ...]
# MODEL and FLAGS (of regatta serve and sweep) replace the shape: MODEL=tests/models/regatta-dense FLAGS="--device cpu" tries it anywhere.
set -uo pipefail
source "$(dirname "$0")/common.sh"
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,clocks.sm,power.limit --format=csv,noheader

model=${MODEL:-$(text_shape llama-3.1-8b)}
declare -A precision=([bf16]="" [fp8]="--quantization fp8_static --kv-cache-dtype fp8")

for kind in "${@:-bf16}"; do
  flags="${FLAGS:---dummy-weights --max-seq-len 1024} ${precision[$kind]}"
  # shellcheck disable=SC2086 # several flags
  for way in "--deterministic" ""; do
    stage "bytes-$kind$way" 100 python3 tests/e2e/same_bytes.py --bin-dir "$BIN" --model "$model" --prompts 32 --company 48 -- $flags $way
    tail -1 "$OUT/bytes-$kind$way.log"
    stage "sweep-$kind$way" 100 "$BIN/regatta" sweep --model "$model" --target-input-len 128 --target-output-len 128 \
      --concurrency "${CONCURRENCY:-1,64,256}" --max-time-per-point "${POINT_SECONDS:-5}" --output "$OUT/results" $flags $way
    grep -A6 'req/s   out tok/s' "$OUT/sweep-$kind$way.log"
  done
done
save_logs
