// The loop of clients, scheduler and a worker that only counts. See load.h.
#include "tests/sim/load.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "common/check.h"

namespace regatta::sim {
namespace {

constexpr uint32_t kStop = 0;
constexpr uint32_t kToken = 1;

class LoadRun {
 public:
  LoadRun(const Load& load, uint64_t seed)
      : load_(load),
        random_(seed),
        scheduler_(load.options),
        slots_(load.options.limits.max_batch_size()) {}

  LoadResult Run() {
    while (submitted_ < std::min(load_.concurrency, load_.requests)) Submit();
    for (SubmitArrived(); scheduler_.HasWork(); SubmitArrived()) {
      while (std::optional<StepPlan> plan = scheduler_.NextStep()) Execute(*plan);
      CHECK(!results_.empty()) << "nothing runs, nothing can run";
      std::vector<SequenceEvent> events;
      CHECK(scheduler_.Commit(results_.front(), events).ok());
      results_.pop_front();
      for (const SequenceEvent& event : events) OnEvent(event);
    }
    result_.seconds = now_ms_ / 1000;
    result_.output_tokens_per_second =
        (tokens_at_[1] - tokens_at_[0]) / (time_at_[1] - time_at_[0]) * 1000;
    result_.mean_running /= scheduler_.state().steps;
    result_.preemptions = scheduler_.state().preemptions;
    result_.recomputed_tokens = scheduler_.state().prompt_tokens - prompt_tokens_;
    return result_;
  }

 private:
  struct SlotState {
    uint64_t id = 0;
    uint32_t outputs = 0;
  };

  void Submit() {
    SequenceSpec spec;
    spec.id = ++submitted_;
    spec.prompt_length = load_.prompt_length(random_);
    spec.tokens.assign(spec.prompt_length, kToken);
    prompt_tokens_ += spec.prompt_length;
    const uint32_t outputs = load_.output_length(random_);
    outputs_[spec.id] = outputs;
    submitted_at_[spec.id] = now_ms_;
    if (load_.max_tokens == MaxTokens::kExact) spec.max_output_tokens = outputs;
    if (load_.max_tokens == MaxTokens::kLoose) spec.max_output_tokens = kLooseMaxTokens;
    spec.stop_token_ids = {kStop};
    spec.sampling.set_seed(spec.id);  // Tells Execute which sequence is admitted.
    const absl::Status status = scheduler_.Add(std::move(spec));
    CHECK(status.ok()) << status.message();
  }

  // Of an open loop: those who came meanwhile, or the next one where nothing runs.
  void SubmitArrived() {
    if (load_.mean_gap_ms == 0) return;
    while (submitted_ < load_.requests && (next_arrival_ms_ <= now_ms_ || !scheduler_.HasWork())) {
      now_ms_ = std::max(now_ms_, next_arrival_ms_);
      Submit();
      submitted_at_[submitted_] = next_arrival_ms_;
      next_arrival_ms_ -= std::log(1 - random_.Fraction()) * load_.mean_gap_ms;
    }
  }

  void Execute(const StepPlan& plan) {
    for (const Admission& admission : plan.admissions()) {
      slots_[admission.slot()] = {admission.sampling().seed(), admission.output_length()};
    }
    StepResult& result = results_.emplace_back();
    result.set_step_id(plan.step_id());
    uint64_t tokens = 0;
    for (int i = 0; i < plan.slot_size(); ++i) {
      tokens += plan.count(i);
      if ((plan.flags(i) & STEP_FLAG_SAMPLE) == 0) continue;
      SlotState& slot = slots_[plan.slot(i)];
      result.add_slot(plan.slot(i));
      result.add_token(++slot.outputs >= outputs_[slot.id] ? kStop : kToken);
    }
    now_ms_ += load_.step_time(tokens);
    const SchedulerState state = scheduler_.state();
    result_.peak_blocks = std::max(result_.peak_blocks, state.used_blocks);
    result_.mean_running += state.running;
  }

  void OnEvent(const SequenceEvent& event) {
    ++output_tokens_;
    if (event.num_outputs == 1 && event.id > load_.concurrency) {
      const double wait_ms = now_ms_ - submitted_at_[event.id];
      result_.mean_wait_ms += wait_ms / (load_.requests - load_.concurrency);
      result_.longest_wait_ms = std::max(result_.longest_wait_ms, wait_ms);
    }
    if (event.finish == FINISH_REASON_NONE) return;
    CHECK_EQ(event.num_outputs, outputs_[event.id]);
    ++finished_;
    if (load_.mean_gap_ms == 0 && submitted_ < load_.requests) Submit();
    // Throughput between the first fifth and the last of the requests that keep the concurrency up.
    const uint32_t full = load_.requests - std::min(load_.concurrency, load_.requests);
    for (int i = 0; i < 2; ++i) {
      if (finished_ != std::max<uint32_t>(1, full * (i == 0 ? 1 : 5) / 5)) continue;
      tokens_at_[i] = static_cast<double>(output_tokens_);
      time_at_[i] = now_ms_;
    }
  }

  const Load& load_;
  Random random_;
  Scheduler scheduler_;
  std::vector<SlotState> slots_;
  std::deque<StepResult> results_;
  std::map<uint64_t, uint32_t> outputs_;
  std::map<uint64_t, double> submitted_at_;
  uint32_t submitted_ = 0, finished_ = 0;
  uint64_t output_tokens_ = 0, prompt_tokens_ = 0;
  double now_ms_ = 0, next_arrival_ms_ = 0;
  double tokens_at_[2] = {}, time_at_[2] = {};
  LoadResult result_;
};

}  // namespace

LoadResult RunLoad(const Load& load, uint64_t seed) { return LoadRun(load, seed).Run(); }

uint32_t ConcurrencyThatFits(const Load& load, uint32_t blocks, uint32_t limit, uint64_t seed) {
  Load unlimited = load;
  uint32_t fits = 1, over = limit + 1;
  while (over - fits > 1) {
    unlimited.concurrency = (fits + over) / 2;
    // Room for all at full length: nothing waits, nothing is preempted.
    unlimited.options.num_blocks =
        unlimited.concurrency * (load.options.limits.max_seq_len() / load.options.block_size + 2);
    const LoadResult result = RunLoad(unlimited, seed);
    (result.peak_blocks <= blocks ? fits : over) = unlimited.concurrency;
  }
  return fits;
}

}  // namespace regatta::sim
