// What recent requests met, over all client threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "orchestrator/load/load_options.h"
#include "orchestrator/load/recent_values.h"

namespace regatta {

inline constexpr int64_t kRecentNs = 2'000'000'000;

// Of one latency. The thread that watches owns it.
class LatencyWindow {
 public:
  explicit LatencyWindow(size_t threads) : seen_(threads, 0) {}

  // What came from thread number `thread` since the last look counts as of `now_ns`.
  void Look(size_t thread, const RecentValues& values, int64_t now_ns);
  // Of what is no older than kRecentNs.
  RecentLatency Summary(int64_t now_ns);

 private:
  struct Value {
    int64_t time_ns;
    double ms;
  };

  std::vector<uint64_t> seen_;  // by thread
  std::deque<Value> values_;
};

}  // namespace regatta
