// What a load point asks of the load generator, how far it is, and what it leaves behind.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "orchestrator/statistics/statistics.h"
#include "proto/results.pb.h"

namespace regatta {

struct LoadOptions {
  // Requests (or sessions of several turns) at once; 0 = unlimited, for an open loop or a burst.
  uint32_t concurrency = 1;
  // When request i is due, in nanoseconds from the start, ascending (arrivals.h); a full
  // concurrency delays it further. Empty: as soon as there is a place, which is a closed loop.
  std::vector<int64_t> due_ns;
  uint32_t threads = 0;  // most client threads; 0 = one per target
  // Over that long the concurrency grows from one to its full value.
  absl::Duration concurrency_ramp;
  // This share of requests, 0..1, drawn from the seed, is cancelled so long after it was sent.
  double cancellation_rate = 0;
  absl::Duration cancellation_delay;
  uint64_t seed = 0;
  // After that no further request is issued; those running end by themselves.
  absl::Duration max_time = absl::InfiniteDuration();
  // Without any event for so long while something runs, it is cancelled and counted as failed; so
  // is one request alone that stops after its first token.
  absl::Duration stall_timeout = absl::Seconds(120);
};

// Of requests within the last two seconds; a sample of them where they are very many.
struct RecentLatency {
  uint32_t requests = 0;  // 0: the others are not known
  double p50_ms = 0, p95_ms = 0;
};

struct LoadProgress {
  uint32_t total = 0, issued = 0, completed = 0, failed = 0, in_flight = 0;
  uint64_t output_tokens = 0;
  double elapsed_s = 0;
  double tokens_per_s = 0;  // over the last two seconds
  RecentLatency ttft;       // of requests whose first token came, from when they were sent
  RecentLatency tpot;       // of requests that completed with several tokens
};

struct LoadResult {
  int64_t start_ns = 0;  // RealClock; times of the samples count from it
  PointSamples samples;  // in order of index; interrupted requests are left out
  ClientReport client;   // without verdict and calibration
  uint32_t peak_in_flight = 0;
  bool cut_short = false;    // by max_time, by `stop`, or because nothing came any more
  bool stalled = false;      // no token of any request came for stall_timeout
  bool interrupted = false;  // by `stop`
};

}  // namespace regatta
