#!/usr/bin/env bash
# build.sh PRESET DIR JOBS [TARGET ...]: configures once and compiles, with ninja's progress line.
set -euo pipefail
preset=$1 dir=$2 jobs=$3
shift 3
if [ "$preset" = cuda ] && ! command -v nvcc >/dev/null; then
  echo "CUDA=1 needs nvcc (CUDA toolkit 12.9 or newer) on the PATH; without CUDA=1 the build is for CPU ranks." >&2
  exit 1
fi
[ -f "$dir/build.ninja" ] || cmake --preset "$preset" -B "$dir" -DREGATTA_UNITY=ON --log-level=WARNING
NINJA_STATUS="[%f/%t %es] " ninja -C "$dir" -j "$jobs" "$@"
