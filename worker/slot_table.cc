// Checking plans against slots; see slot_table.h. Sums of columns are taken in 64 bits: a plan may
// hold anything.
#include "worker/slot_table.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "worker/sampling_check.h"

namespace regatta {
namespace {

constexpr uint32_t kKnownFlags =
    STEP_FLAG_SAMPLE | STEP_FLAG_INLINE_TOKENS | STEP_FLAG_LOGITS_ALL | STEP_FLAG_AWAITS_MASK;

template <typename... Parts>
absl::Status Malformed(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

template <typename... Parts>
absl::Status Disagrees(const Parts&... parts) {
  return absl::FailedPreconditionError(absl::StrCat(parts...));
}

template <typename Column>
uint64_t Sum(const Column& column) {
  return std::accumulate(column.begin(), column.end(), uint64_t{0});
}

}  // namespace

SlotTable::SlotTable(const SlotLimits& limits)
    : limits_(limits), slots_(limits.num_slots), scheduled_in_(limits.num_slots, 0) {
  CHECK_GT(limits.block_size, 0u);
  for (Slot& slot : slots_) slot.blocks.reserve(limits.max_blocks_per_slot());
  for (int row = static_cast<int>(limits.sampling_rows) - 1; row >= 0; --row) {
    free_rows_.push_back(row);
  }
}

absl::Status SlotTable::Apply(const StepPlan& plan) {
  if (plan.step_id() != last_step_ + 1) {
    return Disagrees("step ", plan.step_id(), " follows step ", last_step_);
  }
  RETURN_IF_ERROR(CheckColumns(plan));
  RETURN_IF_ERROR(CheckAwaiting(plan));
  RETURN_IF_ERROR(CheckTokens(plan));
  last_step_ = plan.step_id();
  for (uint32_t index : plan.released_slots()) RETURN_IF_ERROR(Release(index));
  for (const Admission& admission : plan.admissions()) RETURN_IF_ERROR(Admit(admission));
  int first_block = 0;
  for (int entry = 0; entry < plan.slot_size(); ++entry) {
    const uint32_t index = plan.slot(entry);
    if (index >= limits_.num_slots) {
      return Malformed("slot ", index, " of ", limits_.num_slots);
    }
    if (std::exchange(scheduled_in_[index], plan.step_id()) == plan.step_id()) {
      return Malformed("slot ", index, " is twice in step ", plan.step_id());
    }
    Slot& slot = slots_[index];
    RETURN_IF_ERROR(AppendBlocks(plan, entry, first_block, slot));
    RETURN_IF_ERROR(CheckEntry(plan, entry, slot));
    first_block += static_cast<int>(plan.new_block_count(entry));
  }
  return absl::OkStatus();
}

absl::Status SlotTable::CheckColumns(const StepPlan& plan) const {
  const int entries = plan.slot_size();
  for (auto [column, size] : {std::pair("start", plan.start_size()),
                              {"count", plan.count_size()},
                              {"flags", plan.flags_size()},
                              {"new_block_count", plan.new_block_count_size()}}) {
    if (size != entries) return Malformed(entries, " slots, but ", size, " of ", column);
  }
  if (static_cast<uint32_t>(entries) > limits_.num_slots) {
    return Malformed(entries, " entries exceed max_batch_size ", limits_.num_slots);
  }
  const uint64_t tokens = Sum(plan.count());
  if (tokens > limits_.max_num_tokens) {
    return Malformed(tokens, " tokens exceed max_num_tokens ", limits_.max_num_tokens);
  }
  if (const uint64_t blocks = Sum(plan.new_block_count());
      blocks != static_cast<uint64_t>(plan.new_blocks_size())) {
    return Malformed("new_block_count sums to ", blocks, ", but there are ", plan.new_blocks_size(),
                     " new_blocks");
  }
  return absl::OkStatus();
}

absl::Status SlotTable::CheckAwaiting(const StepPlan& plan) const {
  uint32_t awaiting = 0;
  for (int entry = 0; entry < plan.slot_size(); ++entry) awaiting += AwaitsMask(plan, entry);
  if (awaiting <= limits_.sampling_rows) return absl::OkStatus();
  return Malformed(awaiting, " entries await masks; sampling_rows is ", limits_.sampling_rows);
}

absl::Status SlotTable::CheckTokens(const StepPlan& plan) const {
  uint64_t given = 0;
  for (int entry = 0; entry < plan.slot_size(); ++entry) {
    if (HasInlineTokens(plan, entry)) given += plan.count(entry) + HasFollowingToken(plan, entry);
  }
  if (given != static_cast<uint64_t>(plan.tokens_size())) {
    return Malformed("entries with inline tokens count ", given, ", but there are ",
                     plan.tokens_size(), " tokens");
  }
  for (uint32_t token : plan.tokens()) {
    if (token >= limits_.vocab_size) {
      return Malformed("token ", token, " is outside the vocabulary of ", limits_.vocab_size);
    }
  }
  return absl::OkStatus();
}

absl::Status SlotTable::Release(uint32_t index) {
  if (index >= limits_.num_slots) {
    return Malformed("released slot ", index, " of ", limits_.num_slots);
  }
  Slot& slot = slots_[index];
  if (!slot.in_use) return Disagrees("slot ", index, " is released but holds no sequence");
  if (slot.row >= 0) free_rows_.push_back(std::exchange(slot.row, -1));
  slot.in_use = false;
  return absl::OkStatus();
}

absl::Status SlotTable::Admit(const Admission& admission) {
  const uint32_t index = admission.slot();
  if (index >= limits_.num_slots) {
    return Malformed("admission to slot ", index, " of ", limits_.num_slots);
  }
  Slot& slot = slots_[index];
  if (slot.in_use) return Disagrees("admission to slot ", index, ", which holds a sequence");
  const uint64_t length = uint64_t{admission.prompt_length()} + admission.output_length();
  if (admission.prompt_length() == 0 || length > limits_.max_seq_len) {
    return Malformed("slot ", index, ": prompt of ", admission.prompt_length(), " and output of ",
                     admission.output_length(), " tokens; 1 to max_seq_len ", limits_.max_seq_len);
  }
  auto sampling = ToSampleRow(admission.sampling(), limits_.vocab_size);
  if (!sampling.ok()) return Malformed("slot ", index, ": ", sampling.status().message());
  slot.in_use = true;
  slot.started = false;
  slot.position = 0;
  slot.length = static_cast<uint32_t>(length);
  slot.min_tokens = admission.sampling().min_tokens();
  const auto& suppressed = admission.sampling().suppressed_until_min_tokens();
  slot.suppressed.assign(suppressed.begin(), suppressed.end());
  slot.sampling = *sampling;
  slot.sampling.output_index = admission.output_length();
  slot.sampling.random_next = limits_.random_next_ids;
  if (limits_.random_next_ids) slot.sampling.seed += index;  // sequences must differ
  slot.blocks.clear();
  slot.drawn_in_step = 0;
  RETURN_IF_ERROR(CheckPenaltyTokens(admission, slot));
  return TakeRow(admission, slot);
}

absl::Status SlotTable::CheckPenaltyTokens(const Admission& admission, const Slot& slot) const {
  const uint32_t expected = HasPenalties(admission.sampling()) ? slot.length : 0;
  if (static_cast<uint32_t>(admission.penalty_tokens_size()) != expected) {
    return Malformed("slot ", admission.slot(), ": ", admission.penalty_tokens_size(),
                     " penalty_tokens where ", expected, " are due");
  }
  for (uint32_t token : admission.penalty_tokens()) {
    if (token >= limits_.vocab_size) {
      return Malformed("slot ", admission.slot(), ": penalty token ", token,
                       " is outside the vocabulary of ", limits_.vocab_size);
    }
  }
  return absl::OkStatus();
}

absl::Status SlotTable::TakeRow(const Admission& admission, Slot& slot) {
  const bool penalties = HasPenalties(admission.sampling());
  const bool biases = slot.sampling.num_bias > 0;
  if (!penalties && !biases) return absl::OkStatus();
  if (free_rows_.empty()) {
    return Disagrees("slot ", admission.slot(), " has penalties or biases, but all ",
                     limits_.sampling_rows, " sampling rows are taken");
  }
  slot.row = free_rows_.back();
  free_rows_.pop_back();
  slot.sampling.penalty_row = penalties ? slot.row : -1;
  slot.sampling.bias_row = biases ? slot.row : -1;
  return absl::OkStatus();
}

absl::Status SlotTable::AppendBlocks(const StepPlan& plan, int entry, int first_block,
                                     Slot& slot) const {
  const uint32_t count = plan.new_block_count(entry);
  if (slot.blocks.size() + count > limits_.max_blocks_per_slot()) {
    return Malformed("slot ", plan.slot(entry), ": ", slot.blocks.size() + count,
                     " blocks exceed the ", limits_.max_blocks_per_slot(), " of max_seq_len");
  }
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t block = plan.new_blocks(first_block + static_cast<int>(i));
    if (block >= limits_.num_blocks) {
      return Malformed("slot ", plan.slot(entry), ": block ", block, " of ", limits_.num_blocks);
    }
    slot.blocks.push_back(static_cast<int32_t>(block));
  }
  return absl::OkStatus();
}

absl::Status SlotTable::CheckEntry(const StepPlan& plan, int entry, Slot& slot) const {
  const uint32_t index = plan.slot(entry);
  const uint32_t start = plan.start(entry);
  const uint32_t count = plan.count(entry);
  const uint32_t flags = plan.flags(entry);
  const uint64_t end = uint64_t{start} + count;
  if (!slot.in_use) return Disagrees("slot ", index, " is scheduled but holds no sequence");
  if ((flags & ~kKnownFlags) != 0) return Malformed("slot ", index, ": unknown flags ", flags);
  if (count == 0) return Malformed("slot ", index, ": no tokens");
  if (!slot.started) {
    // A hit in the prefix cache covers whole blocks, which this sequence must not write to.
    if (start % limits_.block_size != 0) {
      return Malformed("slot ", index, ": first start ", start, " is no multiple of block size ",
                       limits_.block_size);
    }
    slot.started = true;
    slot.position = start;
  }
  if (start != slot.position) {
    return Disagrees("slot ", index, ": start ", start, ", but its position is ", slot.position);
  }
  if (end > limits_.max_seq_len) {
    return Malformed("slot ", index, ": tokens up to ", end, " exceed max_seq_len ",
                     limits_.max_seq_len);
  }
  if (end > slot.length) {
    return Disagrees("slot ", index, ": tokens up to ", end, ", but the sequence has ",
                     slot.length);
  }
  if (end > slot.blocks.size() * uint64_t{limits_.block_size}) {
    return Disagrees("slot ", index, ": tokens up to ", end, ", but ", slot.blocks.size(),
                     " blocks of ", limits_.block_size);
  }
  if (!HasInlineTokens(plan, entry) && (count != 1 || slot.drawn_in_step == 0)) {
    return Disagrees("slot ", index, ": ", count, " tokens from ", start,
                     " that were neither given nor drawn here");
  }
  if (!SamplesAt(plan, entry)) {
    if (AwaitsMask(plan, entry)) return Malformed("slot ", index, ": a mask, but no draw");
    if (!WantsAllLogits(plan, entry) || end < slot.length) return absl::OkStatus();
    return Disagrees("slot ", index, ": a token behind ", end, " of ", slot.length, " tokens");
  }
  if (end != slot.length) {
    return Disagrees("slot ", index, ": samples at ", end, " of ", slot.length, " tokens");
  }
  return absl::OkStatus();
}

void SlotTable::Advance(const StepPlan& plan) {
  for (int entry = 0; entry < plan.slot_size(); ++entry) {
    Slot& slot = slots_[plan.slot(entry)];
    slot.position += plan.count(entry);
    if (!SamplesAt(plan, entry)) continue;
    ++slot.length;
    ++slot.sampling.output_index;
    slot.drawn_in_step = plan.step_id();
  }
}

}  // namespace regatta
