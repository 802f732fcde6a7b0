// The prompt half of a plan: chunks of running prompts and admission of waiting sequences, in order
// of service, with the tokens that decoding leaves.
#include <algorithm>

#include "common/check.h"
#include "router/scheduler/scheduler_impl.h"

namespace regatta {
namespace {

constexpr uint64_t kProbeInterval =
    16;  // rounds after which a sequence that had no room asks the cache again

uint32_t CeilDivide(uint32_t a, uint32_t b) { return (a + b - 1) / b; }

}  // namespace

void Scheduler::Impl::PlanPrompts(StepPlan& plan, uint32_t budget) {
  // Stages of a pipeline decode in turn: what a plan carries says little of what will end.
  if (options_.pace_prompts && options_.stages == 1) {
    pace_.Begin(static_cast<uint32_t>(chosen_.size()), max_running_ - free_slots_.size(),
                static_cast<uint32_t>(waiting_.size()));
  }
  size_t next = 0;      // first of prefilling_ without a chunk in this plan
  bool closed = false;  // the first that waits has no room or is not due; nobody overtakes it
  bool first = true;
  while (budget > 0) {
    Sequence* head = closed ? nullptr : waiting_.Head(free_rows_ > 0);
    if (head != nullptr && !pace_.Admits()) {
      pace_.HeldBack();
      closed = true;
      continue;
    }
    const bool running_first = next < prefilling_.size() &&
                               (head == nullptr || slots_[prefilling_[next]].rank < head->rank());
    if (!running_first) {
      if (head == nullptr) return;
      closed = !TryAdmit(plan, *head, budget, first);
      if (closed) continue;  // Else it stands at prefilling_[next].
    }
    const uint32_t slot_id = prefilling_[next];
    const Slot& slot = slots_[slot_id];
    const uint32_t count = ChunkSize(slot.position, slot.prefill_end, budget, first);
    if (count == 0) return;
    PlanChunk(plan, slot_id, count);
    if (!slot.decoding()) ++next;
    budget -= count;
    first = false;
  }
}

// Tokens of the next chunk: all that is left, or as many as end on a block boundary, so that later
// chunks and other sequences find full blocks. The first chunk of a plan may end anywhere when
// decoding leaves less than a block, else it might wait for ever.
uint32_t Scheduler::Impl::ChunkSize(uint32_t position, uint32_t end, uint32_t budget,
                                    bool first) const {
  if (end - position <= budget) return end - position;
  if (!options_.chunked_prefill && end <= options_.limits.max_num_tokens()) return 0;
  const uint32_t boundary = (position + budget) / block_size_ * block_size_;
  if (boundary > position) return boundary - position;
  return first ? budget : 0;
}

void Scheduler::Impl::PlanChunk(StepPlan& plan, uint32_t slot_id, uint32_t count) {
  const Slot& slot = slots_[slot_id];
  const Sequence& sequence = *sequences_[slot.sequence];
  const uint32_t start = slot.position;
  const auto tokens = sequence.spec.tokens.begin() + start;
  const bool last = start + count == slot.prefill_end;
  const bool follows = slot.scores && !last;  // the token behind the chunk is scored too
  plan.mutable_tokens()->Add(tokens, tokens + count + (follows ? 1 : 0));
  PlanEntry(plan, slot_id, count,
            STEP_FLAG_INLINE_TOKENS | (slot.scores ? STEP_FLAG_LOGITS_ALL : 0) |
                (last ? slot.draw_flags : 0));
  if (last) prefilling_.erase(std::find(prefilling_.begin(), prefilling_.end(), slot_id));
  totals_.prompt_tokens += count;
  if (!sequence.keys.empty()) {
    computed_.push_back({slot.sequence, start / block_size_, slot.position / block_size_});
  }
}

// Gives the first waiting sequence slot and blocks if its first chunk can go into this plan.
bool Scheduler::Impl::TryAdmit(StepPlan& plan, Sequence& sequence, uint32_t budget, bool first) {
  if (free_slots_.size() == 0 || sequence.last_step > committed_step_ || !HasRoom(sequence)) {
    return false;
  }
  const uint32_t start = sequence.probe.blocks * block_size_;
  if (ChunkSize(start, sequence.num_tokens(), budget, first) == 0) return false;

  TakeBlocks(sequence);
  const uint32_t slot_id = free_slots_.Take();
  end_slot_ = std::max(end_slot_, slot_id + 1);
  Slot& slot = slots_[slot_id];
  slot.rank = sequence.rank();
  slot.sequence = sequence.index;
  slot.prompt_length = sequence.spec.prompt_length;
  slot.limit = sequence.limit;
  slot.position = start;
  slot.total = slot.prefill_end = sequence.num_tokens();
  slot.shared_tokens = sequence.probe.held * block_size_;
  slot.logprobs = sequence.logprobs;
  slot.draw_flags = STEP_FLAG_SAMPLE | (sequence.spec.constrained ? STEP_FLAG_AWAITS_MASK : 0);
  // What came of an earlier life has been sent with the first token, or is incomplete.
  slot.scores = sequence.spec.prompt_logprobs && sequence.num_outputs() == 0;
  if (slot.scores) sequence.prompt_logprobs = std::make_unique<Logprobs>();
  slot.bounded = sequence.spec.max_output_tokens > 0;
  waiting_.Remove(sequence);
  free_rows_ -= sequence.takes_row;
  sequence.slot = slot_id;
  sequence.state = SequenceState::kRunning;
  if (!sequence.started) {
    sequence.started = true;
    sequence.cached_tokens = std::min(start, sequence.spec.prompt_length);
    started_.push_back(sequence.spec.id);
  }
  if (sequence.cacheable) totals_.queried_tokens += sequence.num_tokens();
  totals_.cached_tokens += start;
  pace_.Admitted(sequence.num_tokens() - start);
  const auto place = std::lower_bound(
      prefilling_.begin(), prefilling_.end(), slot.rank,
      [this](uint32_t other, const Rank& rank) { return slots_[other].rank < rank; });
  prefilling_.insert(place, slot_id);
  if (forecast_built_) AddToForecast(slot);
  WriteAdmission(sequence, *plan.add_admissions());
  return true;
}

// Whether the blocks that it needs now are free, and those that all will need later are expected to
// be. One alone always has room.
bool Scheduler::Impl::HasRoom(Sequence& sequence) {
  if (sequence.probe.round == 0 || round_ >= sequence.probe.round + kProbeInterval) {
    ProbeCache(sequence);
  }
  while (true) {
    const Probe& probe = sequence.probe;
    const uint32_t tokens = sequence.num_tokens();
    const uint32_t blocks = CeilDivide(tokens, block_size_) - probe.held;
    if (blocks > pool_.free_blocks()) return false;
    if (free_slots_.size() < max_running_) {
      if (!forecast_built_) BuildForecast();
      const bool bounded = sequence.spec.max_output_tokens > 0;
      const uint32_t bound = sequence.limit - sequence.spec.prompt_length;
      const uint32_t outputs = sequence.num_outputs();
      const uint32_t expected = std::max(lengths_.Mean(bound, bounded), outputs + 1);
      const uint64_t held = tokens - probe.held * block_size_ + block_size_ / 2;
      const double usable = (1 - margin_.fraction()) * options_.num_blocks * block_size_;
      if (forecast_.PeakWith(held, expected - outputs) > usable) return false;
    }
    if (probe.round == round_) return true;
    ProbeCache(sequence);  // What the cache offered some rounds ago may be gone.
  }
}

// How much of the sequence the cache holds: at most all but one token, so that there is something
// to draw the next one from.
void Scheduler::Impl::ProbeCache(Sequence& sequence) {
  ExtendKeys(sequence);
  const size_t most =
      std::min<size_t>(sequence.keys.size(), (sequence.num_tokens() - 1) / block_size_);
  found_.clear();
  cache_.FindPrefix(absl::MakeConstSpan(sequence.keys).first(most), found_);
  sequence.probe = {round_, static_cast<uint32_t>(found_.size()), 0};
  for (const uint32_t block : found_) sequence.probe.held += pool_.references(block) > 0;
}

// Those found by the probe, of this very round, before any is allocated, which might evict them.
void Scheduler::Impl::TakeBlocks(Sequence& sequence) {
  CHECK_EQ(found_.size(), size_t{sequence.probe.blocks});
  const uint32_t blocks = CeilDivide(sequence.num_tokens(), block_size_);
  sequence.blocks.reserve(blocks + 1);
  sequence.blocks.assign(found_.begin(), found_.end());
  pool_.Share(found_);
  cache_.Allocate(blocks - sequence.probe.blocks, sequence.blocks);
}

void Scheduler::Impl::WriteAdmission(const Sequence& sequence, Admission& admission) const {
  const SequenceSpec& spec = sequence.spec;
  admission.set_slot(sequence.slot);
  admission.set_prompt_length(spec.prompt_length);
  admission.set_output_length(sequence.num_outputs());
  *admission.mutable_sampling() = spec.sampling;
  if (sequence.penalties) {
    admission.mutable_penalty_tokens()->Add(spec.tokens.begin(), spec.tokens.end());
  }
}

void Scheduler::Impl::BuildForecast() {
  uint64_t owned = 0;
  for (uint32_t slot_id = 0; slot_id < end_slot_; ++slot_id) {
    const Slot& slot = slots_[slot_id];
    if (!slot.free()) owned += OwnedTokens(slot);
  }
  // Blocks whose first owner has gone while others still share them.
  const uint64_t used = uint64_t{pool_.num_blocks() - pool_.free_blocks()} * block_size_;
  forecast_.Reset(used > owned ? used - owned : 0);
  for (uint32_t slot_id = 0; slot_id < end_slot_; ++slot_id) {
    if (!slots_[slot_id].free()) AddToForecast(slots_[slot_id]);
  }
  forecast_built_ = true;
}

// Tokens in blocks that no other sequence held when this one took them.
uint64_t Scheduler::Impl::OwnedTokens(const Slot& slot) const {
  return uint64_t{CeilDivide(std::max(slot.position, slot.prefill_end), block_size_)} *
             block_size_ -
         slot.shared_tokens;
}

void Scheduler::Impl::AddToForecast(Slot& slot) {
  if (slot.expected_total <= slot.total) {  // New, or it has outlived the forecast.
    slot.expected_total =
        slot.prompt_length + lengths_.Predict(slot.rank.arrival, slot.total - slot.prompt_length,
                                              slot.limit - slot.prompt_length, slot.bounded);
  }
  const uint64_t held = std::max(slot.position, slot.prefill_end) - slot.shared_tokens;
  forecast_.Add(held + block_size_ / 2, slot.expected_total - slot.total);
}

// Blocks that this plan fills can be found from the next plan on: workers run plans in order.
void Scheduler::Impl::PublishPrompts() {
  for (const PublishRange& range : computed_) {
    const Sequence& sequence = *sequences_[range.sequence];
    const uint32_t first = range.first_block, count = range.end_block - first;
    cache_.Publish(absl::MakeConstSpan(sequence.blocks).subspan(first, count),
                   absl::MakeConstSpan(sequence.keys).subspan(first, count));
  }
}

}  // namespace regatta
