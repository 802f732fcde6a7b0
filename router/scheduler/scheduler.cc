// How sequences come and go: Add, Cancel, TakeAll, and what a sequence gives back when it ends.
#include "router/scheduler/scheduler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "router/scheduler/scheduler_impl.h"

namespace regatta {
namespace {

constexpr uint32_t kMaxCount = 1u << 30;  // of tokens or blocks: sums of two stay in 32 bits
constexpr uint32_t kMaxSlots = 1u << 20;
constexpr uint32_t kMaxInflight = 1u << 10;

template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status CheckRange(const char* name, uint32_t value, uint32_t limit) {
  if (value >= 1 && value <= limit) return absl::OkStatus();
  return Invalid("scheduler options: ", name, " is ", value, ", must be 1 to ", limit);
}

bool HasPenalties(const SamplingParams& sampling) {
  const float repetition = sampling.repetition_penalty();
  return (repetition != 0 && repetition != 1) || sampling.presence_penalty() != 0 ||
         sampling.frequency_penalty() != 0;
}

bool TakesRow(const SequenceSpec& spec) {
  return HasPenalties(spec.sampling) || spec.sampling.bias_token_size() > 0 || spec.constrained;
}

}  // namespace

absl::Status ValidateOptions(const SchedulerOptions& options) {
  RETURN_IF_ERROR(CheckRange("max_batch_size", options.limits.max_batch_size(), kMaxSlots));
  RETURN_IF_ERROR(CheckRange("max_num_tokens", options.limits.max_num_tokens(), kMaxCount));
  RETURN_IF_ERROR(CheckRange("max_seq_len", options.limits.max_seq_len(), kMaxCount));
  RETURN_IF_ERROR(CheckRange("block_size", options.block_size, kMaxCount));
  RETURN_IF_ERROR(CheckRange("num_blocks", options.num_blocks, kMaxCount));
  RETURN_IF_ERROR(CheckRange("expected_output_tokens", options.expected_output_tokens, kMaxCount));
  RETURN_IF_ERROR(CheckRange("stages", options.stages, kMaxInflight));
  return CheckRange("max_inflight", options.max_inflight, kMaxInflight);
}

Scheduler::Impl::Impl(const SchedulerOptions& options)
    : options_(options),
      block_size_(options.block_size),
      max_running_(std::min(options.limits.max_batch_size(), options.limits.max_num_tokens())),
      pool_(options.num_blocks),
      cache_(pool_, options.prefix_cache),
      slots_(max_running_),
      free_slots_(max_running_),
      free_rows_(options.sampling_rows),
      records_(options.max_inflight),
      lengths_(options.expected_output_tokens),
      pace_(options.limits.max_num_tokens()) {}

absl::Status Scheduler::Impl::CheckSpec(const SequenceSpec& spec) const {
  const uint64_t tokens = spec.tokens.size();
  const uint32_t max_seq_len = options_.limits.max_seq_len();
  if (live_.contains(spec.id)) return Invalid("sequence ", spec.id, " is already live");
  if (spec.prompt_length == 0) return Invalid("the prompt is empty");
  if (tokens < spec.prompt_length) {
    return Invalid("prompt_length ", spec.prompt_length, " exceeds the ", tokens, " tokens given");
  }
  if (tokens >= max_seq_len) {
    return Invalid("a sequence of ", tokens, " tokens leaves no room for output within the ",
                   "max_seq_len of ", max_seq_len);
  }
  const uint64_t outputs = tokens - spec.prompt_length;
  if (spec.max_output_tokens > 0 && outputs >= spec.max_output_tokens) {
    return Invalid("all ", spec.max_output_tokens, " output tokens are already there");
  }
  // The newest token's keys and values are never needed.
  const uint64_t positions = spec.max_output_tokens > 0 ? LimitOf(spec) - 1 : tokens;
  const uint64_t blocks = (positions + block_size_ - 1) / block_size_;
  if (blocks > options_.num_blocks) {
    return Invalid("a sequence of ", positions, " tokens needs ", blocks, " KV blocks of ",
                   block_size_, " tokens; there are ", options_.num_blocks);
  }
  if (!options_.chunked_prefill && spec.prompt_length > options_.limits.max_num_tokens()) {
    return Invalid("without chunked prefill a prompt of ", spec.prompt_length,
                   " tokens exceeds the max_num_tokens of ", options_.limits.max_num_tokens());
  }
  if (TakesRow(spec) && options_.sampling_rows == 0) {
    return Invalid("penalties, biases or a constraint are asked for, but sampling_rows is 0");
  }
  return absl::OkStatus();
}

uint32_t Scheduler::Impl::LimitOf(const SequenceSpec& spec) const {
  uint64_t limit = options_.limits.max_seq_len();
  if (spec.max_output_tokens > 0) {
    limit = std::min(limit, uint64_t{spec.prompt_length} + spec.max_output_tokens);
  } else {
    limit = std::min(limit, uint64_t{options_.num_blocks} * block_size_ + 1);
  }
  return static_cast<uint32_t>(limit);
}

absl::Status Scheduler::Impl::Add(SequenceSpec spec) {
  RETURN_IF_ERROR(CheckSpec(spec));
  waiting_.Push(NewSequence(std::move(spec)));
  return absl::OkStatus();
}

Sequence& Scheduler::Impl::NewSequence(SequenceSpec spec) {
  if (vacant_.empty()) {
    vacant_.push_back(static_cast<uint32_t>(sequences_.size()));
    sequences_.push_back(std::make_unique<Sequence>());
  }
  const uint32_t index = vacant_.back();
  vacant_.pop_back();
  live_.emplace(spec.id, index);
  Sequence& sequence = *sequences_[index];
  sequence.index = index;
  sequence.arrival = ++arrivals_;
  sequence.limit = LimitOf(spec);
  sequence.stop_from = spec.sampling.min_tokens();
  // What is scored must be computed.
  sequence.cacheable = options_.prefix_cache && spec.prefix_cache && !spec.prompt_logprobs;
  sequence.penalties = HasPenalties(spec.sampling);
  sequence.takes_row = TakesRow(spec);
  sequence.logprobs = spec.sampling.logprobs() || spec.sampling.top_logprobs() > 0;
  sequence.spec = std::move(spec);
  return sequence;
}

bool Scheduler::Impl::Cancel(uint64_t id) {
  const auto it = live_.find(id);
  if (it == live_.end()) return false;
  Sequence& sequence = *sequences_[it->second];
  // Stop strings end a sequence this way too: its length counts.
  if (sequence.num_outputs() > 0) Observe(sequence, false);
  End(sequence);
  return true;
}

std::vector<SequenceSpec> Scheduler::Impl::TakeAll() {
  std::vector<Sequence*> all;
  for (const auto& [id, index] : live_) all.push_back(sequences_[index].get());
  std::sort(all.begin(), all.end(),
            [](const Sequence* a, const Sequence* b) { return a->arrival < b->arrival; });
  std::vector<SequenceSpec> specs;
  for (Sequence* sequence : all) {
    SequenceSpec spec = sequence->spec;  // End still reads what it needs of the original.
    End(*sequence);
    specs.push_back(std::move(spec));
  }
  return specs;
}

// What its length says of those to come.
void Scheduler::Impl::Observe(const Sequence& sequence, bool reached_bound) {
  lengths_.Observe(sequence.num_outputs(), reached_bound);
  pace_.Ended(sequence.spec.prompt_length - sequence.cached_tokens, sequence.num_outputs());
}

void Scheduler::Impl::End(Sequence& sequence) {
  if (sequence.state == SequenceState::kRunning) {
    ReleaseSlot(sequence, SequenceState::kDraining);
  } else if (sequence.state == SequenceState::kWaiting) {
    waiting_.Remove(sequence);
  } else {
    --draining_;
  }
  live_.erase(sequence.spec.id);
  vacant_.push_back(sequence.index);
  sequence = Sequence{};
}

// Gives back slot, sampling row and blocks. Plans in flight may still use them: workers run plans
// in order, so whoever gets them next comes after.
void Scheduler::Impl::ReleaseSlot(Sequence& sequence, SequenceState state) {
  const uint32_t slot_id = sequence.slot;
  if (!slots_[slot_id].decoding()) {
    prefilling_.erase(std::find(prefilling_.begin(), prefilling_.end(), slot_id));
  }
  pool_.Release(sequence.blocks);
  sequence.blocks.clear();
  sequence.last_step = slots_[slot_id].last_step;
  slots_[slot_id] = Slot{};
  released_slots_.push_back(slot_id);
  free_slots_.Give(slot_id);
  while (end_slot_ > 0 && slots_[end_slot_ - 1].free()) --end_slot_;
  free_rows_ += sequence.takes_row;
  sequence.slot = kNoSlot;
  sequence.state = state;
}

SchedulerState Scheduler::Impl::state() const {
  SchedulerState state = totals_;
  state.running = max_running_ - free_slots_.size() + draining_;
  state.waiting = static_cast<uint32_t>(waiting_.size());
  state.inflight = static_cast<uint32_t>(inflight_);
  state.used_blocks = pool_.num_blocks() - pool_.free_blocks();
  state.cached_blocks = pool_.reusable_free_blocks();
  state.steps = step_;
  return state;
}

Scheduler::Scheduler(const SchedulerOptions& options) {
  const absl::Status status = ValidateOptions(options);
  CHECK(status.ok()) << status.message();
  impl_ = std::make_unique<Impl>(options);
}
Scheduler::~Scheduler() = default;

absl::Status Scheduler::Add(SequenceSpec spec) { return impl_->Add(std::move(spec)); }
bool Scheduler::Cancel(uint64_t id) { return impl_->Cancel(id); }
std::optional<StepPlan> Scheduler::NextStep() { return impl_->NextStep(); }
const std::vector<uint64_t>& Scheduler::started() const { return impl_->started(); }
const std::vector<uint64_t>& Scheduler::awaiting() const { return impl_->awaiting(); }
void Scheduler::NoteMaskWork(uint64_t id, uint64_t work) { impl_->NoteMaskWork(id, work); }
absl::Status Scheduler::Commit(const StepResult& result, std::vector<SequenceEvent>& events) {
  return impl_->Commit(result, events);
}
std::vector<SequenceSpec> Scheduler::TakeAll() { return impl_->TakeAll(); }
bool Scheduler::HasWork() const { return impl_->HasWork(); }
SchedulerState Scheduler::state() const { return impl_->state(); }
void Scheduler::CheckInvariants() const { impl_->CheckInvariants(); }

}  // namespace regatta
