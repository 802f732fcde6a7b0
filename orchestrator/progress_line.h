// How far a load point is: one refreshed line on a terminal, plain lines elsewhere.
#pragma once

#include <cstdio>
#include <string>

#include "orchestrator/load_generator.h"

namespace regatta {

// "[2/5] concurrency 4: 17/40 done, 4 in flight, 812.4 tok/s, ETA 12 s".
std::string FormatProgress(const std::string& label, const LoadProgress& progress);

class ProgressLine {
 public:
  // Writes to `out`, which must outlive it; whether that is a terminal decides the form.
  explicit ProgressLine(std::FILE* out);
  // Ends the line, if one is open.
  ~ProgressLine() { Finish(); }

  // On a terminal always shown, elsewhere at most every two seconds.
  void Update(const std::string& label, const LoadProgress& progress);
  // A terminal's line is removed, so that what follows begins on a clean one.
  void Finish();

 private:
  std::FILE* const out_;
  const bool terminal_;
  bool open_ = false;
  double last_shown_s_ = 0;
};

}  // namespace regatta
