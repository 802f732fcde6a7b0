// Two runs side by side: effects with intervals and verdicts at each load that both have. Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "orchestrator/compare/gate.h"
#include "proto/comparison.pb.h"
#include "proto/results.pb.h"

namespace regatta {

inline constexpr char kComparisonSchema[] = "regatta-compare-1";

struct ComparisonOptions {
  double margin = 0.01;  // changes up to it do not matter; 0..1
  std::vector<Gate> gates;
};

// Of a margin in 0..1 and conditions as ParseGate reads them. INVALID_ARGUMENT names what is wrong.
absl::StatusOr<ComparisonOptions> ComparisonOptionsOf(double margin,
                                                      absl::Span<const std::string> fail_if);

struct ComparedRun {
  std::string path;  // its directory or id, for people
  SweepReport sweep;
};

// B against A, like with like (MatchRuns). Runs in which requests failed are left out, and counted.
// Runs that were interleaved (regatta.comparison) are compared as pairs, others as independent
// samples. Where both have several loads of a layout, "all loads" is a row of its own: of every
// repeat that is whole the geometric mean over the loads. Intervals of figures have 95 % each;
// those of gates 95 % together, whatever there is to judge. INVALID_ARGUMENT when there is no load
// that both measured.
absl::StatusOr<Comparison> CompareRuns(const ComparedRun& a, const ComparedRun& b,
                                       const ComparisonOptions& options);

}  // namespace regatta
