// What a FormRequest must satisfy before anything is allocated for it.
#pragma once

#include "absl/status/status.h"
#include "common/model_spec.h"
#include "proto/worker.pb.h"
#include "worker/slot_table.h"

namespace regatta {

// INVALID_ARGUMENT names field, value and limit; or the layouts that fit.
absl::Status CheckFormRequest(const FormRequest& request, const ModelSpec& spec);

// The limits of a rank's slots, of a checked request.
SlotLimits SlotLimitsOf(const FormRequest& request, const ModelSpec& spec, uint32_t num_blocks);

}  // namespace regatta
