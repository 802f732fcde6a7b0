// How far a download is: one refreshed line on a terminal, plain lines elsewhere.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "orchestrator/terminal/status_line.h"

namespace regatta {

// "1.5 GB", "12.0 MB", "340 kB": powers of ten.
std::string FormatBytes(uint64_t bytes);

// "[######..............]  30 %  4.8/16.1 GB  98.2 MB/s  ETA 1m55s". `rate` in bytes per second.
std::string FormatPull(uint64_t done, uint64_t total, double rate);

class PullProgress {
 public:
  // `total` bytes, of which `present` were there already. `line` must outlive it.
  PullProgress(StatusLine& line, uint64_t total, uint64_t present);

  // On a terminal shown ten times a second, elsewhere every five seconds.
  void Update(uint64_t done);

 private:
  StatusLine& line_;
  const uint64_t total_;
  const absl::Time began_;
  absl::Time shown_, measured_;
  uint64_t measured_done_;
  double rate_ = 0;  // bytes per second, smoothed
};

}  // namespace regatta
