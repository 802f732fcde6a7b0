// `regatta sweep`: load points over concurrency or request rate, with table and frontier.
#include <CLI/CLI.hpp>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/benchmark.h"
#include "orchestrator/benchmark/benchmark_options.h"
#include "orchestrator/benchmark/request_rates.h"
#include "orchestrator/commands/commands.h"

namespace regatta {
namespace {

constexpr char kUsualConcurrency[] = "1:64:x2";

struct SweepFlags {
  BenchmarkOptions benchmark;
  std::string concurrency;
  std::string request_rate;
};

// Points over the rate; a concurrency, when given, is the cap of all.
absl::StatusOr<std::vector<LoadPoint>> PointsOverRate(const SweepFlags& flags) {
  ASSIGN_OR_RETURN(const std::vector<double> rates, ParseRequestRates(flags.request_rate));
  if (flags.concurrency.empty()) return PlanRates(rates, 0, flags.benchmark.num_requests);
  ASSIGN_OR_RETURN(const std::vector<uint32_t> caps, ParseConcurrency(flags.concurrency));
  if (caps.size() == 1) return PlanRates(rates, caps[0], flags.benchmark.num_requests);
  return absl::InvalidArgumentError(absl::StrCat("--concurrency '", flags.concurrency, "' has ",
                                                 caps.size(),
                                                 " values, with --request-rate it is one cap"));
}

absl::StatusOr<std::vector<LoadPoint>> PointsOf(const SweepFlags& flags) {
  if (flags.benchmark.load.fixed_schedule) {
    return absl::InvalidArgumentError(
        "--fixed-schedule is one load: `regatta throughput` replays it");
  }
  if (!flags.request_rate.empty()) return PointsOverRate(flags);
  const std::string text = flags.concurrency.empty() ? kUsualConcurrency : flags.concurrency;
  ASSIGN_OR_RETURN(const std::vector<uint32_t> concurrencies, ParseConcurrency(text));
  return PlanPoints(concurrencies, flags.benchmark.num_requests);
}

int RunSweep(const SweepFlags& flags, const std::string& command_line,
             const std::string& configuration) {
  absl::StatusOr<std::vector<LoadPoint>> points = PointsOf(flags);
  if (!points.ok()) return ExitCodeOf(points.status());
  BenchmarkPlan plan;
  plan.points = *std::move(points);
  plan.show_overview = true;
  plan.command_line = command_line;
  plan.configuration = configuration;
  return RunBenchmark(flags.benchmark, plan);
}

}  // namespace

void AddSweepCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand("sweep",
                                          "Measures load points over concurrency or request rate "
                                          "and draws the throughput/speed frontier.");
  auto flags = std::make_shared<SweepFlags>();
  command
      .add_option("--concurrency", flags->concurrency,
                  "requests kept running at each point: 1,2,4 or 1:1024:x2 or 1:16:+1")
      ->default_str(kUsualConcurrency);
  command.add_option("--request-rate", flags->request_rate,
                     "sweep requests per second instead: 1,2,4 or 1:64:x2 or 1:4:+0.5; "
                     "--concurrency then caps what runs at once");
  AddBenchmarkFlags(command, flags->benchmark);
  command.footer(
      std::string("Examples:\n"
                  "  regatta sweep --model MODEL --dataset 128_128.jsonl --tp 2 "
                  "--concurrency 1:256:x2\n"
                  "  regatta sweep --url grpc://router:9000 --model MODEL --concurrency 1,8,64\n"
                  "  regatta sweep --url http://server:8000 --dataset chat.jsonl --request-rate "
                  "1:64:x2\n") +
      kExitCodesHelp);
  command.callback([flags, &context, &command] {
    context.chosen = [flags, &context, &command] {
      return RunSweep(*flags, context.command_line, command.config_to_str(/*default_also=*/true));
    };
  });
}

}  // namespace regatta
