// Lines and tables of a cluster; see cluster_text.h.
#include "orchestrator/cluster/cluster_text.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/layout.h"
#include "common/size_text.h"
#include "orchestrator/cluster/gpu_software.h"
#include "orchestrator/terminal/text_table.h"

namespace regatta {
namespace {

std::string Line(const char* label, const std::string& value) {
  return absl::StrFormat("%-10s%s\n", label, value);
}

std::string ModelText(const ClusterDescription& cluster) {
  const ModelSource& source = cluster.model();
  std::string out = Line("Model:", absl::StrFormat("%s, %s, %d parameters, vocabulary of %d",
                                                   cluster.model_name(), cluster.architecture(),
                                                   cluster.parameters(), cluster.vocab_size()));
  absl::StrAppend(&out, Line("Path:", source.path()));
  absl::StrAppend(
      &out, Line("Weights:",
                 absl::StrCat(source.dtype(), ", KV cache ", source.kv_cache_dtype(),
                              source.quantization().empty() ? "" : ", ", source.quantization(),
                              source.dummy_weights() ? ", dummy (seeded)" : "",
                              source.dummy_router_skew() > 0
                                  ? absl::StrCat(", router skew ", source.dummy_router_skew())
                                  : "")));
  return out;
}

std::string LimitsText(const ClusterDescription& cluster) {
  const Limits& limits = cluster.limits();
  std::string out =
      Line("Limits:",
           absl::StrFormat("%d sequences and %d tokens a step, %d tokens a sequence",
                           limits.max_batch_size(), limits.max_num_tokens(), limits.max_seq_len()));
  for (absl::string_view reason : absl::StrSplit(limits.reasoning(), '\n', absl::SkipEmpty())) {
    absl::StrAppend(&out, Line("", std::string(reason)));
  }
  absl::StrAppend(
      &out, Line("KV cache:",
                 absl::StrFormat("%.4g%% of the memory left, blocks of %d tokens, prefix cache %s",
                                 cluster.kv_cache_fraction() * 100, cluster.block_size(),
                                 cluster.prefix_cache() ? "on" : "off")));
  absl::StrAppend(
      &out, Line("Steps:",
                 absl::StrFormat("%d in flight, chunked prefill %s, prompts %s",
                                 cluster.max_inflight(), cluster.chunked_prefill() ? "on" : "off",
                                 cluster.pace_prompts() ? "paced" : "at once")));
  if (cluster.deterministic()) {
    absl::StrAppend(&out, Line("Bits:", "the same whatever shares a step (deterministic)"));
  }
  return out;
}

std::string GroupsText(const ClusterDescription& cluster) {
  std::vector<TextRow> rows = {{"GROUP", "EPOCH", "STATE", "KV TOKENS", "WORKERS BY RANK"}};
  for (const GroupDescription& group : cluster.groups()) {
    rows.push_back({absl::StrCat(group.group()), absl::StrCat(group.epoch()), group.state(),
                    absl::StrCat(uint64_t{group.kv_blocks()} * group.block_size()),
                    absl::StrJoin(group.addresses(), " ")});
  }
  return TableText(rows);
}

// Empty where no worker tells.
std::string GpuText(const ClusterDescription& cluster) {
  const GpuSoftwareText software = GpuSoftwareOf(cluster);
  std::string out;
  const auto add = [&](const char* name, const std::string& version) {
    if (version.empty()) return;
    absl::StrAppend(&out, out.empty() ? "" : ", ", name, " ", version);
  };
  add("driver", software.driver);
  add("CUDA", software.cuda);
  add("NCCL", software.nccl);
  return out.empty() ? "" : Line("GPUs:", out);
}

std::string DeviceText(const WorkerDescription& device) {
  const double watts = device.gpu().power_limit_w();
  return absl::StrCat(device.device_kind(), ": ", device.device_name(),
                      watts > 0 ? absl::StrFormat(", limit %.0f W", watts) : "");
}

std::string WorkersText(const ClusterDescription& cluster) {
  std::vector<TextRow> rows = {{"WORKER", "GROUP", "HOST", "MEMORY", "DEVICE"}};
  for (const PoolWorker& worker : cluster.workers()) {
    const WorkerDescription& device = worker.description();
    rows.push_back({worker.address(), worker.group() < 0 ? "idle" : absl::StrCat(worker.group()),
                    device.host(), SizeText(device.memory_bytes()), DeviceText(device)});
  }
  return TableText(rows);
}

}  // namespace

std::string ClusterText(const ClusterDescription& cluster) {
  const char* security = cluster.tls()        ? "TLS"
                         : cluster.insecure() ? "plaintext, off loopback too"
                                              : "plaintext on loopback";
  return absl::StrCat(
      ModelText(cluster), Line("Layout:", LayoutName(cluster.layout())), LimitsText(cluster),
      Line("Router:", absl::StrCat(cluster.version(), " (", cluster.commit(), "), ", security)),
      GpuText(cluster), "\n", GroupsText(cluster), "\n", WorkersText(cluster));
}

std::string RepartitionText(const RepartitionProgress& progress) {
  if (progress.stage() != "done") {
    return absl::StrFormat("%-12s %3.0f%%  %d live sequences\n", progress.stage(),
                           progress.fraction() * 100, progress.live_sequences());
  }
  return absl::StrFormat(
      "done in %.2f s: draining %.2f s, dissolving %.2f s, forming %.2f s; %d live sequences "
      "moved\n",
      progress.total_seconds(), progress.drain_seconds(), progress.dissolve_seconds(),
      progress.form_seconds(), progress.live_sequences());
}

}  // namespace regatta
