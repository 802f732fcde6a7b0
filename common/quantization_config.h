// The quantisation schemes of published checkpoints, as their configuration files spell them.
#pragma once

#include "absl/status/statusor.h"
#include "common/json_fields.h"
#include "common/quantization.h"

namespace regatta {

// Reads `quantization_config` (or `compression_config`) of config.json, whose quant_method is
// - "modelopt" (NVIDIA ModelOpt): quant_algo FP8;
// - "compressed-tensors": one group of float-quantized weights per tensor, channel or block;
// - "fp8": weight_block_size [128, 128], or one scale per matrix.
// Lists of excluded modules are not kept: the checkpoint itself says by a matrix's dtype whether it
// is quantised. UNIMPLEMENTED names any other scheme and those that are known, INVALID_ARGUMENT the
// field, its value and what was expected.
absl::StatusOr<QuantizationSpec> ParseQuantizationConfig(const Json& config);

// The same from the text of ModelOpt's own file, hf_quant_config.json.
absl::StatusOr<QuantizationSpec> ParseModelOptConfig(const std::string& text);

}  // namespace regatta
