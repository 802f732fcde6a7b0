// The rules of service, restated over what is visible from outside. See plan_auditor.h.
#include "tests/sim/plan_auditor.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tests/sim/fake_model.h"

namespace regatta::sim {
namespace {

constexpr uint64_t kLongestTurn = 40;  // plans

template <typename... Parts>
absl::Status Fault(const Parts&... parts) {
  return absl::FailedPreconditionError(absl::StrCat(parts...));
}

}  // namespace

void PlanAuditor::OnAdd(const SequenceSpec& spec, uint32_t limit) {
  const Rank rank{spec.priority, ++arrivals_};
  ranks_[spec.id] = rank;
  Live& live = live_[rank];
  live.id = spec.id;
  live.takes_row = NeedsRow(spec.sampling) || spec.constrained;
  live.constrained = spec.constrained;
  live.scored = spec.prompt_logprobs && spec.tokens.size() == spec.prompt_length;
  live.limit = limit;
  live.total = static_cast<uint32_t>(spec.tokens.size());
}

void PlanAuditor::OnEnd(uint64_t id) {
  const Rank rank = ranks_.at(id);
  const uint32_t slot = live_.at(rank).slot;
  if (slot != UINT32_MAX) {
    slots_.erase(slot);
    ended_slots_.insert(slot);
  }
  live_.erase(rank);
  ranks_.erase(id);
}

void PlanAuditor::OnMask(uint64_t id, uint64_t work) {
  const auto rank = ranks_.find(id);
  if (rank != ranks_.end()) live_.at(rank->second).mask_work = work;
}

void PlanAuditor::OnCommit(uint64_t step_id) { committed_ = step_id; }

void PlanAuditor::OnNextStep(uint64_t preemptions) {
  if (preemptions > 0) first_at_preemption_.insert(live_.begin()->second.id);
}

absl::Status PlanAuditor::OnPlan(const StepPlan& plan, const std::vector<uint64_t>& started) {
  for (const uint32_t slot : plan.released_slots()) {
    if (ended_slots_.erase(slot) > 0) continue;
    const auto holder = slots_.find(slot);
    if (holder == slots_.end()) return Fault("release of the free slot ", slot);
    Live& live = live_.at(holder->second);
    // Its last token is on its way, or it was preempted: never the first in order.
    const bool done = live.total == live.limit;
    if (!done && first_at_preemption_ == std::set<uint64_t>{live.id}) {
      return Fault("the first sequence, ", live.id, ", was preempted");
    }
    live.slot = UINT32_MAX;
    slots_.erase(holder);
  }
  first_at_preemption_.clear();
  if (!ended_slots_.empty()) return Fault("slot ", *ended_slots_.begin(), " was not released");
  size_t fresh = 0;
  for (const Admission& admission : plan.admissions()) {
    fresh += !live_.at(ranks_.at(admission.sampling().seed())).started;
    RETURN_IF_ERROR(CheckAdmission(admission, plan.step_id()));
  }
  if (fresh != started.size()) return Fault(started.size(), " started, expected ", fresh);
  uint32_t decodes = 0;
  while (static_cast<int>(decodes) < plan.slot_size() &&
         (plan.flags(decodes) & STEP_FLAG_INLINE_TOKENS) == 0) {
    ++decodes;
  }
  RETURN_IF_ERROR(CheckDecodes(plan, decodes));
  uint32_t budget = options_.limits.max_num_tokens() - decodes;
  for (int i = 0; i < plan.slot_size(); ++i) {
    const bool given = plan.flags(i) & STEP_FLAG_INLINE_TOKENS;
    if (given != (i >= static_cast<int>(decodes))) return Fault("decode behind a prompt chunk");
    RETURN_IF_ERROR(CheckEntry(plan, i));
    if (!given) continue;
    const uint32_t end = plan.start(i) + plan.count(i);
    const Live& live = live_.at(slots_.at(plan.slot(i)));
    const bool cramped = i == static_cast<int>(decodes) && budget == plan.count(i);
    if (end != live.prefill_end && end % options_.block_size != 0 && !cramped) {
      return Fault("chunk of sequence ", live.id, " ends at ", end);
    }
    if (end != live.prefill_end && !options_.chunked_prefill &&
        live.prefill_end <= options_.limits.max_num_tokens()) {
      return Fault("sequence ", live.id, " was chunked");
    }
    budget -= plan.count(i);
  }
  return CheckWaiting(plan.step_id());
}

absl::Status PlanAuditor::CheckAdmission(const Admission& admission, uint64_t step_id) {
  const Rank rank = ranks_.at(admission.sampling().seed());
  Live& live = live_.at(rank);
  if (live.slot != UINT32_MAX) return Fault("sequence ", live.id, " is admitted twice");
  if (live.last_step > committed_) {
    return Fault("sequence ", live.id, " is admitted while step ", live.last_step, " holds it");
  }
  if (!slots_.emplace(admission.slot(), rank).second) return Fault("slot is taken");
  // Nobody overtakes, except those that wait for a sampling row.
  for (const auto& [other_rank, other] : live_) {
    if (!(other_rank < rank)) break;
    if (other.slot == UINT32_MAX && other.total < other.limit &&
        (!other.takes_row || live.takes_row)) {
      return Fault("sequence ", live.id, " overtakes ", other.id);
    }
  }
  live.slot = admission.slot();
  live.turn_since = 0;
  live.started = true;
  live.position = UINT32_MAX;  // known with the first entry: behind the cached prefix
  live.prefill_end = admission.prompt_length() + admission.output_length();
  if (live.prefill_end != live.total) return Fault("sequence ", live.id, " resumes elsewhere");
  return absl::OkStatus();
}

absl::Status PlanAuditor::CheckEntry(const StepPlan& plan, int i) {
  const auto holder = slots_.find(plan.slot(i));
  if (holder == slots_.end()) return Fault("entry for the free slot ", plan.slot(i));
  Live& live = live_.at(holder->second);
  if (live.position == UINT32_MAX) {
    live.position = plan.start(i);
    if (live.position % options_.block_size != 0 || live.position >= live.prefill_end ||
        (live.position > 0 && !options_.prefix_cache)) {
      return Fault("cached prefix of ", live.position, " tokens for sequence ", live.id);
    }
  }
  if (plan.start(i) != live.position) return Fault("sequence ", live.id, " leaps");
  const bool given = plan.flags(i) & STEP_FLAG_INLINE_TOKENS;
  if (!given && options_.stages > 1 && live.sample_step > committed_) {
    return Fault("sequence ", live.id, " goes on before its token has come round");
  }
  live.position += plan.count(i);
  live.last_step = plan.step_id();
  const bool draws = plan.flags(i) & STEP_FLAG_SAMPLE;
  if (((plan.flags(i) & STEP_FLAG_AWAITS_MASK) != 0) != (draws && live.constrained)) {
    return Fault("mask of sequence ", live.id);
  }
  if (((plan.flags(i) & STEP_FLAG_LOGITS_ALL) != 0) != live.scored) {
    return Fault("log-probabilities of the prompt of sequence ", live.id);
  }
  if (draws) {
    live.scored = false;
    live.sample_step = plan.step_id();
    if (++live.total > live.limit) return Fault("sequence ", live.id, " exceeds its limit");
  }
  return absl::OkStatus();
}

// With one stage everything that can decode decodes in every step; with more, an even share. But
// for constrained sequences, some of which may have to let others have their masks.
absl::Status PlanAuditor::CheckDecodes(const StepPlan& plan, uint32_t decodes) {
  const std::set<uint32_t> chosen(plan.slot().begin(), plan.slot().begin() + decodes);
  uint32_t decoding = 0, ready = 0, put_off = 0;
  for (const auto& [slot, rank] : slots_) {
    Live& live = live_.at(rank);
    if (live.position == UINT32_MAX || live.position < live.prefill_end) continue;
    if (live.total == live.limit) return Fault("sequence ", live.id, " keeps its slot");
    ++decoding;
    const bool now = options_.stages == 1 || live.sample_step <= committed_;
    ready += now;
    const bool waits = now && live.constrained && !chosen.contains(slot);
    put_off += waits;
    if (!waits) {
      live.turn_since = 0;
    } else if (live.turn_since == 0) {
      live.turn_since = plan.step_id();
    } else if (plan.step_id() - live.turn_since > kLongestTurn) {
      return Fault("sequence ", live.id, " gets no mask");
    }
  }
  const uint32_t share = (decoding + options_.stages - 1) / options_.stages;
  if (decodes + put_off < std::min(share, ready) || decodes > std::min(share, ready)) {
    return Fault(decodes, " of ", ready, " ready sequences decode, share ", share);
  }
  turns_waited_ = options_.stages == 1 ? put_off : 0;
  return CheckMasks(plan, decodes);
}

// The masks of one plan are not expected to cost more together than they may.
absl::Status PlanAuditor::CheckMasks(const StepPlan& plan, uint32_t decodes) const {
  uint64_t work = 0, masks = 0;
  for (uint32_t i = 0; i < decodes; ++i) {
    const Live& live = live_.at(slots_.at(plan.slot(static_cast<int>(i))));
    masks += live.constrained;
    if (live.constrained) work += std::min(live.mask_work, options_.mask_work / 2);
  }
  if (masks < 2 || work <= options_.mask_work) return absl::OkStatus();
  return Fault(masks, " masks that cost ", work, " in one plan, at most ", options_.mask_work);
}

// While the first in order waits nobody else is let in, and whoever runs ends or is preempted after
// at most max_seq_len tokens; at most four of them take turns with their masks.
absl::Status PlanAuditor::CheckWaiting(uint64_t step_id) {
  const uint64_t longest = uint64_t{options_.limits.max_seq_len()} * (options_.stages + 1) * 4 +
                           uint64_t{options_.num_blocks} * options_.block_size;
  bool first = true;
  for (auto& [rank, live] : live_) {
    const bool waits = live.slot == UINT32_MAX && live.total < live.limit;
    if (!first || !waits) {
      live.first_waited = 0;
    } else if (live.first_waited == 0) {
      live.first_waited = step_id;
    } else if (step_id - live.first_waited > 2 * longest) {
      return Fault("sequence ", live.id, " starves");
    }
    first = false;
  }
  return absl::OkStatus();
}

}  // namespace regatta::sim
