#!/usr/bin/env bash
# bench.sh BUILD: runs every Google Benchmark binary of the build; writes JSON next to it under results/bench/.
set -euo pipefail
build=$1
out=results/bench/$(date -u +%Y%m%dT%H%M%SZ)
mkdir -p "$out"
for program in "$build"/bench/*_bench; do
  name=$(basename "$program")
  echo "== $name"
  "$program" --benchmark_out="$out/$name.json" --benchmark_out_format=json --benchmark_counters_tabular=true
done
echo "JSON in $out"
