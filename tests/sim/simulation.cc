// The random interleaving of clients, scheduler and workers, and what must hold after every move.
#include "tests/sim/simulation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tests/sim/fake_model.h"

namespace regatta::sim {
namespace {

constexpr uint32_t kTicksPerReform = 60;
constexpr uint64_t kMaxTicks = 1 << 20;  // far beyond any workload: a hang is an error

template <typename... Parts>
absl::Status Fault(const Parts&... parts) {
  return absl::InternalError(absl::StrCat(parts...));
}

}  // namespace

void Coverage::Add(const Coverage& other) {
  workloads += other.workloads;
  steps += other.steps;
  finished += other.finished;
  cancelled += other.cancelled;
  rejected += other.rejected;
  preempted += other.preempted;
  cached_tokens += other.cached_tokens;
  reformed += other.reformed;
  late_stops += other.late_stops;
  discarded_tokens += other.discarded_tokens;
  preempted_in_flight += other.preempted_in_flight;
  slots_reused_in_flight += other.slots_reused_in_flight;
  masked_draws += other.masked_draws;
  masks_awaited += other.masks_awaited;
  masks_of_ended += other.masks_of_ended;
  moved_constraints += other.moved_constraints;
  scored_prompts += other.scored_prompts;
  put_off_masks += other.put_off_masks;
}

Simulation::Simulation(uint64_t seed) : workload_(MakeWorkload(seed)), random_(Mix(seed, 1)) {
  StartGroup(workload_.options);
}

std::string Simulation::Describe() const {
  return absl::StrCat(workload_.requests.size(), " requests; ", sim::Describe(workload_.options),
                      "; at the end: ", sim::Describe(options_), "; tick ", ticks_);
}

void Simulation::StartGroup(const SchedulerOptions& options) {
  options_ = options;
  dispatched_.clear();
  results_.clear();
  ledger_ = MaskLedger();
  masks_.clear();
  scheduler_ = std::make_unique<Scheduler>(options);
  worker_ = std::make_unique<FakeWorker>(options);
  auditor_ = std::make_unique<PlanAuditor>(options);
}

absl::Status Simulation::Run() {
  coverage_.workloads = 1;
  while (arrived_ < workload_.requests.size() || scheduler_->HasWork() || !dispatched_.empty() ||
         !results_.empty()) {
    if (++ticks_ > kMaxTicks) return Fault("the workload does not end");
    RETURN_IF_ERROR(Tick());
    scheduler_->CheckInvariants();
  }
  return CheckDone();
}

absl::Status Simulation::Tick() {
  if (arrived_ < workload_.requests.size() && random_.OneIn(workload_.arrival_one_in)) {
    RETURN_IF_ERROR(Arrive());
  }
  if (workload_.cancel_one_in > 0 && random_.OneIn(workload_.cancel_one_in)) {
    RETURN_IF_ERROR(CancelSomebody());
  }
  if (coverage_.reformed < workload_.reforms && random_.OneIn(kTicksPerReform)) {
    RETURN_IF_ERROR(Reform());
  }
  if (!random_.OneIn(4)) RETURN_IF_ERROR(Dispatch());
  if (random_.OneIn(workload_.slowness)) ComputeMasks();
  if (!dispatched_.empty() && random_.OneIn(workload_.slowness)) RETURN_IF_ERROR(Execute());
  if (!results_.empty() && random_.OneIn(workload_.slowness)) RETURN_IF_ERROR(Deliver());
  return absl::OkStatus();
}

// The rules of Scheduler::Add, stated anew.
bool Simulation::Acceptable(const SequenceSpec& spec) const {
  const uint64_t room = uint64_t{options_.num_blocks} * options_.block_size;
  if (spec.tokens.size() >= options_.limits.max_seq_len()) return false;
  const bool bounded = spec.max_output_tokens > 0;
  const uint64_t most = std::min<uint64_t>(options_.limits.max_seq_len(),
                                           spec.prompt_length + spec.max_output_tokens);
  if ((bounded ? most - 1 : spec.tokens.size()) > room) return false;
  if (!options_.chunked_prefill && spec.prompt_length > options_.limits.max_num_tokens()) {
    return false;
  }
  return !(NeedsRow(spec.sampling) || spec.constrained) || options_.sampling_rows > 0;
}

uint32_t Simulation::LimitOf(const SequenceSpec& spec) const {
  const uint64_t bound = spec.max_output_tokens > 0
                             ? uint64_t{spec.prompt_length} + spec.max_output_tokens
                             : uint64_t{options_.num_blocks} * options_.block_size + 1;
  return static_cast<uint32_t>(std::min<uint64_t>(bound, options_.limits.max_seq_len()));
}

absl::Status Simulation::Join(Client& client, SequenceSpec spec) {
  const bool acceptable = Acceptable(spec);
  const absl::Status status = scheduler_->Add(std::move(spec));
  if (status.ok() != acceptable) {
    return Fault("sequence ", client.spec.id, " acceptable: ", acceptable, "; ", status.message());
  }
  if (!acceptable) {
    client.live = false;
    ++client.ends;
    ++coverage_.rejected;
    return absl::OkStatus();
  }
  client.live = true;
  client.limit = LimitOf(client.spec);
  client.preemptions = 0;
  auditor_->OnAdd(client.spec, client.limit);
  if (client.constraint == nullptr) return absl::OkStatus();
  if (client.constraint->accepted() != client.spec.tokens.size() - client.spec.prompt_length) {
    return Fault("the constraint of sequence ", client.spec.id, " is not where its output is");
  }
  coverage_.moved_constraints += client.constraint->accepted() > 0;
  ledger_.Add(client.spec.id, client.constraint);
  return absl::OkStatus();
}

absl::Status Simulation::Arrive() {
  const PlannedRequest& request = workload_.requests[arrived_++];
  Client& client = clients_[request.spec.id];
  client.spec = request.spec;
  client.late_stop = request.late_stop;
  if (client.spec.constrained) client.constraint = std::make_shared<FakeConstraint>(client.spec.id);
  RETURN_IF_ERROR(Join(client, request.spec));
  if (client.live && scheduler_->Add(request.spec).ok()) return Fault("an id is live twice");
  return absl::OkStatus();
}

absl::Status Simulation::CancelSomebody() {
  std::vector<Client*> live;
  for (auto& [id, client] : clients_) {
    if (client.live) live.push_back(&client);
  }
  if (live.empty()) return absl::OkStatus();
  ++coverage_.cancelled;
  return Cancel(*live[random_.Between(0, static_cast<uint32_t>(live.size()) - 1)]);
}

absl::Status Simulation::Cancel(Client& client) {
  if (!scheduler_->Cancel(client.spec.id)) return Fault("sequence ", client.spec.id, " is unknown");
  if (scheduler_->Cancel(client.spec.id)) return Fault("a sequence was cancelled twice");
  auditor_->OnEnd(client.spec.id);
  ledger_.Remove(client.spec.id);
  client.live = false;
  ++client.ends;
  return absl::OkStatus();
}

absl::Status Simulation::Dispatch() {
  const SchedulerState before = scheduler_->state();
  std::optional<StepPlan> plan = scheduler_->NextStep();
  const SchedulerState after = scheduler_->state();
  const uint64_t preemptions = after.preemptions - before.preemptions;
  coverage_.preempted += preemptions;
  if (before.inflight > 0) coverage_.preempted_in_flight += preemptions;
  auditor_->OnNextStep(preemptions);
  if (!plan) {
    if (before.inflight == 0 && scheduler_->HasWork())
      return Fault("nothing runs, nothing can run");
    return absl::OkStatus();
  }
  if (before.inflight == options_.max_inflight) return Fault("too many plans in flight");
  if (before.inflight > 0) {
    for (const Admission& admission : plan->admissions()) {
      const auto& released = plan->released_slots();
      coverage_.slots_reused_in_flight +=
          std::find(released.begin(), released.end(), admission.slot()) != released.end();
    }
  }
  RETURN_IF_ERROR(auditor_->OnPlan(*plan, scheduler_->started()));
  coverage_.put_off_masks += auditor_->turns_waited();
  ++coverage_.steps;
  RETURN_IF_ERROR(ExpectMasks(*plan));
  dispatched_.push_back(*std::move(plan));
  return absl::OkStatus();
}

absl::Status Simulation::ExpectMasks(const StepPlan& plan) {
  const std::vector<uint64_t>& ids = scheduler_->awaiting();
  const auto awaiting = std::count_if(plan.flags().begin(), plan.flags().end(), [](uint32_t flags) {
    return (flags & STEP_FLAG_AWAITS_MASK) != 0;
  });
  if (static_cast<size_t>(awaiting) != ids.size()) return Fault("awaiting() is not the plan's");
  if (!ids.empty()) ledger_.Planned(plan.step_id(), ids);
  return absl::OkStatus();
}

// Those of one step, as a thread beside the scheduler's would.
void Simulation::ComputeMasks() {
  const auto due = ledger_.TakeDue();
  if (!due) return;
  SampleInput& input = masks_[due->step_id];
  input.set_step_id(due->step_id);
  for (const auto& constraint : due->constraints) {
    std::vector<uint32_t> mask(kMaskWords, ~0u);
    if (constraint != nullptr) {
      const MaskCost cost = constraint->FillMask(absl::MakeSpan(mask), kAnyMaskWork);
      const uint64_t id = due->ids[&constraint - due->constraints.data()];
      scheduler_->NoteMaskWork(id, cost.work);
      auditor_->OnMask(id, cost.work);
    }
    coverage_.masks_of_ended += constraint == nullptr;
    input.mutable_masks()->append(reinterpret_cast<const char*>(mask.data()),
                                  mask.size() * sizeof(uint32_t));
  }
}

absl::Status Simulation::Execute() {
  const auto awaits = [](uint32_t flags) { return (flags & STEP_FLAG_AWAITS_MASK) != 0; };
  const auto& flags = dispatched_.front().flags();
  SampleInput masks;
  if (std::any_of(flags.begin(), flags.end(), awaits)) {
    const auto computed = masks_.extract(dispatched_.front().step_id());
    ++coverage_.masks_awaited;
    if (computed.empty()) return absl::OkStatus();  // Its sampling waits.
    masks = computed.mapped();
  }
  // Through the wire format, as a worker gets it.
  StepPlan plan;
  if (!plan.ParseFromString(dispatched_.front().SerializeAsString())) return Fault("bad bytes");
  dispatched_.pop_front();
  RETURN_IF_ERROR(worker_->Run(plan, masks, results_.emplace_back()));
  return absl::OkStatus();
}

absl::Status Simulation::Deliver() {
  const StepResult result = std::move(results_.front());
  results_.pop_front();
  std::vector<SequenceEvent> events;
  RETURN_IF_ERROR(scheduler_->Commit(result, events));
  scheduler_->CheckInvariants();
  auditor_->OnCommit(result.step_id());
  coverage_.discarded_tokens += result.slot_size() - events.size();
  for (const SequenceEvent& event : events) {
    if (event.finish != FINISH_REASON_NONE) {
      ledger_.Remove(event.id);
    } else if (!ledger_.Accept(event.id, event.tokens)) {
      return Fault("the constraint of sequence ", event.id, " refuses token ", event.tokens[0]);
    }
    RETURN_IF_ERROR(OnEvent(event));
  }
  ledger_.Committed(result.step_id());
  return absl::OkStatus();
}

// The model's next token after client.spec.tokens, from those tokens alone.
uint32_t Simulation::NextToken(Client& client) {
  const std::vector<uint32_t>& tokens = client.spec.tokens;
  while (client.kv.size() < tokens.size()) {
    const uint32_t token = tokens[client.kv.size()];
    client.kv.push_back(KvEntry(client.kv.empty() ? 0 : client.kv.back(), token));
    client.attention = Attend(client.attention, client.kv.back());
    if (HasPenalty(client.spec.sampling)) client.penalty_row += PenaltyTerm(token);
  }
  std::vector<uint32_t> mask;
  if (client.spec.constrained) {
    FakeConstraint constraint(client.spec.id);
    for (size_t i = client.spec.prompt_length; i < tokens.size(); ++i) constraint.Accept(tokens[i]);
    mask.resize(kMaskWords);
    constraint.FillMask(absl::MakeSpan(mask), kAnyMaskWork);
  }
  return SampleToken(client.attention, client.spec.sampling,
                     static_cast<uint32_t>(tokens.size()) - client.spec.prompt_length,
                     client.penalty_row, mask);
}

// They come once, whole, with the first token.
bool Simulation::PromptLogprobsAreRight(const Client& client, const SequenceEvent& event) const {
  const SequenceSpec& spec = client.spec;
  if (!spec.prompt_logprobs || event.num_outputs != 1) return event.prompt_logprobs == nullptr;
  if (event.prompt_logprobs == nullptr) return false;
  const Logprobs& got = *event.prompt_logprobs;
  const int places = static_cast<int>(spec.prompt_length) - 1;
  const int top = static_cast<int>(spec.sampling.top_logprobs());
  if (got.prompt_size() != places || got.prompt_top_token_size() != places * top) return false;
  for (int i = 0; i < places; ++i) {
    const uint32_t token = spec.tokens[i + 1];
    if (got.prompt(i) != GivenLogprob(client.kv[i], token)) return false;
    for (int j = 0; j < top; ++j) {
      if (got.prompt_top_token(i * top + j) != TopToken(token, j)) return false;
      if (got.prompt_top_logprob(i * top + j) != TopLogprob(token, j)) return false;
    }
  }
  return true;
}

absl::Status Simulation::OnEvent(const SequenceEvent& event) {
  Client& client = clients_[event.id];
  SequenceSpec& spec = client.spec;
  if (!client.live) return Fault("an event for sequence ", event.id, ", which is not live");
  const uint32_t expected = NextToken(client);
  if (event.tokens.size() != 1 || event.tokens[0] != expected) {
    return Fault("sequence ", event.id, ", output ", spec.tokens.size() - spec.prompt_length,
                 ": token ", event.tokens.empty() ? 0 : event.tokens[0], ", expected ", expected);
  }
  spec.tokens.push_back(expected);
  const uint32_t outputs = static_cast<uint32_t>(spec.tokens.size()) - spec.prompt_length;
  if (event.num_outputs != outputs) return Fault("num_outputs of sequence ", event.id);
  const bool logprobs = spec.sampling.logprobs() || spec.sampling.top_logprobs() > 0;
  if (event.logprobs.size() != logprobs ||
      (logprobs && event.logprobs[0].sampled() != SampledLogprob(expected))) {
    return Fault("log-probabilities of sequence ", event.id);
  }
  if (!PromptLogprobsAreRight(client, event)) {
    return Fault("log-probabilities of the prompt of sequence ", event.id);
  }
  coverage_.scored_prompts += event.prompt_logprobs != nullptr;
  coverage_.masked_draws += spec.constrained;
  if (event.preemptions < client.preemptions || event.cached_tokens >= spec.tokens.size()) {
    return Fault("counters of sequence ", event.id);
  }
  client.preemptions = event.preemptions;

  const auto& stops = spec.stop_token_ids;
  const bool stop = outputs > spec.sampling.min_tokens() &&
                    std::find(stops.begin(), stops.end(), expected) != stops.end();
  const FinishReason finish = stop                                 ? FINISH_REASON_STOP
                              : spec.tokens.size() == client.limit ? FINISH_REASON_LENGTH
                                                                   : FINISH_REASON_NONE;
  if (event.finish != finish) return Fault("finish reason of sequence ", event.id);
  if (finish != FINISH_REASON_NONE) {
    auditor_->OnEnd(event.id);
    client.live = false;
    ++client.ends;
    ++coverage_.finished;
    coverage_.cached_tokens += event.cached_tokens;
  } else if (outputs == client.late_stop) {
    ++coverage_.late_stops;
    return Cancel(client);
  }
  return absl::OkStatus();
}

// A failure takes the plans in flight with it; a repartition waits for them. Either way another
// group goes on from the tokens.
absl::Status Simulation::Reform() {
  if (random_.OneIn(2)) {
    while (!dispatched_.empty() || !results_.empty()) {
      ComputeMasks();
      if (!dispatched_.empty()) RETURN_IF_ERROR(Execute());
      if (!results_.empty()) RETURN_IF_ERROR(Deliver());
    }
  }
  std::vector<SequenceSpec> specs = scheduler_->TakeAll();
  const SchedulerState state = scheduler_->state();
  if (scheduler_->HasWork() || state.used_blocks + state.running + state.waiting > 0) {
    return Fault("TakeAll leaves something behind");
  }
  scheduler_->CheckInvariants();
  StartGroup(sim::Reform(workload_.options, random_));
  ++coverage_.reformed;
  uint64_t live = 0, last_id = 0;
  for (const auto& [id, client] : clients_) live += client.live;
  if (live != specs.size()) return Fault(specs.size(), " specs of ", live, " live sequences");
  for (SequenceSpec& spec : specs) {
    Client& client = clients_[spec.id];
    if (spec.tokens != client.spec.tokens) return Fault("tokens of sequence ", spec.id);
    if (spec.id < last_id) return Fault("the oldest does not come first");
    last_id = spec.id;
    RETURN_IF_ERROR(Join(client, std::move(spec)));
  }
  return absl::OkStatus();
}

absl::Status Simulation::CheckDone() {
  for (const auto& [id, client] : clients_) {
    if (client.live || client.ends != 1)
      return Fault("sequence ", id, " ended ", client.ends, " times");
  }
  const SchedulerState state = scheduler_->state();
  if (state.used_blocks != 0 || state.running != 0 || state.waiting != 0 || state.inflight != 0) {
    return Fault(state.used_blocks, " blocks, ", state.running, " slots leaked");
  }
  return absl::OkStatus();
}

}  // namespace regatta::sim
