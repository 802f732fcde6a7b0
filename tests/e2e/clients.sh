#!/usr/bin/env bash
# clients.sh BUILD [PART...]: other people's clients, unmodified and at the versions below, on a real router with CPU ranks. Parts: openai,
# load_generators, side_by_side; all of them unless some are named. Each client lives in an environment of its own in BUILD/clients; a part
# whose clients cannot be had from PyPI is skipped, and said so. Fails where a part fails.
set -uo pipefail
build=$(realpath "$1")
shift
here=$(dirname "$(readlink -f "$0")")
declare -A version=([openai]=3.57.0 [aiperf]=0.13.0 [guidellm]=0.8.1) # guidellm takes 6 GB: it brings PyTorch
passed="" skipped="" failed=""

home_of() { echo "$build/clients/$1-${version[$1]}"; }

# Installed once; what pip says is kept beside.
install() {
  local home
  home=$(home_of "$1")
  [[ -e $home/installed ]] && return
  mkdir -p "$build/clients"
  { python3 -m venv "$home" && timeout 3600 "$home/bin/pip" install --quiet "$1==${version[$1]}"; } &> "$home.log" || return
  touch "$home/installed"
}

# part NAME "CLIENT..." COMMAND...
part() {
  local name=$1 client
  for client in $2; do
    install "$client" && continue
    echo "SKIPPED: $name: no $client ${version[$client]} from PyPI: $(tail -n 1 "$(home_of "$client").log")"
    skipped+=" $name"
    return
  done
  shift 2
  if "$@"; then passed+=" $name"; else failed+=" $name"; fi
}

openai() {
  part openai openai "$(home_of openai)/bin/python" "$here/openai_client.py" --bin-dir "$build/bin"
}

# with_generators NAME: the script of that name.
with_generators() {
  part "$1" "aiperf guidellm" python3 "$here/$1.py" --bin-dir "$build/bin" --aiperf "$(home_of aiperf)/bin/aiperf" \
    --guidellm "$(home_of guidellm)/bin/guidellm"
}
load_generators() { with_generators load_generators; }
side_by_side() { with_generators side_by_side; }

for one in "${@:-openai load_generators side_by_side}"; do
  for name in $one; do
    case $name in
      openai | load_generators | side_by_side) "$name" ;;
      *) echo "clients.sh: no part '$name'; there are openai, load_generators, side_by_side" >&2 && exit 2 ;;
    esac
  done
done
echo "passed:${passed:- none}; SKIPPED:${skipped:- none}; FAILED:${failed:- none}"
[[ -z $failed ]]
