// How far a load point is: one refreshed line on a terminal, plain lines elsewhere.
#pragma once

#include <cstdio>
#include <optional>
#include <string>

#include "orchestrator/benchmark/time_left.h"
#include "orchestrator/load/load_generator.h"
#include "orchestrator/terminal/status_line.h"

namespace regatta {

// "[2/5] concurrency 4: 17/40 done, 4 in flight, 812.4 tok/s, TTFT p95 40.1 ms, TPOT p95 6.1 ms,
// ETA 12 s, whole run 3 min to 5 min".
std::string FormatProgress(const std::string& label, const LoadProgress& progress,
                           const std::optional<TimeLeft>& left);
// ", ETA 12 s, whole run 3 min to 5 min"; empty where nothing is known.
std::string FormatTimeLeft(const std::optional<TimeLeft>& left);

class ProgressLine {
 public:
  // Writes to `out`, which must outlive it; whether that is a terminal decides the form.
  explicit ProgressLine(std::FILE* out) : line_(out) {}

  // On a terminal always shown, elsewhere at most every two seconds.
  void Update(const std::string& label, const LoadProgress& progress,
              const std::optional<TimeLeft>& left);
  bool on_terminal() const { return line_.on_terminal(); }
  // A terminal's line is removed, so that what follows begins on a clean one.
  void Finish() { line_.Remove(); }

 private:
  StatusLine line_;
  double last_shown_s_ = 0;
};

}  // namespace regatta
