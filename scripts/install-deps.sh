#!/usr/bin/env bash
# Installs the build's packages on Debian 12 and Ubuntu 24.04, only those that are missing.
# Prints the list and asks before it uses sudo; YES=1 or root skips the question. Never installs a GPU driver or CUDA toolkit.
set -euo pipefail

packages=(
  build-essential cmake ninja-build ccache mold pkg-config git python3 curl
  libgrpc++-dev libgrpc-dev protobuf-compiler protobuf-compiler-grpc libprotobuf-dev libabsl-dev libc-ares-dev libre2-dev
  zlib1g-dev libssl-dev nlohmann-json3-dev libyaml-cpp-dev libcli11-dev libpcre2-dev libicu-dev libopenblas-dev
  libboost-dev prometheus-cpp-dev libsentencepiece-dev libsqlite3-dev libjs-chart.js
  libgtest-dev libgmock-dev libbenchmark-dev
)
# Extra packages by name, for CI: scripts/install-deps.sh clang-tidy ...
packages+=("$@")

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi

if ! command -v apt-get >/dev/null; then
  echo "Missing: ${missing[*]}" >&2
  echo "This script knows Debian 12 and Ubuntu 24.04 only; install the like of these packages and run again." >&2
  exit 1
fi
command="apt-get install -y --no-install-recommends ${missing[*]}"
echo "Packages to install: ${missing[*]}"
if [ "$(id -u)" -eq 0 ]; then
  sudo=""
elif command -v sudo >/dev/null; then
  sudo="sudo"
  if [ "${YES:-0}" != 1 ]; then
    if [ ! -t 0 ]; then
      echo "No terminal to ask on. Run: sudo $command   (or YES=1 make ...)" >&2
      exit 1
    fi
    read -r -p "Install them with sudo apt-get? [y/N] " answer
    case "$answer" in [yY]*) ;; *) echo "Not installed. Run: sudo $command" >&2; exit 1 ;; esac
  fi
else
  echo "Neither root nor sudo. Ask an administrator to run: $command" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
$sudo $command >/dev/null
echo "Installed."
