// Plan in, result out; whatever a plan gets wrong is refused by name. See fake_worker.h.
#include "tests/sim/fake_worker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tests/sim/fake_model.h"

namespace regatta::sim {
namespace {

template <typename... Parts>
absl::Status Refuse(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

}  // namespace

FakeWorker::FakeWorker(const SchedulerOptions& options)
    : limits_(options.limits),
      block_size_(options.block_size),
      sampling_rows_(options.sampling_rows),
      slots_(options.limits.max_batch_size()),
      block_users_(options.num_blocks),
      kv_(size_t{options.num_blocks} * options.block_size, 0xDEAD) {}

absl::Status FakeWorker::Run(const StepPlan& plan, const SampleInput& masks, StepResult& result) {
  if (plan.step_id() != ++last_step_)
    return Refuse("step ", plan.step_id(), " after ", last_step_ - 1);
  for (const uint32_t slot : plan.released_slots()) RETURN_IF_ERROR(Release(slot));
  for (const Admission& admission : plan.admissions()) RETURN_IF_ERROR(Admit(admission));
  RETURN_IF_ERROR(CheckColumns(plan));
  RETURN_IF_ERROR(CheckMasks(plan, masks));
  result.set_step_id(plan.step_id());
  int next_block = 0;
  // All tables grow before anything is computed.
  for (int i = 0; i < plan.slot_size(); ++i) RETURN_IF_ERROR(AppendBlocks(plan, i, next_block));
  if (next_block != plan.new_blocks_size()) return Refuse("blocks left over");
  Cursor cursor{plan, std::vector<uint32_t>(masks.masks().size() / sizeof(uint32_t))};
  std::copy(masks.masks().begin(), masks.masks().end(),
            reinterpret_cast<char*>(cursor.masks.data()));
  for (int i = 0; i < plan.slot_size(); ++i) {
    const Entry entry{plan.slot(i), plan.start(i), plan.count(i), plan.flags(i)};
    RETURN_IF_ERROR(CheckEntry(entry));
    RETURN_IF_ERROR(RunEntry(entry, cursor, result));
  }
  if (cursor.token != plan.tokens_size()) return Refuse("tokens left over");
  return absl::OkStatus();
}

absl::Status FakeWorker::RunEntry(const Entry& entry, Cursor& cursor, StepResult& result) {
  const StepPlan& plan = cursor.plan;
  SlotState& slot = slots_[entry.slot];
  const bool scores = entry.flags & STEP_FLAG_LOGITS_ALL;
  const uint32_t num_top = slot.sampling.top_logprobs();
  Logprobs logprobs;
  for (uint32_t j = 0; j < entry.count; ++j) {
    if (entry.given() && cursor.token == plan.tokens_size()) return Refuse("tokens missing");
    RETURN_IF_ERROR(Compute(slot, entry.given() ? plan.tokens(cursor.token++) : slot.last_token));
    if (!scores || (entry.draws() && j + 1 == entry.count)) continue;
    if (cursor.token == plan.tokens_size()) return Refuse("the token behind a chunk is missing");
    const uint32_t next = plan.tokens(cursor.token);
    logprobs.add_prompt(GivenLogprob(Kv(slot, slot.position - 1), next));
    for (uint32_t rank = 0; rank < num_top; ++rank) {
      logprobs.add_prompt_top_token(TopToken(next, rank));
      logprobs.add_prompt_top_logprob(TopLogprob(next, rank));
    }
  }
  if (scores && !entry.draws()) ++cursor.token;
  const bool reports = slot.sampling.logprobs() || num_top > 0;
  if (entry.draws()) {
    absl::Span<const uint32_t> mask;
    if (entry.flags & STEP_FLAG_AWAITS_MASK) {
      mask = absl::MakeSpan(cursor.masks).subspan(cursor.mask_word, kMaskWords);
      cursor.mask_word += kMaskWords;
    }
    const uint32_t token = Sample(slot, mask);
    result.add_slot(entry.slot);
    result.add_token(token);
    if (reports) logprobs.set_sampled(SampledLogprob(token));
    for (uint32_t rank = 0; rank < num_top; ++rank) {
      logprobs.add_top_token(TopToken(token, rank));
      logprobs.add_top_logprob(TopLogprob(token, rank));
    }
  }
  if (scores || (entry.draws() && reports)) *result.add_logprobs() = std::move(logprobs);
  return absl::OkStatus();
}

absl::Status FakeWorker::CheckMasks(const StepPlan& plan, const SampleInput& masks) const {
  uint32_t awaiting = 0;
  for (const uint32_t flags : plan.flags()) {
    if ((flags & STEP_FLAG_AWAITS_MASK) == 0) continue;
    if ((flags & STEP_FLAG_SAMPLE) == 0) return Refuse("a mask without a draw");
    ++awaiting;
  }
  if (awaiting > sampling_rows_) return Refuse(awaiting, " entries await masks");
  if (masks.masks().size() != awaiting * kMaskWords * sizeof(uint32_t) ||
      (awaiting > 0 && masks.step_id() != plan.step_id())) {
    return Refuse("the masks are not those that step ", plan.step_id(), " awaits");
  }
  return absl::OkStatus();
}

absl::Status FakeWorker::Release(uint32_t slot_id) {
  if (slot_id >= slots_.size() || !slots_[slot_id].used) return Refuse("release of slot ", slot_id);
  SlotState& slot = slots_[slot_id];
  for (const uint32_t block : slot.blocks) --block_users_[block];
  used_rows_ -= NeedsRow(slot.sampling);
  slot = SlotState{};
  return absl::OkStatus();
}

absl::Status FakeWorker::Admit(const Admission& admission) {
  const uint32_t slot_id = admission.slot();
  if (slot_id >= slots_.size()) return Refuse("slot ", slot_id, " does not exist");
  SlotState& slot = slots_[slot_id];
  if (slot.used) return Refuse("slot ", slot_id, " is in use");
  slot.used = true;
  slot.sampling = admission.sampling();
  slot.prompt_length = admission.prompt_length();
  slot.outputs = admission.output_length();
  if (NeedsRow(slot.sampling) && ++used_rows_ > sampling_rows_) {
    return Refuse("sampling rows exceeded");
  }
  if (!HasPenalty(slot.sampling)) {
    return admission.penalty_tokens_size() == 0 ? absl::OkStatus() : Refuse("penalty tokens");
  }
  if (admission.penalty_tokens_size() !=
      static_cast<int>(admission.prompt_length() + admission.output_length())) {
    return Refuse("penalty tokens do not cover the context");
  }
  for (const uint32_t token : admission.penalty_tokens()) {
    slot.penalty_tokens.push_back(token);
    slot.penalty_row += PenaltyTerm(token);
  }
  return absl::OkStatus();
}

absl::Status FakeWorker::CheckColumns(const StepPlan& plan) const {
  const int entries = plan.slot_size();
  if (entries == 0) return Refuse("the plan is empty");
  if (plan.start_size() != entries || plan.count_size() != entries ||
      plan.flags_size() != entries || plan.new_block_count_size() != entries) {
    return Refuse("columns differ in length");
  }
  if (entries > static_cast<int>(limits_.max_batch_size())) return Refuse("max_batch_size");
  uint64_t tokens = 0;
  std::vector<bool> seen(slots_.size());
  for (int i = 0; i < entries; ++i) {
    if (plan.slot(i) >= slots_.size() || !slots_[plan.slot(i)].used) {
      return Refuse("slot ", plan.slot(i), " is not in use");
    }
    if (seen[plan.slot(i)]) return Refuse("slot ", plan.slot(i), " appears twice");
    seen[plan.slot(i)] = true;
    tokens += plan.count(i);
  }
  if (tokens > limits_.max_num_tokens()) return Refuse(tokens, " tokens in a step");
  return absl::OkStatus();
}

absl::Status FakeWorker::AppendBlocks(const StepPlan& plan, int entry, int& next_block) {
  SlotState& slot = slots_[plan.slot(entry)];
  for (uint32_t i = 0; i < plan.new_block_count(entry); ++i) {
    if (next_block == plan.new_blocks_size()) return Refuse("blocks missing");
    const uint32_t block = plan.new_blocks(next_block++);
    if (block >= block_users_.size()) return Refuse("block ", block, " does not exist");
    ++block_users_[block];
    slot.blocks.push_back(block);
  }
  return absl::OkStatus();
}

absl::Status FakeWorker::CheckEntry(const Entry& entry) {
  SlotState& slot = slots_[entry.slot];
  // A sequence may begin behind a cached prefix; later it goes on where it is.
  const bool begins = slot.position == 0;
  if (!begins && entry.start != slot.position) {
    return Refuse("slot ", entry.slot, " is at ", slot.position, ", not ", entry.start);
  }
  if (entry.count == 0) return Refuse("empty entry");
  const uint64_t end = uint64_t{entry.start} + entry.count;
  if (end > limits_.max_seq_len()) return Refuse("max_seq_len exceeded: ", end);
  if (end > slot.blocks.size() * block_size_) return Refuse("slot ", entry.slot, " lacks blocks");
  if (begins) slot.position = entry.start;
  if (entry.given()) {
    if (slot.sampled) return Refuse("tokens for slot ", entry.slot, ", which has its own");
    if (end > slot.prompt_length + slot.outputs) return Refuse("more tokens than admitted");
    const bool last = end == slot.prompt_length + slot.outputs;
    if (last != ((entry.flags & STEP_FLAG_SAMPLE) != 0)) return Refuse("draw within a prompt");
  } else {
    if (entry.count != 1) return Refuse("decode of ", entry.count, " tokens");
    if (!slot.sampled) return Refuse("slot ", entry.slot, " has no token to go on with");
  }
  return absl::OkStatus();
}

absl::Status FakeWorker::Compute(SlotState& slot, uint32_t token) {
  const uint32_t position = slot.position++;
  const uint32_t block = slot.blocks[position / block_size_];
  if (block_users_[block] != 1) {
    return Refuse("block ", block, " is written while ", block_users_[block], " tables hold it");
  }
  if (position < slot.penalty_tokens.size() && slot.penalty_tokens[position] != token) {
    return Refuse("penalty token ", position, " is not the context's");
  }
  Kv(slot, position) = KvEntry(position == 0 ? 0 : Kv(slot, position - 1), token);
  return absl::OkStatus();
}

uint32_t FakeWorker::Sample(SlotState& slot, absl::Span<const uint32_t> mask) {
  uint64_t attention = 0;
  for (uint32_t i = 0; i < slot.position; ++i) attention = Attend(attention, Kv(slot, i));
  const uint32_t token =
      SampleToken(attention, slot.sampling, slot.outputs++, slot.penalty_row, mask);
  if (HasPenalty(slot.sampling)) slot.penalty_row += PenaltyTerm(token);
  slot.last_token = token;
  slot.sampled = true;
  return token;
}

}  // namespace regatta::sim
