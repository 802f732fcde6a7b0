// Requests with a constraint wait for its grammar before placement takes them; see coordinator.h.
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "router/cluster/coordinator.h"

namespace regatta {

void Coordinator::Compile(std::unique_ptr<Request> request) {
  if (compiling_.size() >= options_.max_queue_size) {
    Refuse(*request, absl::ResourceExhaustedError(absl::StrCat(
                         compiling_.size(), " constraints are being compiled (max_queue_size ",
                         options_.max_queue_size, ")")));
    return;
  }
  const uint64_t id = request->id;
  const Constraint wanted = request->wanted;
  compiling_.Add(std::move(request));
  ++compilations_;
  options_.constraints->Compile(wanted, [this, id](Compiled compiled) {
    Post([this, id, compiled = std::move(compiled)]() mutable {
      OnCompiled(id, std::move(compiled));
    });
  });
}

void Coordinator::OnCompiled(uint64_t id, Compiled compiled) {
  --compilations_;
  std::unique_ptr<Request> request = compiling_.Take(id);
  if (request == nullptr) return;  // Cancelled, or too late.
  metrics_.GrammarCompiled(clock_.NowNs() - request->output.times().arrived_ns());
  if (!compiled.ok()) return Refuse(*request, compiled.status());
  request->constraint = *std::move(compiled);
  Enqueue(std::move(request));
}

}  // namespace regatta
