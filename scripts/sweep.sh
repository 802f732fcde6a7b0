#!/usr/bin/env bash
# sweep.sh BUILD [ARGS]: the main job on the bundled model: two ranks (tp 2) and a router on loopback, concurrency 1 to 16.
# ARGS go to `regatta sweep` and override: make sweep ARGS="--concurrency 1:64:x2 --tp 1".
set -euo pipefail
build=$1
shift
echo "Sweeping with CPU ranks. Figures show that everything works; they are not performance figures."
if nvidia-smi -L >/dev/null 2>&1; then
  echo "(A GPU is here, but workers of this version run on CPU ranks only.)"
fi
exec "$build/bin/regatta" sweep --model tests/models/regatta-dense --dataset tests/models/regatta-dense/heldout.jsonl \
  --tp 2 --concurrency 1:16:x2 "$@"
