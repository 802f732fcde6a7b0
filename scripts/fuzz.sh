#!/usr/bin/env bash
# fuzz.sh DIR SECONDS [TARGET ...]: fuzzes for SECONDS in all, divided over the targets, with a line of progress each.
# What is found new in coverage stays in DIR/corpus, what fails in DIR/failures; `fuzz.sh` ends with 1 when there is any.
set -euo pipefail
dir=$1 seconds=$2
shift 2
source=$(cd "$(dirname "$0")/../tests/fuzz" && pwd)
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  for program in "$dir"/fuzz/*_fuzz; do targets+=("$(basename "$program" _fuzz)"); done
fi
each=$((seconds / ${#targets[@]}))
[ "$each" -gt 0 ] || { echo "$seconds seconds are too few for ${#targets[@]} targets" >&2; exit 1; }

export ASAN_OPTIONS=allocator_may_return_null=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1
failed=0
for target in "${targets[@]}"; do
  found="$dir/corpus/$target" failures="$dir/failures/$target/" log="$dir/fuzz/$target.log"
  mkdir -p "$found" "$failures"
  dictionary=()
  [ ! -f "$source/$target.dict" ] || dictionary=("-dict=$source/$target.dict")
  status=0
  "$dir/fuzz/${target}_fuzz" -max_total_time="$each" -max_len=4096 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$failures" "${dictionary[@]}" "$found" "$source/corpus/$target" >"$log" 2>&1 || status=$?
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  coverage=$(sed -nE 's/.* cov: ([0-9]+) .*/\1/p' "$log" | tail -n 1)
  printf '%-16s %9s executions in %3d s, %6s edges: %s\n' "$target" "${runs:-?}" "$each" "${coverage:-?}" \
    "$([ "$status" -eq 0 ] && echo passed || echo "FAILED, input in $failures")"
  if [ "$status" -ne 0 ]; then
    failed=1
    grep -E -A 12 'CHECK failed|ERROR: |runtime error' "$log" | head -n 30 || tail -n 30 "$log"
  fi
done
exit $failed
