// How the matrices of a model are quantised, as plain data. Numbers are E4M3 (OCP 8-bit floating
// point, Micikevicius et al. 2022); a matrix is its numbers times its scales. Embedding, head,
// norms, biases, routers and gates stay in the model's dtype.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace regatta {

// Which numbers share a scale. The first value is for matrices in the model's dtype.
enum class QuantizationScheme {
  kNone,
  kTensor,   // one scale per matrix, and one constant scale for its input
  kChannel,  // a scale per output feature; inputs are scaled per token as they come
  kBlock,    // a scale per block of 128 x 128; inputs are scaled per token and 128 features
};

// Rows and columns of a block, and features of an input that share a scale.
inline constexpr int64_t kScaleBlock = 128;

struct QuantizationSpec {
  QuantizationScheme scheme = QuantizationScheme::kNone;
  bool online = false;     // the checkpoint is plain: scales are made when it is loaded
  bool kv_cache = false;   // the checkpoint asks for keys and values in E4M3
  std::string scale_name;  // of a matrix's scales beside its "weight"

  bool enabled() const { return scheme != QuantizationScheme::kNone; }
};

// The scheme that a model runs with when --quantization says `name` and its checkpoint says
// `checkpoint`. Nothing, or "auto", is the checkpoint's. "fp8" quantises a plain checkpoint as it
// is loaded (kChannel); "fp8_static" (kTensor) needs calibrated scales, so only a checkpoint or
// dummy weights have it. INVALID_ARGUMENT names the known ones.
absl::StatusOr<QuantizationSpec> ResolveQuantization(absl::string_view name, bool dummy_weights,
                                                     const QuantizationSpec& checkpoint);

// "" for a plain model, else what a report says: "fp8 per tensor", "fp8 per channel (online)", ...
std::string QuantizationName(const QuantizationSpec& spec);

}  // namespace regatta
