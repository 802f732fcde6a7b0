// `regatta sweep`: load points over concurrency, with table and frontier.
#include <CLI/CLI.hpp>
#include <memory>

#include "common/status_macros.h"
#include "orchestrator/benchmark/benchmark.h"
#include "orchestrator/benchmark/benchmark_options.h"
#include "orchestrator/commands/commands.h"

namespace regatta {
namespace {

struct SweepFlags {
  BenchmarkOptions benchmark;
  std::string concurrency = "1:64:x2";
};

absl::StatusOr<std::vector<LoadPoint>> PointsOf(const SweepFlags& flags) {
  ASSIGN_OR_RETURN(const std::vector<uint32_t> concurrencies, ParseConcurrency(flags.concurrency));
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
  CLI::App& command = *app.add_subcommand(
      "sweep", "Measures load points over concurrency and draws the throughput/speed frontier.");
  auto flags = std::make_shared<SweepFlags>();
  command
      .add_option("--concurrency", flags->concurrency,
                  "requests kept running at each point: 1,2,4 or 1:1024:x2 or 1:16:+1")
      ->capture_default_str();
  AddBenchmarkFlags(command, flags->benchmark);
  command.footer(
      std::string("Examples:\n"
                  "  regatta sweep --model MODEL --dataset 128_128.jsonl --tp 2 "
                  "--concurrency 1:256:x2\n"
                  "  regatta sweep --url grpc://router:9000 --model MODEL --concurrency 1,8,64\n") +
      kExitCodesHelp);
  command.callback([flags, &context, &command] {
    context.chosen = [flags, &context, &command] {
      return RunSweep(*flags, context.command_line, command.config_to_str(/*default_also=*/true));
    };
  });
}

}  // namespace regatta
