#!/usr/bin/env bash
# Packs the programs and GPU tests into one archive for a machine with GPUs but without gRPC or Abseil.
#   tests/gpu/pack.sh [JOBS] -> build/gpu.tar.xz, unpacked there by the other scripts of this folder
# Third-party libraries are linked in; cuBLASLt, NCCL and the driver are that machine's. The large window of xz finds that the
# programs share most of them.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=build/release-cuda
programs=(regatta regatta-router regatta-worker)
tests=(cuda_ops_test cuda_ops_bench cuda_executor_test cuda_golden_test reference_logits peer_all_reduce_test nccl_group_test
  cuda_draw_test all_reduce_bench step_bench)
[ -f "$build/build.ninja" ] ||
  cmake --preset release -DREGATTA_CUDA=ON -DREGATTA_TESTS=ON -DREGATTA_UNITY=ON -B "$build" --log-level=WARNING
rm -f build/gpu.tar.xz  # never an old one after a failure
ninja -C "$build" -j "${1:-$(nproc)}" "${programs[@]}" "${tests[@]}"
stage=$(mktemp -d)
mkdir "$stage/bin"
for name in "${programs[@]}" "${tests[@]}"; do
  strip -o "$stage/bin/$name" "$(find "$build" -type f -name "$name" | head -1)"
done
tar -C "$stage" -c bin | xz --lzma2=preset=4,dict=256MiB >build/gpu.tar.xz
rm -rf "$stage"
du -h build/gpu.tar.xz
