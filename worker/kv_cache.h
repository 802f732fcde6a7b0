// The paged KV cache of one rank: how many blocks fit, and their memory. Which block holds what is
// the router's business.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/ops.h"

namespace regatta {

// Shape of one rank's cache.
struct KvShape {
  int num_layers = 0;    // of this stage
  int block_size = 0;    // tokens
  int num_kv_heads = 0;  // of this rank
  int head_dim = 0;
  DType dtype = DType::kFloat32;

  // Keys and values of one block over this rank's layers.
  uint64_t BlockBytes() const {
    return uint64_t{2} * num_layers * block_size * num_kv_heads * head_dim * SizeOf(dtype);
  }
};

// Memory that a cache may take: `fraction` of what is free, but never what is reserved for others.
struct KvRoom {
  uint64_t free_bytes = 0;
  double fraction = 0;
  uint64_t reserved_bytes = 0;

  uint64_t usable_bytes() const;
};

// Blocks to allocate: what `room` holds, but no more than `useful` (every slot at its longest) and
// `limit` (0 = none).
uint64_t NumKvBlocks(const KvShape& shape, const KvRoom& room, uint64_t useful, uint64_t limit);

// The largest fraction, in hundredths, with which a cache of `cache_bytes` would leave
// `missing_bytes` more of `free_bytes`; at least 0.01.
double FractionThatLeaves(uint64_t cache_bytes, uint64_t missing_bytes, uint64_t free_bytes);

class KvCache {
 public:
  // RESOURCE_EXHAUSTED when memory is. Pages of host memory are taken when first written.
  static absl::StatusOr<KvCache> Allocate(const KvShape& shape, uint64_t num_blocks, Ops& ops);
  // What a layer's keys and values are divided by on their way into a cache of E4M3; 1 until set.
  void SetScales(int layer, float k_scale, float v_scale);
  // One per layer of this stage.
  const std::vector<KvLayer>& layers() const { return layers_; }

 private:
  std::vector<Buffer> buffers_;
  std::vector<KvLayer> layers_;
};

// "auto" and "" are E4M3 when the checkpoint is calibrated for it (`fp8_by_default`), else
// `activations`; otherwise float32, bfloat16, float16 or fp8 (E4M3).
absl::StatusOr<DType> ResolveKvDType(const std::string& name, DType activations,
                                     bool fp8_by_default);

}  // namespace regatta
