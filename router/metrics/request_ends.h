// RequestEnds: how many requests have ended in which way. Written by all threads that end requests,
// once a request.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "proto/inference.pb.h"

namespace regatta {

class RequestEnds {
 public:
  void Count(FinishReason reason) { counts_[reason].fetch_add(1, std::memory_order_relaxed); }
  uint64_t Get(FinishReason reason) const {
    return counts_[reason].load(std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<uint64_t>, FinishReason_ARRAYSIZE> counts_ = {};
};

}  // namespace regatta
