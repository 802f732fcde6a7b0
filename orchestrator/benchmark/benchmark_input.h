// The prompts of a benchmark run: read or made, tokenised, and described for the heuristics.
#pragma once

#include <atomic>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/benchmark/benchmark_options.h"
#include "orchestrator/benchmark/serving.h"
#include "orchestrator/benchmark/sweep.h"
#include "orchestrator/workload/dataset.h"
#include "orchestrator/workload/workload.h"

namespace regatta {

// Replaces the model of `options` by its directory, pulling what is named as on the Hub, and checks
// --eos-id and the files of one that is to be launched here; of a server behind --url nothing is
// checked. Errors as of ResolveModel and CheckModelFiles.
absl::Status TakeModel(BenchmarkOptions& options, const std::atomic<bool>& stop);

// options.dataset in an order drawn from the seed, or of its timestamps with a fixed schedule, its
// text prompts as ids where the model's tokenizer is at hand; or synthetic prompts of the target
// lengths, enough for `requests`.
absl::StatusOr<Dataset> LoadBenchmarkDataset(const BenchmarkOptions& options, uint32_t requests);

// INVALID_ARGUMENT when --eos-id is no token of `model`, which has `vocab_size` of them.
absl::Status CheckEosId(const BenchmarkOptions& options, uint32_t vocab_size,
                        const std::string& model);

// OK when the router serves what --model is, or it is not known what. INVALID_ARGUMENT names both:
// prompts would be of another vocabulary. That they differ in name alone is said in `notes`.
absl::Status CheckServedModel(const BenchmarkOptions& options, const ClusterDescription& cluster,
                              std::ostream& notes);

// INVALID_ARGUMENT when a fixed schedule has fewer timestamps than `requests`.
absl::Status CheckSchedule(const BenchmarkOptions& options, const Dataset& dataset,
                           uint32_t requests);

// Lengths given, else those of the data set.
WorkloadMeans MeansOf(const BenchmarkOptions& options, const Dataset& dataset);

// How requests end, from --eos-id and whether the data set has answers.
WorkloadOptions WorkloadOptionsOf(const BenchmarkOptions& options, const Dataset& dataset);

// Requests before a point that are not measured: as many as were asked for, else one per user or
// request of a second, 2 to 64.
uint32_t WarmupRequestsAt(const BenchmarkOptions& options, const LoadPoint& point);

// Prompts that `points` take, warm-ups included. INVALID_ARGUMENT for more than can be counted.
absl::StatusOr<uint32_t> PromptsOf(const std::vector<LoadPoint>& points,
                                   const BenchmarkOptions& options);

// Seconds after which a point issues no more requests; 0 = none.
double MaxSecondsPerPoint(const BenchmarkOptions& options, bool performance_figure);

}  // namespace regatta
