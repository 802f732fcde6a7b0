// Data set or synthetic prompts; see benchmark_input.h.
#include "orchestrator/benchmark/benchmark_input.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/input_file.h"
#include "common/model_spec.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/protocol.h"
#include "orchestrator/cluster/model_check.h"
#include "orchestrator/hub/model_argument.h"
#include "orchestrator/workload/counter_random.h"
#include "orchestrator/workload/prompt_tokens.h"
#include "orchestrator/workload/synthetic.h"

namespace regatta {
namespace {

constexpr uint32_t kSyntheticLength = 128;
constexpr double kCpuSecondsPerPoint = 12;
// More would only cost memory: further prompts are variations of these.
constexpr uint32_t kMaxSyntheticPrompts = 4096;

absl::StatusOr<Dataset> MakeSynthetic(const BenchmarkOptions& options, uint32_t requests) {
  if (options.cluster.model.empty()) {
    return absl::InvalidArgumentError("give --dataset FILE, or --model DIR for synthetic prompts");
  }
  ASSIGN_OR_RETURN(const auto vocabulary, LoadOrdinaryTokens(options.cluster.model, ""));
  const auto length = [](uint32_t given) { return given > 0 ? given : kSyntheticLength; };
  const uint32_t input = length(options.target_input_len);
  const uint32_t output = length(options.target_output_len);
  ASSIGN_OR_RETURN(SyntheticOptions synthetic,
                   SyntheticOptionsOf(options.synthetic, input, output));
  synthetic.num_requests = std::clamp(requests, 1u, kMaxSyntheticPrompts);
  synthetic.seed = options.random_seed;
  Dataset dataset;
  dataset.path = absl::StrCat("synthetic ", input, "/", output);
  ASSIGN_OR_RETURN(dataset.entries, MakeSyntheticDataset(synthetic, vocabulary));
  return dataset;
}

// Files are often sorted by kind or length; points are to get the same mix (Fisher and Yates 1938).
void Shuffle(uint64_t seed, std::vector<DatasetEntry>& entries) {
  for (size_t i = entries.size(); i > 1; --i) {
    std::swap(entries[i - 1], entries[DrawBelow(i, seed, RandomStream::kOrder, i, 0)]);
  }
}

// A cluster that is launched here reads texts with the model's own tokenizer.
absl::Status CheckTexts(const BenchmarkOptions& options, const Dataset& dataset) {
  const std::string& model = options.cluster.model;
  if (!options.url.empty() || model.empty() || HasTokenizer(model)) return absl::OkStatus();
  for (const DatasetEntry& entry : dataset.entries) {
    if (!entry.input_ids.empty()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(PlaceOf(dataset, entry), ": a prompt of text, and ", model,
                     " has no tokenizer.json; copy it there, or give input_ids"));
  }
  return absl::OkStatus();
}

// Over HTTP a session's prompts must be text: its answers come as text.
absl::Status CheckSessions(const BenchmarkOptions& options, const Dataset& dataset) {
  if (!absl::StartsWith(options.url, "http")) return absl::OkStatus();
  for (const DatasetEntry& entry : dataset.entries) {
    if (entry.next_turns.empty() || entry.input_ids.empty()) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        PlaceOf(dataset, entry), ": a session of token ids: over HTTP sessions are of text"));
  }
  return absl::OkStatus();
}

absl::Status CheckTurnDelay(const BenchmarkOptions& options, bool has_sessions) {
  const LoadShapeOptions& load = options.load;
  if (has_sessions || load.turn_delay_mean_ms + load.turn_delay_stdev_ms == 0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(load.turn_delay_mean_ms > 0 ? "--turn-delay-mean" : "--turn-delay-stdev",
                   " has no effect: the data set has no sessions of several turns"));
}

absl::Status PutInOrderOfTime(Dataset& dataset) {
  for (const DatasetEntry& entry : dataset.entries) {
    if (entry.timestamp_ms.has_value()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--fixed-schedule: ", PlaceOf(dataset, entry), " has no 'timestamp'"));
  }
  std::stable_sort(dataset.entries.begin(), dataset.entries.end(),
                   [](const DatasetEntry& a, const DatasetEntry& b) {
                     return *a.timestamp_ms < *b.timestamp_ms;
                   });
  return absl::OkStatus();
}

}  // namespace

absl::Status TakeModel(BenchmarkOptions& options, const std::atomic<bool>& stop) {
  // A running router has the weights already.
  const bool launched = options.url.empty();
  const bool weights = launched && !options.cluster.dummy_weights;
  ASSIGN_OR_RETURN(options.cluster.model,
                   ResolveModel(options.cluster.model,
                                weights ? ModelParts::kAll : ModelParts::kWithoutWeights, stop));
  // Synthetic prompts and the launch say that one must be given.
  const bool checked = launched && !options.cluster.model.empty();
  if (!checked) return absl::OkStatus();
  RETURN_IF_ERROR(CheckModelFiles(options.cluster));
  ASSIGN_OR_RETURN(const ModelSpec spec, LoadModelSpec(options.cluster.model));
  return CheckEosId(options, spec.vocab_size, spec.name);
}

absl::Status CheckEosId(const BenchmarkOptions& options, uint32_t vocab_size,
                        const std::string& model) {
  if (options.eos_id.value_or(-1) < int64_t{vocab_size}) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--eos-id: ", *options.eos_id,
                                                 " is outside -1 to ", int64_t{vocab_size} - 1,
                                                 ", the vocabulary of ", model));
}

absl::Status CheckServedModel(const BenchmarkOptions& options, const ClusterDescription& cluster,
                              std::ostream& notes) {
  const bool known = !cluster.architecture().empty();  // null servers have none
  if (!known || !HasFile(options.cluster.model, "config.json")) return absl::OkStatus();
  ASSIGN_OR_RETURN(const ModelSpec spec, LoadModelSpec(options.cluster.model));
  const auto shape = [](const std::string& architecture, uint64_t parameters, uint64_t vocabulary) {
    return absl::StrCat(" (", architecture, ", ", parameters, " parameters, vocabulary ",
                        vocabulary, ")");
  };
  const std::string given = shape(spec.architecture, spec.NumParameters(), spec.vocab_size);
  const std::string served =
      shape(cluster.architecture(), cluster.parameters(), cluster.vocab_size());
  if (given != served) {
    return absl::InvalidArgumentError(
        absl::StrCat("--model: ", spec.name, given, " is not what the router at --url serves: ",
                     cluster.model_name(), served, "; give that model, or leave --model out"));
  }
  if (spec.name != cluster.model_name()) {
    notes << "! --model is " << spec.name << ", the router calls what it serves "
          << cluster.model_name() << "\n";
  }
  return absl::OkStatus();
}

absl::Status CheckSchedule(const BenchmarkOptions& options, const Dataset& dataset,
                           uint32_t requests) {
  if (!options.load.fixed_schedule || requests <= dataset.entries.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--num-requests is ", requests, ", the trace has ", dataset.entries.size()));
}

absl::StatusOr<Dataset> LoadBenchmarkDataset(const BenchmarkOptions& options, uint32_t requests) {
  if (options.dataset.empty() && options.load.fixed_schedule) {
    return absl::InvalidArgumentError("--fixed-schedule needs --dataset with timestamps");
  }
  if (options.dataset.empty()) {
    RETURN_IF_ERROR(CheckTurnDelay(options, /*has_sessions=*/false));
    return MakeSynthetic(options, requests);
  }
  ASSIGN_OR_RETURN(Dataset dataset, LoadDataset(options.dataset));
  RETURN_IF_ERROR(CheckTurnDelay(options, dataset.has_sessions()));
  RETURN_IF_ERROR(CheckSessions(options, dataset));
  RETURN_IF_ERROR(CheckTexts(options, dataset));
  if (options.load.fixed_schedule) {
    RETURN_IF_ERROR(PutInOrderOfTime(dataset));
  } else if (options.protocol != kTrtllmBenchProtocol) {  // which keeps the file's order
    Shuffle(options.random_seed, dataset.entries);
  }
  // Over HTTP answers come as text, so sessions go on in text.
  const bool as_text = dataset.has_sessions() && absl::StartsWith(options.url, "http");
  if (!as_text && HasTokenizer(options.cluster.model)) {
    RETURN_IF_ERROR(TokenizePrompts(options.cluster.model, dataset));
  }
  if (HasFile(options.cluster.model, "config.json")) {
    ASSIGN_OR_RETURN(const ModelSpec spec, LoadModelSpec(options.cluster.model));
    RETURN_IF_ERROR(CheckTokenIds(dataset, spec.vocab_size, options.cluster.model));
  }
  return dataset;
}

WorkloadMeans MeansOf(const BenchmarkOptions& options, const Dataset& dataset) {
  WorkloadMeans means{options.target_input_len, options.target_output_len};
  if (means.input == 0) means.input = std::lround(dataset.mean_input_length());
  if (means.output == 0) means.output = std::lround(dataset.mean_output_length());
  return means;
}

uint32_t WarmupRequestsAt(const BenchmarkOptions& options, const LoadPoint& point) {
  constexpr double kMost = 64;
  if (options.protocol == kInferenceMaxProtocol) return 2 * point.concurrency;
  if (options.warmup >= 0) return options.warmup;
  const double users = point.concurrency > 0 ? point.concurrency : point.request_rate;
  return static_cast<uint32_t>(std::clamp(users, 2.0, kMost));
}

absl::StatusOr<uint32_t> PromptsOf(const std::vector<LoadPoint>& points,
                                   const BenchmarkOptions& options) {
  constexpr uint32_t kMost = std::numeric_limits<uint32_t>::max();
  uint64_t prompts = 0;
  for (const LoadPoint& point : points) {
    prompts += uint64_t{point.requests} + WarmupRequestsAt(options, point);
  }
  if (prompts <= kMost) return static_cast<uint32_t>(prompts);
  return absl::InvalidArgumentError(absl::StrCat("the run would send ", prompts,
                                                 " requests, at most ", kMost,
                                                 " are possible: lower --num-requests"));
}

double MaxSecondsPerPoint(const BenchmarkOptions& options, bool performance_figure) {
  if (options.max_time_per_point_s >= 0) return options.max_time_per_point_s;
  const bool asked_for_so_many = options.num_requests > 0;
  return performance_figure || asked_for_so_many ? 0 : kCpuSecondsPerPoint;
}

WorkloadOptions WorkloadOptionsOf(const BenchmarkOptions& options, const Dataset& dataset) {
  WorkloadOptions workload;
  workload.eos_id = options.eos_id.value_or(-1);
  workload.honor_eos = dataset.has_answers() && !options.eos_id.has_value();
  workload.prefix_cache = options.prefix_cache;
  workload.turn_delay_mean_ms = options.load.turn_delay_mean_ms;
  workload.turn_delay_stdev_ms = options.load.turn_delay_stdev_ms;
  workload.seed = options.random_seed;
  workload.cache_salt = options.load.cache_salt;
  return workload;
}

}  // namespace regatta
