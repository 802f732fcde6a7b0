// One rank's weights: its slices of a checkpoint (or of dummy weights), in the backend's form.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "common/layout.h"
#include "common/model_spec.h"
#include "kernels/ops.h"
#include "proto/types.pb.h"

namespace regatta {

// A small device tensor (norm, bias, embedding rows) with its memory.
struct DeviceTensor {
  Buffer buffer;
  Tensor tensor;  // empty when the model has none
};

struct ExpertWeights {
  std::unique_ptr<Weight> gate_up;  // [2F, D], gate rows first
  std::unique_ptr<Weight> down;     // [D, F]
};

struct LayerWeights {
  DeviceTensor input_norm;             // [D]
  std::unique_ptr<Weight> qkv;         // [(H + 2G) * K, D]: this rank's q heads, k heads, v heads
  DeviceTensor qkv_bias;               // [(H + 2G) * K]
  DeviceTensor q_norm, k_norm;         // [K]
  std::unique_ptr<Weight> o;           // [D, H * K]
  DeviceTensor post_attention_norm;    // [D]
  ExpertWeights mlp;                   // dense layers
  std::unique_ptr<Weight> router;      // MoE layers: [E, D]
  std::vector<ExpertWeights> experts;  // local ones, in id order
  ExpertWeights shared;
  std::unique_ptr<Weight> shared_gate;  // [1, D]
  float k_scale = 1, v_scale = 1;       // of a cache in E4M3
};

// Sizes of this rank's shard that the model code needs.
struct ShardShape {
  int num_heads = 0;     // H of this rank
  int num_kv_heads = 0;  // G of this rank; KV heads are replicated when tp exceeds their number
  int ffn_width = 0;     // F of this rank (dense MLP)
  int expert_width = 0;  // F of one expert on this rank
  int shared_width = 0;  // F of the shared expert on this rank
  int first_expert = 0;
  int num_local_experts = 0;
  int64_t first_vocab_row = 0;  // embedding and lm_head rows [first, first + rows)
  int64_t vocab_rows = 0;
};

// Pure: what `position` of `layout` holds of `spec`.
ShardShape ShapeOf(const ModelSpec& spec, const Layout& layout, const RankPosition& position);

struct ShardWeights {
  ShardShape shape;
  DType dtype = DType::kFloat32;     // of activations and small tensors
  bool quantized = false;            // some matrices are
  DeviceTensor embedding;            // [vocab_rows, D]; first stage
  std::vector<LayerWeights> layers;  // this stage's
  DeviceTensor final_norm;           // [D]; last stage
  std::unique_ptr<Weight> lm_head;   // [vocab_rows, D]; last stage
  uint64_t num_bytes = 0;
};

// Loads from source.path, or makes dummy weights, which are a function of (seed, tensor name,
// global index) so that every layout holds the same model. Reads only this rank's slices (mmap),
// converting to source.dtype as resolved for `ops`, or keeping and making E4M3 as
// ResolveQuantization says; scales made here are of a rank's own columns. Everything that this rank
// needs is looked up before the first byte is read, and in device memory on return. Holds one
// prepared matrix besides the weights, in device memory for dummy weights. `progress` gets 0..1.
// Errors name tensor, shape and file: NOT_FOUND (missing shards or tensors), INVALID_ARGUMENT
// (broken file, wrong shape or scale, layout, quantisation), UNIMPLEMENTED (dtype),
// RESOURCE_EXHAUSTED.
absl::StatusOr<ShardWeights> LoadWeights(const ModelSource& source, const ModelSpec& checkpoint,
                                         const Layout& layout, const RankPosition& position,
                                         Ops& ops, const std::function<void(double)>& progress);

// The dtype of activations and small tensors that `dtype` (of ModelSource) asks for. "auto", or
// nothing, is the checkpoint's dtype on GPUs and float32 on CPU ranks. `device_kind` is "cpu" or
// "cuda". INVALID_ARGUMENT names the known ones.
absl::StatusOr<DType> ResolveDType(const std::string& dtype, const ModelSpec& spec,
                                   const std::string& device_kind);

}  // namespace regatta
