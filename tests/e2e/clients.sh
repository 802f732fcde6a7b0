#!/usr/bin/env bash
# clients.sh BUILD: other people's clients, unmodified and at the versions below, on a real router with CPU ranks. Needs PyPI; without it
# all is skipped, and said so. Each lives in an environment of its own in BUILD/clients.
set -euo pipefail
build=$(realpath "$1")
here=$(dirname "$(readlink -f "$0")")
openai=3.57.0 aiperf=0.13.0 guidellm=0.8.1

# install NAME VERSION: once.
install() {
  local home=$build/clients/$1-$2
  [[ -e $home/installed ]] && return
  python3 -m venv "$home"
  "$home/bin/pip" install --quiet "$1==$2"
  touch "$home/installed"
}

curl --silent --fail --max-time 20 --output /dev/null https://pypi.org/simple/openai/ || {
  echo "SKIPPED: no PyPI from here, other people's clients are not tried"
  exit 0
}
install openai $openai
"$build/clients/openai-$openai/bin/python" "$here/openai_client.py" --bin-dir "$build/bin"
install aiperf $aiperf
install guidellm $guidellm # 6 GB: it brings PyTorch
python3 "$here/load_generators.py" --bin-dir "$build/bin" --aiperf "$build/clients/aiperf-$aiperf/bin/aiperf" \
  --guidellm "$build/clients/guidellm-$guidellm/bin/guidellm"
python3 "$here/side_by_side.py" --bin-dir "$build/bin" --aiperf "$build/clients/aiperf-$aiperf/bin/aiperf" \
  --guidellm "$build/clients/guidellm-$guidellm/bin/guidellm"
