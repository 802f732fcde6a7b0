// One step's arrays behind one another, moved in one copy; see step_inputs.h.
#include "worker/step_inputs.h"

#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

constexpr size_t kArrayAlignment = 16;
constexpr size_t kNumArrays = 10;

absl::StatusOr<Buffer> Allocated(Buffer buffer, size_t num_bytes) {
  if (buffer.data() != nullptr) return buffer;
  return absl::ResourceExhaustedError(
      absl::StrCat("no memory for ", num_bytes, " bytes of inputs"));
}

// Appends arrays to staging memory and tells where each will be on the device.
class Packer {
 public:
  Packer(const Buffer& staging, const Buffer& device) : staging_(staging), device_(device) {}

  template <typename T>
  const T* Add(const std::vector<T>& values) {
    const size_t bytes = values.size() * sizeof(T);
    CHECK_LE(used_ + bytes, staging_.num_bytes());
    if (bytes > 0) std::memcpy(static_cast<char*>(staging_.data()) + used_, values.data(), bytes);
    const auto* place = reinterpret_cast<const T*>(static_cast<char*>(device_.data()) + used_);
    used_ += (bytes + kArrayAlignment - 1) / kArrayAlignment * kArrayAlignment;
    return place;
  }
  size_t used() const { return used_; }

 private:
  const Buffer& staging_;
  const Buffer& device_;
  size_t used_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<StepInputs>> StepInputs::Create(const SlotLimits& limits, Ops& ops) {
  const size_t tokens = limits.max_num_tokens;
  const size_t slots = limits.num_slots;
  const size_t bytes = tokens * (2 * sizeof(int32_t) + sizeof(int64_t)) +
                       slots * (6 + limits.max_blocks_per_slot()) * sizeof(int32_t) +
                       sizeof(int32_t) + kNumArrays * kArrayAlignment;
  std::unique_ptr<StepInputs> inputs(new StepInputs(ops));
  ASSIGN_OR_RETURN(inputs->memory_, Allocated(ops.Allocate(bytes), bytes));
  ASSIGN_OR_RETURN(inputs->drawn_,
                   Allocated(ops.Allocate(slots * sizeof(int32_t)), slots * sizeof(int32_t)));
  return inputs;
}

absl::StatusOr<Buffer> StepInputs::MakeStaging() const {
  return Allocated(ops_.AllocateHost(memory_.num_bytes()), memory_.num_bytes());
}

ForwardInput StepInputs::Upload(const StepBatch& batch, const Buffer& staging) {
  Packer packer(staging, memory_);
  ForwardInput input;
  input.token_ids = packer.Add(batch.token_ids);
  input.drawn = drawn();
  input.attention = {.num_tokens = batch.num_tokens(),
                     .num_sequences = batch.num_sequences(),
                     .max_query_length = batch.max_query_length,
                     .max_context_length = batch.max_context_length,
                     .positions = packer.Add(batch.positions),
                     .query_start = packer.Add(batch.query_start),
                     .context_length = packer.Add(batch.context_length)};
  input.attention.kv_slot = packer.Add(batch.kv_slot);
  input.attention.block_start = packer.Add(batch.block_start);
  input.attention.prompts = packer.Add(batch.prompts);
  input.attention.num_prompts = static_cast<int>(batch.prompts.size());
  input.logit_rows = packer.Add(batch.sample_rows);
  input.num_logit_rows = static_cast<int>(batch.sample_rows.size());
  input.sample_slots = packer.Add(batch.sample_slots);
  input.attention.block_table = packer.Add(batch.block_table);  // last: of any length
  ops_.CopyToDevice(memory_.data(), staging.data(), packer.used());
  return input;
}

}  // namespace regatta
