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

// What a protocol does in place of a flag.
struct Decision {
  const char* flag;
  const char* how;
};

constexpr char kNamedLoads[] = "measures the loads that are named";
constexpr char kLengths[] = "draws lengths uniformly between 0.8 times the target and the target";
constexpr char kNothingShared[] = "sends prompts that share nothing";
constexpr char kNoTimeLimit[] = "has no time limit";
constexpr char kNoPrefixCache[] = "leaves the prefix cache off";
constexpr char kLoop[] = "sends in a closed loop";
constexpr char kNoRamp[] = "has all users there from the start";
constexpr char kNoSalt[] = "sends prompts as they are";
constexpr char kNoCancellation[] = "cancels nothing";

constexpr Decision kOfInferenceMax[] = {
    {"--adaptive", kNamedLoads},
    {"--dataset", "sends random ids of --target-input-len and --target-output-len"},
    {"--num-requests", "sends 10 requests per user"},
    {"--range-ratio", kLengths},
    {"--range-ratio-meaning", kLengths},
    {"--input-stdev", kLengths},
    {"--output-stdev", kLengths},
    {"--eos-id", "ignores end tokens"},
    {"--num-prefix-prompts", kNothingShared},
    {"--prefix-length", kNothingShared},
    {"--warmup", "sends a point's first prompt before it, twice per user"},
    {"--max-time-per-point", kNoTimeLimit},
    {"--prefix-cache", kNoPrefixCache},
    {"--streaming", "streams"},
    {"--fixed-schedule", kLoop},
    {"--request-rate", kLoop},
    {"--concurrency-ramp-duration", kNoRamp},
    {"--cache-salt", kNoSalt},
    {"--request-cancellation-rate", kNoCancellation}};
constexpr Decision kOfTrtllmBench[] = {
    {"--adaptive", kNamedLoads},
    {"--warmup", "sends 2 requests before a point"},
    {"--max-time-per-point", kNoTimeLimit},
    {"--prefix-cache", kNoPrefixCache},
    {"--fixed-schedule", "sends in a closed loop, or all at once"},
    {"--request-rate", "sends in a closed loop, or all at once"},
    {"--concurrency-ramp-duration", kNoRamp},
    {"--cache-salt", kNoSalt},
    {"--request-cancellation-rate", kNoCancellation}};

absl::Span<const Decision> Decided(const std::string& protocol) {
  if (protocol == kInferenceMaxProtocol) return kOfInferenceMax;
  if (protocol == kTrtllmBenchProtocol) return kOfTrtllmBench;
  return {};
}

}  // namespace

absl::Status CheckProtocol(const BenchmarkOptions& options, const std::vector<std::string>& given) {
  for (const Decision& decided : Decided(options.protocol)) {
    for (const std::string& flag : given) {
      if (flag.substr(0, flag.find('=')) != decided.flag) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          flag, ": --compat ", options.protocol, " ", decided.how,
          "; with anything else figures could not be held against published ones: leave ",
          decided.flag, " out, or --compat"));
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
