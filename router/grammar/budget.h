// What compiling one schema may cost. The first overrun sticks, so that builders need not look
// after every state that they add.
#pragma once

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "router/grammar/schema_error.h"

namespace regatta::grammar {

// Of all patterns of a schema, limits of length written out.
inline constexpr size_t kMaxPatternEdgesTogether = 300'000;

class Budget {
 public:
  Budget(size_t max_states, absl::Duration time)
      : max_states_(max_states), time_(time), deadline_(absl::Now() + time) {}

  // Counts one state. False: no more may be added.
  bool TakeState() {
    if (!status_.ok()) return false;
    if (++states_ > max_states_) {
      Set(SchemaError("#", absl::StrCat("needs more than ", max_states_, " automaton states")));
    }
    if (states_ % 1024 == 0) CheckTime();
    return status_.ok();
  }

  // Counts edges of patterns, which cost more than their states.
  const absl::Status& TakePatternEdges(size_t edges) {
    pattern_edges_ += edges;
    if (status_.ok() && pattern_edges_ > kMaxPatternEdgesTogether) {
      Set(SchemaError("#", absl::StrCat("has patterns that together need more than ",
                                        kMaxPatternEdgesTogether, " edges")));
    }
    return status_;
  }

  // Looks at the clock as well.
  const absl::Status& CheckTime() {
    if (status_.ok() && absl::Now() > deadline_) {
      timed_out_ = true;
      Set(SchemaError("#",
                      absl::StrCat("takes longer to compile than ", absl::FormatDuration(time_))));
    }
    return status_;
  }

  const absl::Status& status() const { return status_; }
  // Whether the time was what did not suffice.
  bool timed_out() const { return timed_out_; }

 private:
  void Set(absl::Status status) { status_ = std::move(status); }

  const size_t max_states_;
  const absl::Duration time_;
  const absl::Time deadline_;
  size_t states_ = 0;
  size_t pattern_edges_ = 0;
  bool timed_out_ = false;
  absl::Status status_;
};

}  // namespace regatta::grammar
