// Sizing and allocating the KV cache; see kv_cache.h.
#include "worker/kv_cache.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace regatta {

uint64_t KvRoom::usable_bytes() const {
  const auto share = static_cast<uint64_t>(static_cast<double>(free_bytes) * fraction);
  return std::min(share, free_bytes - std::min(free_bytes, reserved_bytes));
}

uint64_t NumKvBlocks(const KvShape& shape, const KvRoom& room, uint64_t useful, uint64_t limit) {
  const uint64_t blocks = std::min(room.usable_bytes() / shape.BlockBytes(), useful);
  return limit == 0 ? blocks : std::min(blocks, limit);
}

double FractionThatLeaves(uint64_t cache_bytes, uint64_t missing_bytes, uint64_t free_bytes) {
  const double smaller = static_cast<double>(cache_bytes - std::min(cache_bytes, missing_bytes));
  return std::max(0.01, std::floor(100 * smaller / static_cast<double>(free_bytes)) / 100);
}

absl::StatusOr<KvCache> KvCache::Allocate(const KvShape& shape, uint64_t num_blocks, Ops& ops) {
  KvCache cache;
  const int64_t blocks = static_cast<int64_t>(num_blocks);
  const size_t bytes = shape.BlockBytes() / (uint64_t{2} * shape.num_layers) * num_blocks;
  const auto allocate = [&]() -> absl::StatusOr<Tensor> {
    cache.buffers_.push_back(ops.Allocate(bytes));
    void* memory = cache.buffers_.back().data();
    if (memory == nullptr) {
      return absl::ResourceExhaustedError(absl::StrCat("no memory for a KV cache of ", num_blocks,
                                                       " blocks, ", shape.BlockBytes() * num_blocks,
                                                       " bytes"));
    }
    return Tensor::Of(memory, shape.dtype, blocks, shape.block_size, shape.num_kv_heads,
                      shape.head_dim);
  };
  for (int layer = 0; layer < shape.num_layers; ++layer) {
    KvLayer kv;
    ASSIGN_OR_RETURN(kv.k, allocate());
    ASSIGN_OR_RETURN(kv.v, allocate());
    cache.layers_.push_back(kv);
  }
  return cache;
}

void KvCache::SetScales(int layer, float k_scale, float v_scale) {
  layers_[layer].k_scale = k_scale;
  layers_[layer].v_scale = v_scale;
}

absl::StatusOr<DType> ResolveKvDType(const std::string& name, DType activations,
                                     bool fp8_by_default) {
  if (name.empty() || name == "auto") return fp8_by_default ? DType::kFloat8E4M3 : activations;
  if (name == "fp8") return DType::kFloat8E4M3;
  for (DType known : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
    if (name == DTypeName(known)) return known;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "kv_cache_dtype ", name, " is not known; auto, float32, bfloat16, float16 and fp8 are"));
}

}  // namespace regatta
