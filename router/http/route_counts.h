// How many requests each route has answered, by status.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace regatta {

struct RouteCount {
  std::string method;
  std::string route;  // as registered, braces included
  unsigned status = 0;
  uint64_t requests = 0;
};

// Of one route. Written by all threads that serve connections, once a request.
class StatusCounts {
 public:
  void Count(unsigned status) {
    counts_[std::clamp(status, kFirst, kLast) - kFirst].fetch_add(1, std::memory_order_relaxed);
  }
  // Appends those that are not zero.
  void AppendTo(const std::string& method, const std::string& route,
                std::vector<RouteCount>& out) const {
    for (unsigned status = kFirst; status <= kLast; ++status) {
      const uint64_t requests = counts_[status - kFirst].load(std::memory_order_relaxed);
      if (requests > 0) out.push_back({method, route, status, requests});
    }
  }

 private:
  static constexpr unsigned kFirst = 100, kLast = 599;
  std::array<std::atomic<uint64_t>, kLast - kFirst + 1> counts_ = {};
};

}  // namespace regatta
