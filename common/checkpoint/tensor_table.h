// Which tensors a model family stores, under which names, in which shapes, and how ranks share
// them. A family is rows of a table. Pure; reads nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/layout.h"
#include "common/model_spec.h"

namespace regatta {

// What a tensor is for. Gate, up and down are the three matrices of a gated MLP (Shazeer 2020).
enum class WeightRole {
  kEmbedding,
  kFinalNorm,
  kLmHead,
  kInputNorm,
  kPostAttentionNorm,
  kQ,
  kK,
  kV,
  kO,
  kQBias,
  kKBias,
  kVBias,
  kQNorm,
  kKNorm,
  kGate,
  kUp,
  kDown,
  kRouter,
  kExpertGate,
  kExpertUp,
  kExpertDown,
  kSharedGate,
  kSharedUp,
  kSharedDown,
  kSharedExpertGate,
};

// How the ranks of a stage share a tensor. Rows are output features: kRows is column parallelism in
// Megatron's words (Shoeybi et al. 2019), kColumns row parallelism.
enum class ShardRule {
  kReplicate,
  kRows,     // over attention tp: heads, MLP width, vocabulary
  kColumns,  // over attention tp; partial results are summed
  kKvRows,   // over attention tp by whole KV heads; with more ranks than heads, ranks repeat them
  kExpertRows,  // over expert tp
  kExpertColumns,
};

// One tensor of a checkpoint. Vectors have `columns` 1 and `is_vector`.
struct TensorInfo {
  WeightRole role = WeightRole::kEmbedding;
  std::string name;
  int64_t rows = 0;
  int64_t columns = 0;
  bool is_vector = false;
  ShardRule rule = ShardRule::kReplicate;
};

// A rectangle of a tensor.
struct Slice {
  int64_t first_row = 0;
  int64_t rows = 0;
  int64_t first_column = 0;
  int64_t columns = 0;
  int64_t num_elements() const { return rows * columns; }
};

// Whether a quantised model has the matrix in E4M3: all of a layer but routers and gates.
bool IsQuantizable(WeightRole role);

class TensorTable {
 public:
  explicit TensorTable(const ModelSpec& spec) : spec_(spec) {}

  // The tensor that plays `role`; with tied embeddings, kLmHead is the embedding whatever the
  // checkpoint holds besides. `layer` and `expert` (of the whole model) matter where the name has
  // them.
  TensorInfo Find(WeightRole role, int layer = 0, int expert = 0) const;

  // The part of `tensor` that `position` of `layout` holds.
  Slice SliceFor(const TensorInfo& tensor, const Layout& layout,
                 const RankPosition& position) const;

  // Everything that `position` of `layout` needs, in checkpoint order.
  std::vector<TensorInfo> NeededBy(const Layout& layout, const RankPosition& position) const;

 private:
  const ModelSpec spec_;
};

}  // namespace regatta
