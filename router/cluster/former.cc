// Planning and forming layouts; see former.h.
#include "router/cluster/former.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/layout.h"
#include "common/parallel.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

absl::Status CheckSameKind(const std::vector<const WorkerDescription*>& ranks) {
  for (const WorkerDescription* rank : ranks) {
    if (rank->device_kind() == ranks.front()->device_kind()) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "the pool mixes devices: ", ranks.front()->device_kind(), " and ", rank->device_kind()));
  }
  return absl::OkStatus();
}

absl::Status TooFewWorkers(const std::vector<WorkerDescription>& workers,
                           const std::vector<bool>& usable, uint32_t ranks, uint32_t copies) {
  std::map<std::string, size_t> free;
  for (size_t i = 0; i < workers.size(); ++i) {
    if (usable[i]) ++free[workers[i].host()];
  }
  const size_t available = std::count(usable.begin(), usable.end(), true);
  std::string message = absl::StrCat(
      "the layout needs ", ranks * copies, ranks * copies == 1 ? " worker" : " workers", " (",
      copies, " x ", ranks, "), ", available, " of the pool's ", workers.size(), " are free");
  if (available >= size_t{ranks} * copies) {
    const auto count = [](std::string* out, const auto& host) {
      absl::StrAppend(out, host.second, " on ", host.first);
    };
    absl::StrAppend(&message, ": ", absl::StrJoin(free, ", ", count),
                    "; the ranks of a copy must share a host");
  }
  return absl::ResourceExhaustedError(message);
}

void SetIdle(WorkerDescription& worker) {
  worker.set_state("idle");
  worker.clear_resident();
}

// Graphs of batches that the limits forbid would never run: the largest batch takes their place.
GraphOptions GraphsWithin(const Limits& limits, const GraphOptions& asked) {
  GraphOptions graphs = asked;
  const uint32_t most = limits.max_batch_size();
  graphs.set_max_batch_size(std::min(asked.max_batch_size(), most));
  graphs.clear_batch_sizes();
  for (const uint32_t size : asked.batch_sizes()) {
    graphs.add_batch_sizes(std::min(size, most));
    if (size >= most) break;  // They ascend.
  }
  return graphs;
}

}  // namespace

absl::StatusOr<std::vector<std::vector<size_t>>> ChooseWorkers(
    const std::vector<WorkerDescription>& workers, const std::vector<bool>& usable, uint32_t ranks,
    uint32_t copies) {
  std::map<std::string, std::vector<size_t>> by_host;
  for (size_t i = 0; i < workers.size(); ++i) {
    if (usable[i]) by_host[workers[i].host()].push_back(i);
  }
  std::vector<std::vector<size_t>> groups;
  while (groups.size() < copies) {
    // The host with just enough, so that others keep room for whole groups.
    std::vector<size_t>* best = nullptr;
    for (auto& [host, free] : by_host) {
      if (free.size() >= ranks && (best == nullptr || free.size() < best->size())) best = &free;
    }
    if (best == nullptr) return TooFewWorkers(workers, usable, ranks, copies);
    groups.emplace_back(best->begin(), best->begin() + ranks);
    best->erase(best->begin(), best->begin() + ranks);
  }
  return groups;
}

absl::Status Former::DescribeWorkers(absl::Duration timeout, bool wait,
                                     std::vector<WorkerDescription>& workers,
                                     std::vector<bool>& alive) {
  absl::Status first_error;
  for (absl::StatusOr<WorkerDescription>& answer : pool_.Describe(timeout, wait)) {
    alive.push_back(answer.ok());
    if (first_error.ok()) first_error = answer.status();
    workers.push_back(answer.ok() ? *std::move(answer) : WorkerDescription());
    newest_epoch_ = std::max(newest_epoch_, workers.back().group_epoch());
  }
  return first_error;
}

std::map<size_t, absl::Status> Former::FindOthers(const std::set<size_t>& busy,
                                                  const std::vector<bool>& alive,
                                                  std::vector<WorkerDescription>& workers) {
  std::vector<absl::Status> freed(workers.size());
  InParallel(workers.size(), [&](size_t i) {
    WorkerDescription& worker = workers[i];
    const auto own = own_.find(i);
    if (!alive[i] || busy.count(i) > 0 || worker.state() == "idle") return;
    if (own != own_.end() && own->second == worker.group_epoch()) return;
    freed[i] = pool_.Dissolve({i}, worker.group_epoch());
    if (freed[i].ok()) SetIdle(worker);
  });
  std::map<size_t, absl::Status> others;
  for (size_t i = 0; i < freed.size(); ++i) {
    if (absl::IsAborted(freed[i])) others.emplace(i, freed[i]);
  }
  return others;
}

absl::StatusOr<std::vector<std::vector<size_t>>> Former::Choose(
    const Layout& layout, const std::vector<WorkerDescription>& workers, std::vector<bool> usable,
    const std::map<size_t, absl::Status>& others) const {
  const uint32_t ranks = RanksPerCopy(layout), copies = std::max(layout.copies(), 1u);
  const std::vector<bool> all = usable;
  for (const auto& [worker, status] : others) usable[worker] = false;
  auto chosen = ChooseWorkers(workers, usable, ranks, copies);
  if (chosen.ok() || others.empty()) return chosen;
  if (options_.take_over && !formed_once_) return ChooseWorkers(workers, all, ranks, copies);
  return absl::AbortedError(
      absl::StrCat(chosen.status().message(), "; ", others.begin()->second.message()));
}

FormRequest Former::MakeFormRequest(const Layout& layout, const GroupLimits& limits) const {
  FormRequest request;
  *request.mutable_layout() = layout;
  *request.mutable_model() = options_.model;
  *request.mutable_limits() = limits.limits;
  request.set_block_size(options_.limits.block_size);
  request.set_kv_cache_fraction(options_.limits.kv_cache_fraction);
  request.set_max_kv_blocks(limits.max_kv_blocks);
  request.set_max_inflight(options_.max_inflight > 0 ? options_.max_inflight
                                                     : std::max(2u, layout.pp()));
  request.set_sampling_rows(std::min(limits.limits.max_batch_size(), options_.max_sampling_rows));
  request.set_deterministic(options_.deterministic);
  if (options_.graphs) *request.mutable_graphs() = GraphsWithin(limits.limits, *options_.graphs);
  return request;
}

absl::StatusOr<FormationPlan> Former::Plan(const Layout& layout, const Limits& asked,
                                           const std::set<size_t>& busy, absl::Duration timeout,
                                           bool wait) {
  RETURN_IF_ERROR(CheckLayout(spec_, layout));
  FormationPlan plan;
  plan.layout = layout;
  std::vector<bool> alive;
  const absl::Status described = DescribeWorkers(timeout, wait, plan.workers, alive);
  std::vector<bool> usable = alive;
  for (const size_t worker : busy) usable[worker] = false;
  const std::map<size_t, absl::Status> others = FindOthers(busy, alive, plan.workers);
  auto chosen = Choose(layout, plan.workers, usable, others);
  if (!chosen.ok()) {
    if (described.ok() || absl::IsAborted(chosen.status())) return chosen.status();
    return absl::Status(described.code(),
                        absl::StrCat(chosen.status().message(), "; ", described.message()));
  }
  std::vector<const WorkerDescription*> ranks;
  for (std::vector<size_t>& workers : *chosen) {
    for (const size_t worker : workers) {
      ranks.push_back(&plan.workers[worker]);
      if (others.count(worker) > 0) plan.taken.insert(worker);
    }
    plan.groups.push_back({++newest_epoch_, std::move(workers)});
  }
  RETURN_IF_ERROR(CheckSameKind(ranks));
  plan.on_device = ranks.front()->device_kind() != "cpu";
  ASSIGN_OR_RETURN(const GroupLimits limits,
                   DeriveLimits(spec_, layout, ranks, options_.limits, asked));
  plan.request = MakeFormRequest(layout, limits);
  // Activations of a whole step, or the logits of all sampled positions.
  plan.max_message_bytes =
      sizeof(float) *
      std::max<uint64_t>(uint64_t{limits.limits.max_num_tokens()} * spec_.hidden_size,
                         uint64_t{limits.limits.max_batch_size()} * spec_.vocab_size);
  for (size_t i = 0; i < plan.workers.size(); ++i) {
    if (!alive[i] || busy.count(i) > 0 || plan.workers[i].state() == "idle") continue;
    const bool taken = plan.taken.count(i) > 0;
    if (others.count(i) > 0 && !taken) continue;
    plan.stale.push_back({taken ? plan.groups.front().epoch : plan.workers[i].group_epoch(), {i}});
  }
  return plan;
}

void Former::Dissolve(FormationPlan& plan) {
  std::vector<absl::Status> freed(plan.stale.size());
  InParallel(plan.stale.size(), [&](size_t i) {
    const PlannedGroup& stale = plan.stale[i];
    const size_t worker = stale.workers.front();
    freed[i] = pool_.Dissolve({worker}, stale.epoch, plan.taken.count(worker) > 0);
    if (freed[i].ok()) SetIdle(plan.workers[worker]);
  });
  // Another router's after all: a worker that was restarted counts epochs anew.
  for (size_t i = 0; i < freed.size(); ++i) {
    if (absl::IsAborted(freed[i])) own_.erase(plan.stale[i].workers.front());
  }
}

absl::StatusOr<std::vector<FormedGroup>> Former::Form(const FormationPlan& plan,
                                                      absl::Duration timeout,
                                                      const FormProgressSink& progress) {
  std::vector<absl::StatusOr<Formed>> results(plan.groups.size());
  InParallel(plan.groups.size(), [&](size_t i) {
    FormRequest request = plan.request;
    request.set_group_epoch(plan.groups[i].epoch);
    results[i] = pool_.Form(plan.groups[i].workers, std::move(request), plan.max_message_bytes,
                            timeout, progress);
  });
  std::vector<FormedGroup> formed;
  absl::Status status;
  for (size_t i = 0; i < results.size(); ++i) {
    if (results[i].ok()) {
      formed.push_back({plan.groups[i], *std::move(results[i])});
    } else if (status.ok()) {
      status = results[i].status();
    }
  }
  if (status.ok()) {
    formed_once_ = true;
    for (const FormedGroup& group : formed) {
      for (const size_t worker : group.plan.workers) own_[worker] = group.plan.epoch;
    }
    return formed;
  }
  for (const FormedGroup& group : formed) {
    pool_.Dissolve(group.plan.workers, group.plan.epoch).IgnoreError();
  }
  return status;
}

}  // namespace regatta
