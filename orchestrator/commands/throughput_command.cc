// `regatta throughput`: one load point, as trtllm-bench's command of that name.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/flags.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/benchmark.h"
#include "orchestrator/benchmark/benchmark_options.h"
#include "orchestrator/benchmark/protocol.h"
#include "orchestrator/benchmark/request_rates.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/given_flags.h"
#include "orchestrator/commands/run_record.h"
#include "orchestrator/workload/dataset.h"

namespace regatta {
namespace {

constexpr uint32_t kSyntheticRequests = 100;  // when nothing says how many

struct ThroughputFlags {
  BenchmarkOptions benchmark;
  int64_t concurrency = -1;
  std::string request_rate;
  std::vector<std::string> given;  // GivenFlags of the command
};

// Without a limit everything is sent at once: as many users as requests.
absl::StatusOr<LoadPoint> UnlimitedPoint(const BenchmarkOptions& options) {
  uint32_t requests = options.num_requests;
  if (requests == 0 && !options.dataset.empty()) {
    ASSIGN_OR_RETURN(const Dataset dataset, LoadDataset(options.dataset));
    requests = dataset.entries.size();
  }
  if (requests == 0) requests = kSyntheticRequests;
  return LoadPoint{requests, requests};
}

// An open loop; the concurrency, when given, is its cap.
absl::StatusOr<LoadPoint> PointAtRate(const ThroughputFlags& flags) {
  ASSIGN_OR_RETURN(const std::vector<double> rates, ParseRequestRates(flags.request_rate));
  if (rates.size() > 1) {
    return absl::InvalidArgumentError(absl::StrCat("--request-rate '", flags.request_rate, "' has ",
                                                   rates.size(),
                                                   " rates: `regatta sweep` takes several"));
  }
  const auto cap = static_cast<uint32_t>(std::max<int64_t>(0, flags.concurrency));
  return PlanRates(rates, cap, flags.benchmark.num_requests)[0];
}

// With --compat the load is another tool's.
absl::StatusOr<LoadPoint> ProtocolPoint(const ThroughputFlags& flags, LoadPoint point) {
  const BenchmarkOptions& options = flags.benchmark;
  RETURN_IF_ERROR(CheckProtocol(options, flags.given));
  if (options.protocol == kInferenceMaxProtocol && flags.concurrency <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--compat ", options.protocol, " needs --concurrency"));
  }
  std::vector<LoadPoint> points = {point};
  RETURN_IF_ERROR(SetProtocolRequests(options, points));
  return points[0];
}

absl::StatusOr<LoadPoint> PointOf(const ThroughputFlags& flags) {
  if (!flags.request_rate.empty()) return PointAtRate(flags);
  if (flags.benchmark.load.fixed_schedule) {
    ASSIGN_OR_RETURN(LoadPoint point, UnlimitedPoint(flags.benchmark));
    point.concurrency = static_cast<uint32_t>(std::max<int64_t>(0, flags.concurrency));
    return point;
  }
  if (flags.concurrency <= 0) return UnlimitedPoint(flags.benchmark);
  const uint32_t concurrency = static_cast<uint32_t>(flags.concurrency);
  ASSIGN_OR_RETURN(const uint32_t requests, RequestsAt(concurrency, flags.benchmark.num_requests));
  return LoadPoint{concurrency, requests};
}

int RunThroughput(const ThroughputFlags& flags, RunRecord record) {
  absl::StatusOr<LoadPoint> point = PointOf(flags);
  if (point.ok()) point = ProtocolPoint(flags, *point);
  if (!point.ok()) return ExitCodeOf(point.status());
  BenchmarkPlan plan;
  plan.points = {*point};
  plan.unlimited = flags.concurrency <= 0;
  plan.record = std::move(record);
  return RunBenchmark(flags.benchmark, plan);
}

}  // namespace

void AddThroughputCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand("throughput", "Measures one load point.");
  auto flags = std::make_shared<ThroughputFlags>();
  command
      .add_option("--concurrency", flags->concurrency,
                  "requests kept running; -1 or 0 sends all at once")
      ->check(WholeRange(-1, kMaxConcurrency))
      ->capture_default_str();
  command.add_option("--request-rate", flags->request_rate,
                     "requests per second, sent whether or not earlier ones have ended; inf sends "
                     "all at once");
  AddBenchmarkFlags(command, flags->benchmark);
  command.footer(
      std::string("Example:\n  regatta throughput --model MODEL --dataset 128_128.jsonl --tp 2 "
                  "--concurrency 64 --report_json point.json\n") +
      kExitCodesHelp);
  command.callback([flags, &context, &command] {
    flags->given = GivenFlags(command);
    context.chosen = [flags, &context, &command] {
      return RunThroughput(*flags, RunRecordOf(command, context));
    };
  });
}

}  // namespace regatta
