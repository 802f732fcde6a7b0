// Memory that operations of the CPU backend use between calls, sized by Reserve; nothing here grows
// in a step.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/cpu/gemm.h"

namespace regatta {

// Limits of one attention work item; sizes of the arrays in AttentionScratch.
inline constexpr int kMaxHeadDim = 256;
inline constexpr int kAttentionRows = 64;  // (query, head) pairs of one item
inline constexpr int kAttentionKeys = 64;  // keys of one block

struct alignas(64) AttentionScratch {
  float query[kAttentionRows * kMaxHeadDim];  // scaled
  float keys[kMaxHeadDim * kAttentionKeys];   // transposed
  float values[kAttentionKeys * kMaxHeadDim];
  float scores[kAttentionRows * kAttentionKeys];
  float out[kAttentionRows * kMaxHeadDim];
  float max[kAttentionRows];
  float sum[kAttentionRows];
};

// Tokens grouped by local expert: row r belongs to token[r]; expert e has rows [start[e], start[e +
// 1]).
struct ExpertScratch {
  std::vector<int32_t> start;  // [num_local + 1]
  std::vector<int32_t> token;  // [pairs]
  std::vector<float> weight;   // [pairs]
  std::vector<int32_t>
      token_start;  // [T + 1]; rows of token t are token_rows[token_start[t] ...], by rising expert
  std::vector<int32_t> token_rows;  // [pairs]
  std::vector<int32_t> cursor;
  std::vector<float> input;    // [pairs, D]; then the experts' outputs
  std::vector<float> gate_up;  // [pairs, 2F]
  std::vector<Product> products;
};

struct SampleScratch {
  std::vector<float> logits;   // [V]
  std::vector<float> weights;  // [V]
  std::vector<uint32_t> ids;   // [V]
};

struct Scratch {
  std::vector<float> widened;                                // [T, largest in_features]
  std::vector<std::unique_ptr<AttentionScratch>> attention;  // per thread
  std::vector<int64_t> attention_start;  // [S + 1] first work item of each sequence
  ExpertScratch experts;
  std::vector<SampleScratch> sample;  // per thread
};

}  // namespace regatta
