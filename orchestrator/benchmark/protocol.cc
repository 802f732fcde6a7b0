// Flags that protocols decide; see protocol.h.
#include "orchestrator/benchmark/protocol.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/status_macros.h"
#include "orchestrator/workload/dataset.h"

namespace regatta {
namespace {

constexpr double kInferenceMaxRangeRatio = 0.8;
constexpr uint32_t kInferenceMaxRequestsPerUser = 10;
constexpr uint32_t kTrtllmBenchWarmups = 2;

constexpr const char* kOfInferenceMax[] = {"--adaptive",
                                           "--dataset",
                                           "--num-requests",
                                           "--range-ratio",
                                           "--range-ratio-meaning",
                                           "--input-stdev",
                                           "--output-stdev",
                                           "--eos-id",
                                           "--num-prefix-prompts",
                                           "--warmup",
                                           "--max-time-per-point",
                                           "--prefix-length",
                                           "--prefix-cache",
                                           "--streaming",
                                           "--fixed-schedule",
                                           "--request-rate",
                                           "--concurrency-ramp-duration",
                                           "--cache-salt",
                                           "--request-cancellation-rate"};
constexpr const char* kOfTrtllmBench[] = {"--adaptive",
                                          "--warmup",
                                          "--max-time-per-point",
                                          "--prefix-cache",
                                          "--fixed-schedule",
                                          "--request-rate",
                                          "--concurrency-ramp-duration",
                                          "--cache-salt",
                                          "--request-cancellation-rate"};

absl::Span<const char* const> Decided(const std::string& protocol) {
  if (protocol == kInferenceMaxProtocol) return kOfInferenceMax;
  if (protocol == kTrtllmBenchProtocol) return kOfTrtllmBench;
  return {};
}

}  // namespace

absl::Status CheckProtocol(const BenchmarkOptions& options, const std::vector<std::string>& given) {
  for (const char* decided : Decided(options.protocol)) {
    for (const std::string& flag : given) {
      if (flag.substr(0, flag.find('=')) != decided) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          flag, ": --compat ", options.protocol, " decides that itself; leave one of them out"));
    }
  }
  return absl::OkStatus();
}

absl::Status SetProtocolRequests(const BenchmarkOptions& options, std::vector<LoadPoint>& points) {
  if (options.protocol == kInferenceMaxProtocol) {
    for (LoadPoint& point : points) {
      point.requests = kInferenceMaxRequestsPerUser * point.concurrency;
    }
  }
  const bool whole_dataset = options.protocol == kTrtllmBenchProtocol && !options.dataset.empty() &&
                             options.num_requests == 0;
  if (!whole_dataset) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Dataset dataset, LoadDataset(options.dataset));
  const auto entries = static_cast<uint32_t>(dataset.entries.size());
  for (LoadPoint& point : points) {
    if (point.concurrency > entries) {
      return absl::InvalidArgumentError(
          absl::StrCat("--concurrency ", point.concurrency, ": --compat ", options.protocol,
                       " sends the data set once, which has ", entries, " requests"));
    }
    point.requests = entries;
  }
  return absl::OkStatus();
}

void ApplyProtocol(BenchmarkOptions& options) {
  if (options.protocol.empty()) return;
  options.max_time_per_point_s = 0;
  if (options.protocol == kTrtllmBenchProtocol) {
    options.warmup = kTrtllmBenchWarmups;
    return;
  }
  options.synthetic.range_ratio = kInferenceMaxRangeRatio;
  options.synthetic.range_meaning = kInferenceMaxProtocol;
}

}  // namespace regatta
