// One arena, filled from its start each step; see step_inputs.h.
#include "worker/step_inputs.h"

#include "absl/strings/str_cat.h"
#include "common/check.h"

namespace regatta {
namespace {

constexpr size_t kAlignment = 16;
constexpr size_t kNumArrays = 7;

}  // namespace

absl::StatusOr<std::unique_ptr<StepInputs>> StepInputs::Create(const SlotLimits& limits, Ops& ops) {
  const size_t tokens = limits.max_num_tokens;
  const size_t slots = limits.num_slots;
  const size_t bytes = tokens * (2 * sizeof(int32_t) + sizeof(int64_t)) +
                       slots * (3 + limits.max_blocks_per_slot()) * sizeof(int32_t) +
                       sizeof(int32_t) + kNumArrays * kAlignment;
  std::unique_ptr<StepInputs> inputs(new StepInputs(ops));
  inputs->memory_ = ops.Allocate(bytes);
  if (inputs->memory_.data() == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat("no memory for ", bytes, " bytes of inputs"));
  }
  return inputs;
}

template <typename T>
const T* StepInputs::Copy(const std::vector<T>& values) {
  const size_t bytes = values.size() * sizeof(T);
  CHECK_LE(used_ + bytes, memory_.num_bytes());
  char* place = static_cast<char*>(memory_.data()) + used_;
  ops_.CopyToDevice(place, values.data(), bytes);
  used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return reinterpret_cast<const T*>(place);
}

ForwardInput StepInputs::Upload(const StepBatch& batch) {
  used_ = 0;
  ForwardInput input;
  input.token_ids = Copy(batch.token_ids);
  input.attention = {.num_tokens = batch.num_tokens(),
                     .num_sequences = batch.num_sequences(),
                     .max_query_length = batch.max_query_length,
                     .max_context_length = batch.max_context_length,
                     .positions = Copy(batch.positions),
                     .query_start = Copy(batch.query_start),
                     .context_length = Copy(batch.context_length),
                     .block_table = Copy(batch.block_table),
                     .block_table_stride = batch.block_table_stride,
                     .kv_slot = Copy(batch.kv_slot)};
  input.logit_rows = Copy(batch.sample_rows);
  input.num_logit_rows = static_cast<int>(batch.sample_rows.size());
  return input;
}

}  // namespace regatta
