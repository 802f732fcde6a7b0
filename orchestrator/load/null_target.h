// The null engine as a target in this process: what the load generator itself costs.
#pragma once

#include "orchestrator/load/null_engine.h"
#include "orchestrator/load/target.h"

namespace regatta {

class NullTarget final : public Target {
 public:
  explicit NullTarget(const NullTiming& timing) : engine_(timing) {}

  void Start(uint64_t tag, const GenerateRequest& request) override;
  void Cancel(uint64_t tag) override;
  void Poll(int64_t deadline_ns, TargetEvents& events) override;

 private:
  NullEngine engine_;
};

}  // namespace regatta
