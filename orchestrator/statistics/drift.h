// A machine that changes while it is measured: the same load, measured twice.
#pragma once

#include <string>
#include <vector>

#include "proto/results.pb.h"

namespace regatta {

// Of speeds; less is the noise of short runs.
inline constexpr double kNoticedDrift = 0.1;

struct MeasuredTwice {
  std::string name;                     // "concurrency 4"
  double before = 0, after = 0;         // tok/s per user
  std::string when_before, when_after;  // "in the search"
  const Interval* interval = nullptr;   // of `after`; null where it has none
};

// "concurrency 4 had 71.4 tok/s per user in the search, 57.1 when it was confirmed (-20.0 %)" where
// they differ by more than kNoticedDrift of the former, and it is outside of the interval; else
// empty.
std::string DriftOf(const MeasuredTwice& speeds);

// One sentence of all that drifted: how, what follows from it, and what to do. Empty where nothing
// did.
std::string DriftSentence(const std::vector<std::string>& drifted, const std::string& so);

}  // namespace regatta
