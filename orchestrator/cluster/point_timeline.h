// A load point over time, small however long the point lasts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "orchestrator/load/load_generator.h"
#include "proto/cluster.pb.h"
#include "proto/results.pb.h"

namespace regatta {

inline constexpr size_t kMaxTimelineSamples = 600;

// Evenly thinned samples: whenever twice `max_samples` are held every second one goes, and so does
// every second one that comes.
template <typename Sample>
class ThinnedSeries {
 public:
  explicit ThinnedSeries(size_t max_samples) : max_samples_(max_samples) {}

  void Add(const Sample& sample) {
    if (seen_++ % stride_ != 0) return;
    samples_.push_back(sample);
    if (samples_.size() >= 2 * max_samples_) Thin();
  }

  // At most `max_samples`, in the order added.
  std::vector<Sample> Take() {
    if (samples_.size() > max_samples_) Thin();
    return std::move(samples_);
  }

 private:
  void Thin() {
    size_t kept = 0;
    for (size_t i = 0; i < samples_.size(); i += 2) samples_[kept++] = samples_[i];
    samples_.resize(kept);
    stride_ *= 2;
  }

  const size_t max_samples_;
  uint64_t seen_ = 0, stride_ = 1;
  std::vector<Sample> samples_;
};

// Client and router may add from a thread each.
class PointTimelineRecorder {
 public:
  // `start_ns`: RealClock time of the start of the point.
  explicit PointTimelineRecorder(int64_t start_ns) : start_ns_(start_ns) {}

  void AddClient(const LoadProgress& progress);
  // `received_ns`: RealClock time, so that both columns are on one clock; off by the way of a
  // message from router to client.
  void AddRouter(const ClusterState& state, int64_t received_ns);

  // The columns of what was added; leaves nothing behind.
  PointTimeline Take();

 private:
  struct ClientSample {
    double ms = 0, tokens = 0;
    uint32_t in_flight = 0;
  };
  struct RouterSample {
    double ms = 0, kv_usage = 0;
    uint64_t tokens = 0;
    uint32_t running = 0, waiting = 0;
  };

  const int64_t start_ns_;
  ThinnedSeries<ClientSample> client_{kMaxTimelineSamples};
  ThinnedSeries<RouterSample> router_{kMaxTimelineSamples};
};

}  // namespace regatta
