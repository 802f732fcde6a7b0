// Former: makes the pool serve a layout: which workers hold which copy, with which limits and
// epochs, and the calls that get there. Blocking; the cluster runs it on a thread of its own, one
// job at a time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/model_spec.h"
#include "proto/worker.pb.h"
#include "router/cluster/pool.h"
#include "router/default_limits.h"

namespace regatta {

struct FormerOptions {
  ModelSource model;
  LimitsPolicy limits;        // its dtype and fraction are those of `model` and the KV cache
  uint32_t max_inflight = 0;  // 0 = max(2, pp)
  uint32_t max_sampling_rows = 256;
  std::optional<GraphOptions> graphs;  // as asked for; unset = the worker's defaults
  bool deterministic = false;          // see FormRequest
  bool take_over = false;  // until it has formed once: also from other routers, which live
};

struct PlannedGroup {
  uint64_t epoch = 0;
  std::vector<size_t> workers;  // of the pool, in rank order
};

// What Form will do.
struct FormationPlan {
  Layout layout;
  bool on_device = false;
  uint64_t max_message_bytes = 0;
  FormRequest request;  // but for epoch and rank
  std::vector<PlannedGroup> groups;
  std::vector<PlannedGroup> stale;  // one worker each: what they hold is dissolved first
  std::set<size_t> taken;           // of those, from routers that live
  std::vector<WorkerDescription>
      workers;  // of the whole pool; without an answer: a default message
};

struct FormedGroup {
  PlannedGroup plan;
  Formed formed;
};

// `copies` groups of `ranks` workers each, from those that are usable (true), every group on one
// host: CPU ranks share its memory, and no communicator of ours spans hosts yet. RESOURCE_EXHAUSTED
// names what is needed and what is free where.
absl::StatusOr<std::vector<std::vector<size_t>>> ChooseWorkers(
    const std::vector<WorkerDescription>& workers, const std::vector<bool>& usable, uint32_t ranks,
    uint32_t copies);

class Former {
 public:
  // `pool` and `spec` must outlive it.
  Former(Pool& pool, const ModelSpec& spec, FormerOptions options)
      : pool_(pool), spec_(spec), options_(std::move(options)) {}

  // Asks the workers and plans `layout` on those not in `busy`. Zero fields of `asked` are derived.
  // `wait`: until the timeout, for workers that are still starting. Ranks that were left behind are
  // dissolved; ABORTED names a worker that serves another router, when too few are left without.
  absl::StatusOr<FormationPlan> Plan(const Layout& layout, const Limits& asked,
                                     const std::set<size_t>& busy, absl::Duration timeout,
                                     bool wait);

  // Dissolves what is stale; `plan.workers` says so of those that it could free. Errors are told by
  // Form: a worker that cannot be freed cannot be formed.
  void Dissolve(FormationPlan& plan);
  // Forms all groups in parallel. On an error everything formed is dissolved.
  absl::StatusOr<std::vector<FormedGroup>> Form(const FormationPlan& plan, absl::Duration timeout,
                                                const FormProgressSink& progress);

 private:
  // Fills `workers` and `alive`; the first error, if any.
  absl::Status DescribeWorkers(absl::Duration timeout, bool wait,
                               std::vector<WorkerDescription>& workers, std::vector<bool>& alive);
  // Dissolves what neither this router nor another that lives has formed; the others' by worker,
  // with what they say.
  std::map<size_t, absl::Status> FindOthers(const std::set<size_t>& busy,
                                            const std::vector<bool>& alive,
                                            std::vector<WorkerDescription>& workers);
  // As ChooseWorkers, without those of `others` where that is possible or they must not be taken.
  absl::StatusOr<std::vector<std::vector<size_t>>> Choose(
      const Layout& layout, const std::vector<WorkerDescription>& workers, std::vector<bool> usable,
      const std::map<size_t, absl::Status>& others) const;
  FormRequest MakeFormRequest(const Layout& layout, const GroupLimits& limits) const;

  Pool& pool_;
  const ModelSpec& spec_;
  const FormerOptions options_;
  uint64_t newest_epoch_ = 0;
  bool formed_once_ = false;
  std::map<size_t, uint64_t> own_;  // by worker: the newest epoch that it was formed with
};

}  // namespace regatta
