// What a run's directory holds beside its results: single requests and the course of each point.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/results.pb.h"

namespace regatta {

struct PointDetails {
  // Of completed requests that streamed, in the order of the file; empty without requests.jsonl.
  std::vector<double> ttft_ms;  // first token - sent; - due where IsFromDue
  std::vector<double> tpot_ms;  // (last - first token) / (tokens - 1)
  PointTimeline timeline;       // empty without timeline.jsonl
};

struct RunDetails {
  std::vector<PointDetails> points;  // as many as the sweep has
};

// Reads requests.jsonl and timeline.jsonl of `dir`, where they are, for the points of `sweep`,
// whose run_number their lines carry. Errors as ForEachJsonLine's.
absl::StatusOr<RunDetails> LoadRunDetails(const std::string& dir, const SweepReport& sweep);

}  // namespace regatta
