#!/usr/bin/env bash
# sweep.sh BUILD [ARGS]: the main job on the bundled model: two ranks (tp 2; one where there is one GPU) and a router on loopback, concurrency 1 to 16.
# ARGS go to `regatta sweep` and override: make sweep ARGS="--concurrency 1:64:x2 --tp 1".
set -euo pipefail
build=$1
shift
gpus=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU' || true)
workers=$("$build/bin/regatta-worker" --list-devices | grep -c '^cuda' || true)
tp=2
if ((workers > 0)); then
  ((workers >= 2)) || tp=1
  echo "Sweeping with $tp of $workers GPUs."
else
  echo "Sweeping with CPU ranks. Figures show that everything works; they are not performance figures."
  ((gpus == 0)) || echo "($gpus GPUs are here, but this build has no CUDA: install CUDA 12.9 or newer with nvcc, then make sweep CUDA=1.)"
fi
# default FLAG VALUE: unless ARGS have the flag.
given=("$@")
default() {
  local flag
  for flag in "${given[@]}"; do [[ ${flag%%=*} != "$1" ]] || return 0; done
  defaults+=("$@")
}
defaults=()
default --model tests/models/regatta-dense
default --dataset tests/models/regatta-dense/heldout.jsonl
default --tp "$tp"
default --concurrency 1:16:x2
exec "$build/bin/regatta" sweep "${defaults[@]}" "$@"
