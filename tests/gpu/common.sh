# Sourced by the scripts of this folder: where programs and CUDA's libraries are, where logs go.
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
OUT=${OUT:-build/gpu-logs}
mkdir -p "$OUT"
if [ -f build/gpu.tar.xz ]; then
  mkdir -p build/gpu && tar -C build/gpu -xJf build/gpu.tar.xz
fi
BIN=${BIN:-build/gpu/bin}

# cuBLASLt, NCCL and CUPTI: the toolkit's, or those that Python packages carry.
for library in libcublasLt.so.13 libnccl.so.2 libcupti.so.13; do
  found=$(find /usr/local/cuda*/ /opt /usr/lib -name "$library" 2>/dev/null | head -1)
  LD_LIBRARY_PATH=${found:+$(dirname "$found"):}${LD_LIBRARY_PATH:-}
done
export LD_LIBRARY_PATH NCCL_NVLS_ENABLE=0

# stage NAME SECONDS COMMAND...: runs it with its output in $OUT/NAME.log, says how it ended.
stage() {
  local name=$1 limit=$2 start=$SECONDS code=0
  shift 2
  timeout --kill-after=10 "$limit" "$@" >"$OUT/$name.log" 2>&1 || code=$?
  echo "== $name: exit $code after $((SECONDS - start)) s"
  return $code
}

# All logs in one file, and nothing else: few files may come back.
save_logs() {
  tar -C "$OUT" -czf "$OUT.tar.gz" --exclude='*.jsonl' --exclude='*.html' . && rm -rf "${OUT:?}"/* && mv "$OUT.tar.gz" "$OUT/logs.tar.gz"
}

# text_shape SHAPE: a directory with the shape's configuration and the bundled model's tokenizer, as text is served only where there is one.
text_shape() {
  local model
  model=$(mktemp -d)/$1
  mkdir -p "$model"
  cp "tests/testing/configs/$1"/*.json "$model"
  cp tests/models/regatta-dense/tokenizer*.json tests/models/regatta-dense/special_tokens_map.json "$model"
  echo "$model"
}
