// Sampling parameters from the wire: checked, and turned into what the operations take.
#pragma once

#include "absl/status/statusor.h"
#include "kernels/ops.h"
#include "proto/types.pb.h"

namespace regatta {

// True when a sequence's tokens must be counted.
bool HasPenalties(const SamplingParams& params);

// INVALID_ARGUMENT names the field, its value and the limit. The row has no row of the sample pool
// and no suppressed ids yet.
absl::StatusOr<SampleRow> ToSampleRow(const SamplingParams& params, uint32_t vocab_size);

}  // namespace regatta
