// Monotonic time in nanoseconds, as an interface so that tests and simulations bring their own.
#pragma once

#include <chrono>
#include <cstdint>

namespace regatta {

class Clock {
 public:
  virtual ~Clock() = default;
  // Nanoseconds since an arbitrary fixed point; never goes backwards.
  virtual int64_t NowNs() const = 0;
};

class RealClock final : public Clock {
 public:
  int64_t NowNs() const override {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
};

}  // namespace regatta
