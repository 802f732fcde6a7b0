#!/usr/bin/env bash
# dist.sh JOBS: regatta-VERSION-ARCH.tar.xz with stripped programs whose third-party libraries are linked in, and the bundled models.
set -euo pipefail
jobs=$1
build=build/release
[ -f "$build/build.ninja" ] || cmake --preset release -DREGATTA_UNITY=ON --log-level=WARNING
NINJA_STATUS="[%f/%t %es] " ninja -C "$build" -j "$jobs"
version=$("$build/bin/regatta" --version | cut -d' ' -f1)
name=regatta-$version-$(uname -m)
stage=$build/$name
rm -rf "$stage"
mkdir -p "$stage/bin" "$stage/models"
for program in regatta regatta-router regatta-worker; do
  strip -o "$stage/bin/$program" "$build/bin/$program"
done
cp -r tests/models/regatta-* "$stage/models/"
tar -C "$build" -cJf "$name.tar.xz" "$name"
echo "$name.tar.xz: $(du -h "$name.tar.xz" | cut -f1)"
