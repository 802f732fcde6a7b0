#!/usr/bin/env bash
# build.sh PRESET DIR JOBS: configures once and compiles, with ninja's progress line. Says what is missing for CUDA and goes on without.
set -euo pipefail
preset=$1 dir=$2 jobs=$3
if [ "$preset" = cuda ] && ! command -v nvcc >/dev/null; then
  echo "No nvcc (CUDA toolkit 12.9 or newer) found: building for CPU ranks only." >&2
  preset=host
  dir=build/host
fi
[ -f "$dir/build.ninja" ] || cmake --preset "$preset" -B "$dir" --log-level=WARNING
NINJA_STATUS="[%f/%t %es] " ninja -C "$dir" -j "$jobs"
