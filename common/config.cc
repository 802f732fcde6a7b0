// Strict YAML -> protobuf by reflection; see config.h.
#include "common/config.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <limits>
#include <numeric>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int kMaxDepth = 16;

// Keys of TensorRT-LLM's LlmArgs that have no meaning here: warned about, not refused, so that its
// files work as they are.
const std::set<std::string>& IgnoredKeys() {
  static const auto* keys = new std::set<std::string>{"allreduce_strategy",
                                                      "attention_dp_config",
                                                      "attn_backend",
                                                      "autotuner_enabled",
                                                      "backend",
                                                      "batch_wait_max_tokens_ratio",
                                                      "batch_wait_timeout_iters",
                                                      "batch_wait_timeout_ms",
                                                      "cache_transceiver_config",
                                                      "capacity_scheduler_policy",
                                                      "context_chunking_policy",
                                                      "copy_on_partial_reuse",
                                                      "disable_overlap_scheduler",
                                                      "dynamic_batch_config",
                                                      "enable_attention_dp",
                                                      "enable_autotuner",
                                                      "enable_energy_metrics",
                                                      "enable_iter_perf_stats",
                                                      "enable_iter_req_stats",
                                                      "enable_lm_head_tp_in_adp",
                                                      "enable_partial_reuse",
                                                      "enable_prefix_aware_scheduling",
                                                      "env_overrides",
                                                      "event_buffer_max_size",
                                                      "gather_generation_logits",
                                                      "guided_decoding_backend",
                                                      "host_cache_size",
                                                      "iter_perf_stats_interval",
                                                      "load_format",
                                                      "max_attention_window",
                                                      "max_beam_width",
                                                      "max_gpu_total_bytes",
                                                      "moe_config",
                                                      "moe_tensor_parallel_size",
                                                      "num_postprocess_workers",
                                                      "onboard_blocks",
                                                      "perf_metrics_max_requests",
                                                      "print_iter_log",
                                                      "return_perf_metrics",
                                                      "sampler_type",
                                                      "secondary_offload_min_priority",
                                                      "speculative_config",
                                                      "stream_interval",
                                                      "torch_compile_config",
                                                      "trust_remote_code",
                                                      "use_cuda_graph",
                                                      "use_kv_cache_manager_v2"};
  return *keys;
}

// Spellings of TensorRT-LLM's own documents for the same field.
std::string Canonical(std::string key) {
  std::replace(key.begin(), key.end(), '-', '_');
  if (key == "padding_enabled") return "enable_padding";
  if (key == "tp_size") return "tensor_parallel_size";
  if (key == "pp_size") return "pipeline_parallel_size";
  if (key == "ep_size") return "moe_expert_parallel_size";
  if (key == "kv_cache_free_gpu_mem_fraction") return "free_gpu_memory_fraction";
  return key;
}

std::string Place(const YAML::Node& node, const std::string& path) {
  return absl::StrCat("line ", node.Mark().line + 1, ": '", path, "'");
}

std::vector<std::string> FieldNames(const Descriptor& descriptor) {
  std::vector<std::string> names;
  for (int i = 0; i < descriptor.field_count(); ++i) names.push_back(descriptor.field(i)->name());
  return names;
}

class YamlReader {
 public:
  explicit YamlReader(std::vector<std::string>& ignored) : ignored_(ignored) {}

  absl::Status ReadMap(const YAML::Node& node, const std::string& path, int depth,
                       Message& message) {
    if (depth > kMaxDepth)
      return absl::InvalidArgumentError(absl::StrCat(Place(node, path), ": nested too deeply"));
    if (!node.IsMap())
      return absl::InvalidArgumentError(
          absl::StrCat(Place(node, path), ": expected keys and values"));
    std::set<std::string> seen;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) {
        return absl::InvalidArgumentError(
            absl::StrCat(Place(entry.first, path), ": a key must be a word"));
      }
      const std::string key = Canonical(entry.first.Scalar());
      const std::string full = path.empty() ? key : absl::StrCat(path, ".", key);
      if (!seen.insert(key).second) {
        return absl::InvalidArgumentError(absl::StrCat(Place(entry.first, full), ": given twice"));
      }
      const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(key);
      if (field == nullptr) {
        RETURN_IF_ERROR(Unknown(entry.first, key, full, *message.GetDescriptor()));
        continue;
      }
      RETURN_IF_ERROR(ReadField(entry.second, full, depth, *field, message));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Unknown(const YAML::Node& node, const std::string& key, const std::string& full,
                       const Descriptor& descriptor) {
    if (IgnoredKeys().count(key) > 0) {
      ignored_.push_back(full);
      return absl::OkStatus();
    }
    const std::string nearest = Nearest(key, FieldNames(descriptor));
    return absl::InvalidArgumentError(
        absl::StrCat(Place(node, full), ": unknown key",
                     nearest.empty() ? "" : absl::StrCat("; did you mean '", nearest, "'?")));
  }

  absl::Status ReadField(const YAML::Node& node, const std::string& path, int depth,
                         const FieldDescriptor& field, Message& message) {
    const Reflection& reflection = *message.GetReflection();
    if (node.IsNull()) return absl::OkStatus();  // `key:` alone leaves the default.
    if (field.is_repeated()) {
      if (!node.IsSequence())
        return absl::InvalidArgumentError(absl::StrCat(Place(node, path), ": expected a list"));
      for (const auto& item : node) {
        ASSIGN_OR_RETURN(const uint32_t value, ReadUint32(item, path));
        reflection.AddUInt32(&message, &field, value);
      }
      return absl::OkStatus();
    }
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return ReadMap(node, path, depth + 1, *reflection.MutableMessage(&message, &field));
      case FieldDescriptor::CPPTYPE_UINT32: {
        ASSIGN_OR_RETURN(const uint32_t value, ReadUint32(node, path));
        reflection.SetUInt32(&message, &field, value);
        return absl::OkStatus();
      }
      case FieldDescriptor::CPPTYPE_DOUBLE: {
        double value = 0;
        if (!node.IsScalar() || !absl::SimpleAtod(node.Scalar(), &value))
          return WrongType(node, path, "a number");
        reflection.SetDouble(&message, &field, value);
        return absl::OkStatus();
      }
      case FieldDescriptor::CPPTYPE_BOOL: {
        bool value = false;
        if (!node.IsScalar() || !absl::SimpleAtob(node.Scalar(), &value))
          return WrongType(node, path, "true or false");
        reflection.SetBool(&message, &field, value);
        return absl::OkStatus();
      }
      default:
        if (!node.IsScalar()) return WrongType(node, path, "a word");
        reflection.SetString(&message, &field, node.Scalar());
        return absl::OkStatus();
    }
  }

  static absl::StatusOr<uint32_t> ReadUint32(const YAML::Node& node, const std::string& path) {
    int64_t value = 0;
    if (!node.IsScalar() || !absl::SimpleAtoi(node.Scalar(), &value))
      return WrongType(node, path, "a whole number");
    if (value < 0 || value > std::numeric_limits<uint32_t>::max()) {
      return absl::InvalidArgumentError(absl::StrCat(Place(node, path), ": ", value,
                                                     " is outside 0 to ",
                                                     std::numeric_limits<uint32_t>::max()));
    }
    return static_cast<uint32_t>(value);
  }

  static absl::Status WrongType(const YAML::Node& node, const std::string& path,
                                const char* expected) {
    const std::string got = node.IsScalar() ? absl::StrCat("'", node.Scalar(), "'")
                            : node.IsMap()  ? "keys"
                                            : "a list";
    return absl::InvalidArgumentError(
        absl::StrCat(Place(node, path), ": expected ", expected, ", got ", got));
  }

  std::vector<std::string>& ignored_;
};

size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substitute = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row.back();
}

}  // namespace

std::string Nearest(absl::string_view word, const std::vector<std::string>& candidates) {
  std::string nearest;
  size_t best = word.size() / 2 + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(word, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

absl::Status ParseYaml(const std::string& text, Message& message,
                       std::vector<std::string>& ignored) {
  try {
    const YAML::Node root = YAML::Load(text);
    if (root.IsNull()) return absl::OkStatus();
    return YamlReader(ignored).ReadMap(root, "", 0, message);
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("not valid YAML: ", error.what()));
  }
}

absl::Status LoadServerConfig(const std::string& path, ServerConfig& config,
                              std::vector<std::string>& ignored) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read configuration '", path, "'"));
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const absl::Status status = ParseYaml(text, config, ignored);
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

}  // namespace regatta
