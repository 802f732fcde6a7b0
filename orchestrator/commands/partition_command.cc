// `regatta partition`: which layout and precision of a pool wins at which speed, by measuring them.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/flags.h"
#include "common/model_spec.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/benchmark_input.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/cluster/plan.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/given_flags.h"
#include "orchestrator/commands/partition_flags.h"
#include "orchestrator/commands/resumed_flags.h"
#include "orchestrator/commands/run_record.h"
#include "orchestrator/hub/model_argument.h"
#include "orchestrator/partition/partition_experiment.h"
#include "orchestrator/partition/pool_facts.h"
#include "orchestrator/partition/session_bench.h"
#include "orchestrator/report/partition_text.h"
#include "orchestrator/terminal/interrupt.h"

namespace regatta {
namespace {

constexpr uint32_t kMaxRounds = 16;

// Flags that a sweep takes and an experiment does not.
absl::Status CheckWhatIsSearched(const PartitionFlags& flags) {
  const BenchmarkOptions& options = flags.benchmark;
  const ClusterOptions& cluster = options.cluster;
  if (cluster.tp || cluster.pp || cluster.ep || cluster.dp) {
    return absl::InvalidArgumentError(
        "--tp, --pp, --ep and --dp are what is searched; --layouts tp2-dp2,tp4 tries only those");
  }
  if (options.load.fixed_schedule) {
    return absl::InvalidArgumentError("--fixed-schedule: an experiment is over concurrency");
  }
  if (!flags.precision.empty() && (!cluster.dtype.empty() || !cluster.quantization.empty() ||
                                   !cluster.kv_cache_dtype.empty())) {
    return absl::InvalidArgumentError(
        "--precision says what --dtype, --quantization and --kv-cache-dtype would: give one or the "
        "other");
  }
  if (!options.streaming) {
    return absl::InvalidArgumentError("--no-streaming: without token times no user has a speed");
  }
  return absl::OkStatus();
}

absl::Status CheckFlagsOfPool(const PartitionFlags& flags) {
  const std::string& url = flags.benchmark.url;
  if (url.empty()) return absl::OkStatus();
  if (absl::StartsWith(url, "http")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--url ", url, ": only a router of ours re-forms its pool; give its grpc://HOST:PORT"));
  }
  if (flags.benchmark.gpus > 0 || !flags.gpu.empty()) {
    return absl::InvalidArgumentError(
        "--gpus and --gpu have no effect with --url: the router tells its pool");
  }
  if (!flags.precision.empty()) {
    return absl::InvalidArgumentError(
        "--precision needs other weights and thus another launch: with --url only the precision "
        "that runs there can be measured");
  }
  if (flags.benchmark.cluster.model.empty()) {
    return absl::InvalidArgumentError(
        "--url: give --model as well, whose config.json says what layouts are possible");
  }
  return absl::OkStatus();
}

// The pool of --dry-run --gpu H100.
absl::StatusOr<PoolFacts> PoolInMind(const PartitionFlags& flags) {
  if (!flags.dry_run) {
    return absl::InvalidArgumentError("--gpu is for --dry-run: what is measured is what is there");
  }
  if (flags.benchmark.gpus == 0) {
    return absl::InvalidArgumentError(absl::StrCat("--gpu ", flags.gpu, ": give --gpus N as well"));
  }
  PoolFacts pool = {flags.benchmark.gpus, flags.gpu};
  ASSIGN_OR_RETURN(pool.memory_gib, GpuMemoryGib(flags.gpu));
  pool.kv_cache_fraction = flags.benchmark.cluster.kv_cache_fraction.value_or(0.9);
  return pool;
}

absl::StatusOr<PoolFacts> PoolToLaunch(const PartitionFlags& flags) {
  if (!flags.gpu.empty()) return PoolInMind(flags);
  return PoolOfHost(flags.benchmark.cluster, flags.benchmark.gpus);
}

absl::StatusOr<ExperimentPlan> ExperimentPlanOf(const PartitionFlags& flags) {
  ExperimentPlan plan;
  ASSIGN_OR_RETURN(const auto concurrencies, ParseConcurrency(flags.concurrency));
  ASSIGN_OR_RETURN(plan.points, PlanPoints(concurrencies, flags.benchmark.num_requests));
  plan.rounds = flags.rounds;
  plan.repeats = flags.benchmark.repeats;
  plan.seed = flags.benchmark.random_seed;
  plan.margin = flags.margin;
  plan.max_ttft_ms = flags.benchmark.max_ttft_ms;
  if (!flags.benchmark.user_speeds.empty()) plan.user_speeds = flags.benchmark.user_speeds;
  return plan;
}

absl::StatusOr<CandidateInput> CandidateInputOf(const PartitionFlags& flags,
                                                const ExperimentPlan& plan, PoolFacts pool) {
  CandidateInput input;
  input.pool = std::move(pool);
  input.dummy_weights = flags.benchmark.cluster.dummy_weights;
  ASSIGN_OR_RETURN(input.checkpoint, LoadModelSpec(flags.benchmark.cluster.model));
  if (flags.precision.empty()) {
    input.precisions = {GivenPrecision(flags.benchmark.cluster)};
  } else {
    ASSIGN_OR_RETURN(input.precisions, ParsePrecisions(flags.precision));
  }
  if (!flags.layouts.empty()) {
    ASSIGN_OR_RETURN(input.layouts, ParseLayouts(flags.layouts, input.pool.ranks));
  }
  ASSIGN_OR_RETURN(const Dataset dataset, LoadBenchmarkDataset(flags.benchmark, 1));
  const WorkloadMeans means = MeansOf(flags.benchmark, dataset);
  input.load.input_tokens = std::max(1u, means.input);
  input.load.output_tokens = std::max(1u, means.output);
  for (const LoadPoint& point : plan.points) input.concurrencies.push_back(point.concurrency);
  return input;
}

// The whole part of a run that goes on, before its directory is taken up; empty of a new one.
absl::StatusOr<SweepReport> WholeOf(const std::string& directory) {
  if (directory.empty()) return SweepReport();
  ASSIGN_OR_RETURN(const RunDirectory run, RunDirectory::Open(directory));
  return run.LoadWhole();
}

// What the session needs: the pool is told by the ranks, the speeds are the experiment's.
BenchmarkOptions SessionOptions(BenchmarkOptions options) {
  options.gpus = 0;
  options.user_speeds.clear();
  return options;
}

absl::Status CheckAny(const std::vector<Candidate>& candidates, const SweepReport& described) {
  if (!candidates.empty() && candidates.front().dropped.empty()) return absl::OkStatus();
  std::cerr << CandidatesText(described);
  return absl::FailedPreconditionError("no layout of the pool suits the model");
}

// A directory, a report: also where a run that goes on lacked nothing but its end.
absl::Status OpenAny(const std::vector<Candidate>& candidates, SessionBench& bench) {
  const PartitionReport& partition = bench.sweep().partition();
  for (int i = 0; bench.session() == nullptr && i < partition.candidates_size(); ++i) {
    if (partition.candidates(i).fate() != "swept") continue;
    RETURN_IF_ERROR(bench.Form(candidates[i]).status());
  }
  return absl::OkStatus();
}

// Runs the experiment, gives a pool that was joined its layout back, writes the reports.
absl::Status Measure(const ExperimentPlan& plan, const std::vector<Candidate>& candidates,
                     const std::atomic<bool>& stop, SessionBench& bench) {
  const auto say = [](const std::string& text) { std::cout << text << std::flush; };
  absl::Status status = RunPartitionExperiment(plan, candidates, say, stop, bench);
  if (status.ok() && !stop.load()) status = OpenAny(candidates, bench);
  if (bench.session() == nullptr) return status;
  const absl::Status restored = bench.Restore();
  const absl::Status finished = bench.session()->Finish(status.ok() && !stop.load(), true);
  for (const absl::Status& next : {restored, finished}) {
    if (status.ok()) status = next;
  }
  return status;
}

// The candidates, in the results in place of those with which the run was begun.
absl::Status Describe(const CandidateInput& input, const std::vector<Candidate>& candidates,
                      ExperimentPlan& plan, SweepReport& sweep) {
  plan.begun.Swap(sweep.mutable_partition());
  sweep.mutable_partition()->Clear();
  DescribeCandidates(input, candidates, plan, *sweep.mutable_partition());
  if (plan.begun.candidates().empty()) return absl::OkStatus();
  const auto names = [](const PartitionReport& partition) {
    std::vector<std::string> names;
    for (const PartitionCandidate& candidate : partition.candidates()) {
      names.push_back(ContenderName(candidate.layout(), candidate.precision()));
    }
    return absl::StrJoin(names, ", ");
  };
  const std::string before = names(plan.begun), now = names(sweep.partition());
  if (before == now) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "--resume: the candidates are ", now, "; when the experiment was begun they were ", before));
}

absl::Status RunExperiment(PartitionFlags& flags, RunRecord record, const std::atomic<bool>& stop,
                           uint32_t& failed_requests) {
  RETURN_IF_ERROR(CheckPartitionFlags(flags));
  BenchmarkOptions& options = flags.benchmark;
  ASSIGN_OR_RETURN(ExperimentPlan plan, ExperimentPlanOf(flags));
  const bool weights = options.url.empty() && !options.cluster.dummy_weights && !flags.dry_run;
  ASSIGN_OR_RETURN(options.cluster.model,
                   ResolveModel(options.cluster.model,
                                weights ? ModelParts::kAll : ModelParts::kWithoutWeights, stop));
  record.foreseen = plan.points;
  PoolFacts pool;
  if (options.url.empty()) {
    ASSIGN_OR_RETURN(pool, PoolToLaunch(flags));
  }
  ASSIGN_OR_RETURN(SweepReport begun, WholeOf(flags.resume));
  SessionBench bench(SessionOptions(options), std::move(record), std::move(begun), pool.ranks,
                     stop);
  if (!options.url.empty()) {
    RETURN_IF_ERROR(bench.Join());
    pool = PoolOfCluster(bench.session()->serving().description);
  }
  ASSIGN_OR_RETURN(const CandidateInput input, CandidateInputOf(flags, plan, std::move(pool)));
  ASSIGN_OR_RETURN(const std::vector<Candidate> candidates, EnumerateCandidates(input));
  RETURN_IF_ERROR(Describe(input, candidates, plan, bench.sweep()));
  RETURN_IF_ERROR(CheckAny(candidates, bench.sweep()));
  std::cout << CandidatesText(bench.sweep()) << std::flush;
  if (flags.dry_run) return absl::OkStatus();
  const absl::Status status = Measure(plan, candidates, stop, bench);
  if (bench.session() != nullptr) failed_requests = bench.session()->failed_requests();
  return status;
}

int RunPartition(PartitionFlags flags, RunRecord record) {
  if (!flags.resume.empty()) {
    const absl::StatusOr<SweepReport> begun = LoadResults(flags.resume);
    if (!begun.ok()) return ExitCodeOf(begun.status());
    const absl::Status taken = TakeOver(*begun, record.command, AddPartitionFlags, flags);
    if (!taken.ok()) return ExitCodeOf(taken);
    if (begun->completed()) return FinishComplete(*begun, flags.resume);
  }
  record.flags = flags.given;
  record.resume = flags.resume;
  record.brief = true;
  record.name = "partition";
  record.re_forms = true;
  const std::atomic<bool>& stop = InterruptFlag();
  uint32_t failed_requests = 0;
  const absl::Status status = RunExperiment(flags, std::move(record), stop, failed_requests);
  if (!status.ok()) return ExitCodeOf(status);
  if (stop.load()) return kExitInterrupted;
  return failed_requests > 0 ? kExitRequestsFailed : kExitOk;
}

}  // namespace

void AddPartitionFlags(CLI::App& command, PartitionFlags& flags) {
  command
      .add_option("--concurrency", flags.concurrency,
                  "requests kept running at each point: 1,2,4 or 1:1024:x2 or 1:16:+1")
      ->capture_default_str();
  command.add_option("--precision", flags.precision,
                     "each is launched by itself: fp32, fp16, bf16, fp8, fp8-static, with -kv "
                     "behind it for an fp8 KV cache (default: as the checkpoint is)");
  command.add_option("--layouts", flags.layouts,
                     "only these, such as tp4,tp2-dp2,tp4-ep4; without dp they fill the pool "
                     "(default: every one that fills it)");
  command
      .add_option("--rounds", flags.rounds,
                  "of successive halving before the sweep of what is left; 0 sweeps all")
      ->check(WholeRange(0, kMaxRounds))
      ->capture_default_str();
  command
      .add_option("--margin", flags.margin,
                  "no layout is dropped that comes this close to the best at some speed, 0 to 1")
      ->check(FiniteRange(0.0, 1.0))
      ->capture_default_str();
  command.add_flag("--dry-run", flags.dry_run, "print the candidates and measure nothing");
  command.add_option("--gpu", flags.gpu,
                     "with --dry-run: of a pool that is not here (H200, H100, A100-80GB, ...)");
  command
      .add_option("--resume", flags.resume,
                  "directory of an experiment that was cut short: measures what is missing, with "
                  "the flags it was begun with")
      ->check(CLI::ExistingDirectory);
  AddBenchmarkFlags(command, flags.benchmark);
  // Other tools' protocols fix the loads that are chosen here.
  command.remove_option(command.get_option("--compat"));
  command.get_option("--gpus")
      ->description("ranks of the pool that is launched (default: all GPUs of this host)")
      ->group("Cluster");
  command.get_option("--url")->description(
      "grpc://HOST:PORT of a running router, whose pool is re-formed and in the end given its "
      "layout back");
  command.get_option("--repeats")
      ->description(
          "runs of each point of the sweep that follows the rounds; from 5 on with intervals");
  command.get_option("--user-speed")
      ->description("tok/s of a user at which layouts are compared (default: 20 50 100)");
  // What is searched, and what has no meaning here.
  for (const char* name : {"--tp", "--pp", "--ep", "--dp", "--endpoint", "--model-name",
                           "--continuous-usage", "--fixed-schedule"}) {
    command.get_option(name)->group("");
  }
}

absl::Status CheckPartitionFlags(const PartitionFlags& flags) {
  RETURN_IF_ERROR(CheckWhatIsSearched(flags));
  RETURN_IF_ERROR(CheckFlagsOfPool(flags));
  return ExperimentPlanOf(flags).status();
}

void AddPartitionCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "partition",
      "Finds which layout (tp, pp, ep, dp) and precision of a pool wins at which speed: re-forms "
      "the live pool for each, drops what is best nowhere, sweeps the rest.");
  auto flags = std::make_shared<PartitionFlags>();
  AddPartitionFlags(command, *flags);
  command.footer(
      std::string(
          "Examples:\n"
          "  regatta partition --model MODEL --gpus 4 --concurrency 1:256:x4\n"
          "  regatta partition --model MODEL --gpus 1 --precision bf16,fp8-static --concurrency "
          "1:1024:x2\n"
          "  regatta partition --model MODEL --gpus 8 --layouts tp8,tp4,tp4-ep4 --user-speed "
          "50\n"
          "  regatta partition --url grpc://router:9000 --model MODEL\n"
          "  regatta partition --resume results/20261122T183140Z-MODEL-partition\n"
          "  regatta partition --model MODEL --gpus 8 --gpu H200 --dry-run\n") +
      kExitCodesHelp);
  command.callback([flags, &command, &context] {
    flags->given = GivenFlags(command);
    context.chosen = [flags, &context, &command] {
      return RunPartition(*flags, RunRecordOf(command, context));
    };
  });
}

}  // namespace regatta
