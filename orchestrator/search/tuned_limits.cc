// Limits from a load; see tuned_limits.h.
#include "orchestrator/search/tuned_limits.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace regatta {
namespace {

constexpr double kRoom = 1.25;    // the first overload that a recommendation measures
constexpr double kBatchStep = 8;  // graphs of decoding batches are recorded for multiples of it
constexpr char kGraphs[] = "CUDA graphs";

bool RunsOn(const ClusterDescription& cluster, const std::string& kind) {
  return std::any_of(cluster.workers().begin(), cluster.workers().end(), [&](const auto& worker) {
    return worker.description().device_kind() == kind;
  });
}

uint32_t CopiesOf(const PointReport& point) { return std::max(1u, point.world_info().dp_size()); }

void TuneBatchSize(const PointReport& point, uint32_t measured_with, TunedLimits& tuned) {
  const uint32_t users = point.regatta().concurrency(), copies = CopiesOf(point);
  const double of_a_copy = std::ceil(1.0 * users / copies);
  const double roomy = std::ceil(kRoom * of_a_copy / kBatchStep) * kBatchStep;
  std::string reason = absl::StrFormat(
      "%g times the %d users over %d %s of the model, in whole %g: who joins never waits for the "
      "place of one who leaves",
      kRoom, users, copies, copies == 1 ? "copy" : "copies", kBatchStep);
  tuned.set_max_batch_size(static_cast<uint32_t>(roomy));
  if (measured_with > 0 && measured_with <= tuned.max_batch_size()) {
    tuned.set_max_batch_size(measured_with);
    absl::StrAppend(&reason, "; no more than it was measured with");
  }
  tuned.add_reasons(absl::StrCat("max_batch_size ", tuned.max_batch_size(), ": ", reason));
}

// What was not measured is not known to serve the load.
void NoteAsMeasured(const char* limit, uint32_t measured_with, TunedLimits& tuned) {
  if (measured_with == 0) return;
  tuned.add_reasons(absl::StrCat(limit, " ", measured_with, ": as it was measured"));
}

std::string Comments(const std::string& text) {
  return absl::StrCat("# ", absl::StrReplaceAll(text, {{"\n", "\n# "}}), "\n");
}

std::string LayoutYaml(const Layout& layout) {
  std::string yaml;
  const auto add = [&yaml](const char* key, uint32_t value) {
    absl::StrAppend(&yaml, key, ": ", std::max(1u, value), "\n");
  };
  add("tensor_parallel_size", layout.attention_tp());
  add("pipeline_parallel_size", layout.pp());
  add("moe_expert_parallel_size", layout.expert_ep());
  add("data_parallel_size", layout.copies());
  return yaml;
}

// Keys and values, each below its reason.
std::string LimitsYaml(const TunedLimits& tuned) {
  std::string yaml;
  const auto explain = [&](absl::string_view limit) {
    for (const std::string& reason : tuned.reasons()) {
      if (absl::StartsWith(reason, limit)) yaml += Comments(reason);
    }
  };
  const auto add = [&](const char* key, uint32_t value) {
    if (value == 0) return;
    explain(key);
    absl::StrAppend(&yaml, key, ": ", value, "\n");
  };
  add("max_batch_size", tuned.max_batch_size());
  add("max_num_tokens", tuned.max_num_tokens());
  add("max_seq_len", tuned.max_seq_len());
  if (tuned.cuda_graph_max_batch_size() > 0) {
    explain(kGraphs);
    absl::StrAppend(&yaml,
                    "cuda_graph_config:\n  max_batch_size: ", tuned.cuda_graph_max_batch_size(),
                    "\n  enable_padding: true\n");
  }
  return yaml;
}

// Of a router of ours, which tells what it runs with.
std::string PrecisionYaml(const ClusterDescription& cluster) {
  std::string yaml;
  const ModelSource& model = cluster.model();
  if (!model.dtype().empty()) absl::StrAppend(&yaml, "dtype: ", model.dtype(), "\n");
  absl::StrAppend(&yaml, "enable_chunked_prefill: ", cluster.chunked_prefill() ? "true" : "false",
                  "\n");
  if (!cluster.pace_prompts()) yaml += "scheduler_config:\n  pace_prompts: false\n";
  absl::StrAppendFormat(&yaml, "kv_cache_config:\n  free_gpu_memory_fraction: %g\n",
                        cluster.kv_cache_fraction());
  if (!model.kv_cache_dtype().empty()) {
    absl::StrAppend(&yaml, "  dtype: ", model.kv_cache_dtype(), "\n");
  }
  if (!model.quantization().empty()) {
    yaml += Comments(absl::StrCat("Quantised: give --quantization ", model.quantization(),
                                  " beside this file."));
  }
  return yaml;
}

}  // namespace

TunedLimits LimitsOf(const ClusterDescription& cluster) {
  TunedLimits limits;
  limits.set_max_batch_size(cluster.limits().max_batch_size());
  limits.set_max_num_tokens(cluster.limits().max_num_tokens());
  limits.set_max_seq_len(cluster.limits().max_seq_len());
  return limits;
}

TunedLimits TuneLimits(const PointReport& point, const ClusterDescription& cluster) {
  const Limits& measured = cluster.limits();
  TunedLimits tuned;
  TuneBatchSize(point, measured.max_batch_size(), tuned);
  tuned.set_max_num_tokens(measured.max_num_tokens());
  NoteAsMeasured("max_num_tokens", measured.max_num_tokens(), tuned);
  tuned.set_max_seq_len(measured.max_seq_len());
  NoteAsMeasured("max_seq_len", measured.max_seq_len(), tuned);
  if (RunsOn(cluster, "cuda")) {
    tuned.set_cuda_graph_max_batch_size(tuned.max_batch_size());
    tuned.add_reasons(absl::StrFormat(
        "%s up to %d: every batch of decoding sequences replays one, however many join", kGraphs,
        tuned.cuda_graph_max_batch_size()));
  }
  return tuned;
}

std::string TunedYaml(const SweepReport& sweep, const ClusterDescription& cluster) {
  const Recommendation& recommendation = sweep.recommendation();
  const bool ours = cluster.has_limits();
  std::string yaml =
      Comments(absl::StrCat("Written by: ", sweep.command(), "\nFor ", recommendation.concurrency(),
                            " users at once: ", recommendation.question(),
                            ours ? absl::StrCat("\nServe it: regatta serve ",
                                                cluster.model().path(), " --config tuned.yaml")
                                 : "\nThe keys are TensorRT-LLM's: trtllm-serve reads them too."));
  if (ours) yaml += LayoutYaml(cluster.layout());
  yaml += LimitsYaml(recommendation.tuned_limits());
  return ours ? yaml + PrecisionYaml(cluster) : yaml;
}

}  // namespace regatta
