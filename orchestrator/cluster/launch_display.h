// How far the start of a cluster is: one line per stage, refreshed on a terminal.
#pragma once

#include <cstdio>
#include <string>

#include "absl/time/time.h"
#include "orchestrator/terminal/status_line.h"

namespace regatta {

// "load          42 %   12.4 s"; without a percentage while `fraction` is 0.
std::string FormatLaunchStage(const std::string& stage, double fraction, absl::Duration elapsed);

class LaunchDisplay {
 public:
  // Writes to `out`, which must outlive it; whether that is a terminal decides the form.
  explicit LaunchDisplay(std::FILE* out) : line_(out) {}

  // On a terminal always shown; elsewhere when a stage ends, and every five seconds.
  void Update(const std::string& stage, double fraction);
  // The stage shown last is over, and so is the start.
  void Finish();

 private:
  void EndStage();

  StatusLine line_;
  std::string stage_;  // empty = none yet
  absl::Time stage_began_, shown_;
};

}  // namespace regatta
