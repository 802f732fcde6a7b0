// The commands that an orchestrator service runs for others: their flags, and what they would say
// of them.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "orchestrator/benchmark/benchmark_options.h"

namespace CLI {
class App;
}

namespace regatta {

class Submittable {
 public:
  virtual ~Submittable() = default;
  // Binds the command's flags to this, which must outlive `command`.
  virtual void AddFlags(CLI::App& command) = 0;
  // What the command would refuse of the flags that `command` has parsed. Files that they name are
  // elsewhere and not looked at.
  virtual absl::Status Check(const CLI::App& command) = 0;
  virtual const BenchmarkOptions& benchmark() const = 0;
};

// "sweep", "recommend", "partition".
absl::Span<const char* const> SubmittableNames();

// Null where `name` is none of them.
std::unique_ptr<Submittable> MakeSubmittable(absl::string_view name);

}  // namespace regatta
