#!/usr/bin/env bash
# Prints 1 where there are a GPU and CUDA 12.9 or newer to build for it; else nothing, and what is missing beside a GPU on stderr.
nvidia-smi -L >/dev/null 2>&1 || exit 0
version=$(nvcc --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\),.*/\1/p')
if [ -z "$version" ]; then
  echo "A GPU is here, but no nvcc on the PATH: building for CPU ranks. CUDA 12.9 or newer is needed; then make again." >&2
elif [ "$(printf '%s\n12.9\n' "$version" | sort -V | head -1)" != 12.9 ]; then
  echo "A GPU is here, but nvcc is of CUDA $version: building for CPU ranks. CUDA 12.9 or newer is needed; then make again." >&2
else
  echo 1
fi
