// NewestReading: of one GPU, from the thread that reads or hears it to whoever asks. Ages it, so
// that whoever hears it next knows when it was read, whatever its clock.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "proto/gpu.pb.h"

namespace regatta {

// Thread-safe; held for a copy only.
class NewestReading {
 public:
  void Set(GpuReading reading) ABSL_LOCKS_EXCLUDED(mutex_) {
    const int64_t read_ns = RealClock().NowNs() - reading.age_ns();
    absl::MutexLock lock(&mutex_);
    reading_ = std::move(reading);
    read_ns_ = read_ns;
  }
  // As old as it is now; none yet: empty.
  std::optional<GpuReading> Get() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    std::optional<GpuReading> reading = reading_;
    if (reading.has_value()) reading->set_age_ns(RealClock().NowNs() - read_ns_);
    return reading;
  }

 private:
  mutable absl::Mutex mutex_;
  std::optional<GpuReading> reading_ ABSL_GUARDED_BY(mutex_);
  int64_t read_ns_ ABSL_GUARDED_BY(mutex_) = 0;  // of this host's clock
};

}  // namespace regatta
