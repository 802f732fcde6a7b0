// Conditions on a comparison under which it fails: "output_throughput<-3%", "p95_ttft>+5%".
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "orchestrator/compare/compared_metrics.h"
#include "orchestrator/compare/effect.h"
#include "proto/comparison.pb.h"

namespace regatta {

// Of every interval, and of all gates together.
inline constexpr double kConfidence = 0.95;

struct Gate {
  std::string text;  // as given, without spaces
  const ComparedMetric* metric = nullptr;
  bool below = false;  // fails below the limit, else above it
  double limit = 1;    // of the ratio B / A
};

// METRIC<CHANGE% or METRIC>CHANGE%, the change of B against A. INVALID_ARGUMENT names the part,
// its value and what it may be.
absl::StatusOr<Gate> ParseGate(absl::string_view text);

// The confidence at which each of `judgements` intervals has to be made for all of them together to
// be right with 95 % (Bonferroni's inequality; Dunn 1961): more gates raise no more false alarms.
double ConfidenceOfEach(size_t judgements);

// Whether the condition holds, is excluded or neither, at the confidence of the effect's interval.
GateOutcome Decide(const Gate& gate, const Effect& effect);

}  // namespace regatta
