// Drives targets with a load: client threads send the requests of a batch as the options say, each
// with a target of its own, and every request is recorded. Computes no metric.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "orchestrator/load/client_thread.h"
#include "orchestrator/load/load_options.h"
#include "orchestrator/load/target.h"
#include "orchestrator/workload/workload.h"

namespace regatta {

class LoadGenerator final {
 public:
  using OnProgress = std::function<void(const LoadProgress&)>;

  // One client thread per target, of at least one; fewer where the concurrency is lower. Targets
  // must outlive the generator and have no other user.
  explicit LoadGenerator(const std::vector<Target*>& targets);
  explicit LoadGenerator(Target& target) : LoadGenerator(std::vector<Target*>{&target}) {}

  // Runs `batch` to its end. What is sent and when it is due do not depend on the number of
  // threads. Errors of requests are recorded, none aborts the run. `stop` turning true cancels what
  // runs and returns soon. `progress` is called about five times a second, on the calling thread.
  LoadResult Run(const Batch& batch, const LoadOptions& options, const std::atomic<bool>& stop,
                 const OnProgress& progress);

 private:
  struct Client {
    Target* target = nullptr;
    uint64_t next_tag = 0;  // late events of earlier points have smaller tags
  };
  using Threads = std::vector<std::unique_ptr<ClientThread>>;

  uint32_t ThreadsFor(const Batch& batch, const LoadOptions& options) const;
  LoadResult Collect(const Threads& threads, const SharedLoad& load);

  std::vector<Client> clients_;
};

}  // namespace regatta
