// The first formation: of workers that may still start, or still serve another router; see
// coordinator.h.
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "common/layout.h"
#include "router/cluster/coordinator.h"

namespace regatta {
namespace {

constexpr absl::Duration kAskOwnedAgain = absl::Milliseconds(500);

}  // namespace

// Workers of another router are waited for, as long as for those that do not answer.
Coordinator::Formation Coordinator::FormAtStart() {
  const absl::Time deadline = absl::Now() + options_.start_timeout;
  std::string said;
  while (true) {
    Formation formation =
        FormNow(layout_, asked_limits_, {}, std::max(deadline - absl::Now(), kAskOwnedAgain),
                options_.form_timeout, true);
    if (!absl::IsAborted(formation.status)) return formation;
    formation.status = absl::AbortedError(absl::StrCat(
        formation.status.message(), "; stop that one, or start this one with --take-over"));
    if (absl::Now() + kAskOwnedAgain > deadline) return formation;
    if (const std::string why(formation.status.message()); why != said) {
      Log(absl::StrCat("waiting: ", why));
      said = why;
      // Clients need not know where workers and routers are.
      SetAdmission(
          absl::UnavailableError("the cluster has not started: its workers serve another router"));
    }
    absl::SleepFor(kAskOwnedAgain);
  }
}

absl::Status Coordinator::Start() {
  absl::Notification ready;
  absl::Status status;
  Log(absl::StrCat("forming ", LayoutName(layout_), " from ", pool_.size(),
                   pool_.size() == 1 ? " worker" : " workers"));
  Post([this, &ready, &status] {
    RunJob([this] { return FormAtStart(); },
           [this, &ready, &status](Formation formation) {
             status = formation.status;
             if (status.ok()) {
               WarnOfGraphsOnCpu(formation.plan);
               AddGroups(formation);
             }
             started_ = status.ok();
             ready.Notify();
           });
  });
  ready.WaitForNotification();
  return status;
}

void Coordinator::WarnOfGraphsOnCpu(const FormationPlan& plan) const {
  if (plan.on_device || !options_.former.graphs) return;
  Log("cuda_graph_config, use_cuda_graph and --cuda-graphs have no effect on CPU ranks");
}

}  // namespace regatta
