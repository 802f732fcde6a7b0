// FakeCompiler: compiles "schemas" that are numbers, seeds of the simulation's constraint; others
// are refused. Can be told to keep its callers waiting.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "router/grammar/output_constraint.h"
#include "tests/sim/fake_constraint.h"

namespace regatta {

class FakeCompiler final : public ConstraintCompiler {
 public:
  void Compile(const Constraint& constraint, Done done) override {
    {
      absl::MutexLock lock(&mutex_);
      if (holding_) {
        held_.emplace_back(constraint, std::move(done));
        return;
      }
    }
    done(Compiled(constraint));
  }

  // From now on compilations do not end, until they are let go.
  void Hold() {
    absl::MutexLock lock(&mutex_);
    holding_ = true;
  }
  void LetGo() {
    std::vector<std::pair<Constraint, Done>> held;
    {
      absl::MutexLock lock(&mutex_);
      holding_ = false;
      held.swap(held_);
    }
    for (auto& [constraint, done] : held) done(Compiled(constraint));
  }
  size_t held() {
    absl::MutexLock lock(&mutex_);
    return held_.size();
  }

 private:
  static absl::StatusOr<std::unique_ptr<OutputConstraint>> Compiled(const Constraint& constraint) {
    uint64_t seed = 0;
    if (!absl::SimpleAtoi(constraint.json_schema(), &seed)) {
      return absl::InvalidArgumentError(
          absl::StrCat("constraint.json_schema: '", constraint.json_schema(), "' is no number"));
    }
    return std::make_unique<sim::FakeConstraint>(seed);
  }

  absl::Mutex mutex_;
  bool holding_ = false;
  std::vector<std::pair<Constraint, Done>> held_;
};

}  // namespace regatta
