// Strict YAML -> protobuf by reflection; see config.h.
#include "common/config.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <numeric>
#include <set>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/config_numbers.h"
#include "common/input_file.h"
#include "common/status_macros.h"
#include "common/text/utf8.h"

namespace regatta {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int kMaxDepth = 16;
constexpr double kAny = std::numeric_limits<double>::max();
constexpr uintmax_t kMaxFileBytes = 1 << 20;

// Keys of TensorRT-LLM's LlmArgs that have no meaning here, with all that is below them: warned
// about, not refused, so that its files work as they are.
// clang-format off
constexpr const char* kIgnoredKeys[] = {
    "allreduce_strategy", "attention_dp_config", "attn_backend", "autotuner_enabled", "backend",
    "batch_wait_max_tokens_ratio", "batch_wait_timeout_iters", "batch_wait_timeout_ms",
    "cache_transceiver_config", "context_parallel_size", "disable_overlap_scheduler",
    "enable_attention_dp", "enable_autotuner", "enable_energy_metrics",
    "enable_iter_perf_stats", "enable_iter_req_stats", "enable_lm_head_tp_in_adp",
    "env_overrides", "gather_generation_logits", "gpus_per_node", "guided_decoding_backend",
    "iter_perf_stats_interval", "load_format", "max_beam_width", "max_input_len", "moe_config",
    "moe_tensor_parallel_size", "num_postprocess_workers", "perf_metrics_max_requests",
    "print_iter_log", "return_perf_metrics", "sampler_type", "skip_tokenizer_init",
    "speculative_config", "stream_interval", "torch_compile_config", "trust_remote_code",
    "kv_cache_config.copy_on_partial_reuse",
    "kv_cache_config.enable_partial_reuse", "kv_cache_config.event_buffer_max_size",
    "kv_cache_config.host_cache_size", "kv_cache_config.max_attention_window",
    "kv_cache_config.max_gpu_total_bytes", "kv_cache_config.onboard_blocks",
    "kv_cache_config.secondary_offload_min_priority", "kv_cache_config.use_kv_cache_manager_v2",
    "scheduler_config.capacity_scheduler_policy", "scheduler_config.context_chunking_policy", "scheduler_config.dynamic_batch_config",
    "scheduler_config.enable_prefix_aware_scheduling",
};
// clang-format on

bool IsIgnored(absl::string_view path) {
  return std::find(std::begin(kIgnoredKeys), std::end(kIgnoredKeys), path) !=
         std::end(kIgnoredKeys);
}

// Spellings of TensorRT-LLM's own documents for the same field.
constexpr std::pair<const char*, const char*> kSpellings[] = {
    {"padding_enabled", "enable_padding"},
    {"tp_size", "tensor_parallel_size"},
    {"pp_size", "pipeline_parallel_size"},
    {"ep_size", "moe_expert_parallel_size"},
    {"kv_cache_free_gpu_mem_fraction", "free_gpu_memory_fraction"},
};

std::string Canonical(const std::string& given) {
  std::string key = absl::StrReplaceAll(given, {{"-", "_"}});
  for (const auto& [theirs, ours] : kSpellings) {
    if (key == theirs) return ours;
  }
  return key;
}

std::string Place(const YAML::Node& node, const std::string& path) {
  return absl::StrCat("line ", node.Mark().line + 1, ": '", path, "'");
}

std::vector<std::string> FieldNames(const Descriptor& descriptor) {
  std::vector<std::string> names;
  names.reserve(descriptor.field_count());
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
      const std::string given = Canonical(entry.first.Scalar());
      // TensorRT-LLM's way to turn graphs off.
      const bool no_graphs = path.empty() && given == "cuda_graph_config" && entry.second.IsNull();
      const std::string key = no_graphs ? "use_cuda_graph" : given;
      const YAML::Node value = no_graphs ? YAML::Node("false") : entry.second;
      const std::string full = path.empty() ? key : absl::StrCat(path, ".", key);
      if (!seen.insert(key).second) {
        return absl::InvalidArgumentError(absl::StrCat(Place(entry.first, full), ": given twice"));
      }
      const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(key);
      if (field == nullptr) {
        RETURN_IF_ERROR(Unknown(entry.first, key, full, *message.GetDescriptor()));
        continue;
      }
      RETURN_IF_ERROR(ReadField(value, full, depth, *field, message));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Unknown(const YAML::Node& node, const std::string& key, const std::string& full,
                       const Descriptor& descriptor) {
    if (IsIgnored(full)) {
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
        RETURN_IF_ERROR(CheckNumber(node, path, {-kAny, kAny}));
        double value = 0;
        absl::SimpleAtod(node.Scalar(), &value);
        reflection.SetDouble(&message, &field, value);
        return absl::OkStatus();
      }
      case FieldDescriptor::CPPTYPE_BOOL: {
        bool value = false;
        if (!YAML::convert<bool>::decode(node, value)) {
          return WrongType(node, path, "true or false");
        }
        reflection.SetBool(&message, &field, value);
        return absl::OkStatus();
      }
      default:
        if (!node.IsScalar()) return WrongType(node, path, "a word");
        reflection.SetString(&message, &field, node.Scalar());
        return absl::OkStatus();
    }
  }

  // A number in the range of its key, or in `otherwise` when the table has none.
  static absl::Status CheckNumber(const YAML::Node& node, const std::string& path,
                                  const NumberRange& otherwise) {
    const ConfigNumber* known = FindConfigNumber(path);
    const NumberRange& range = known != nullptr ? known->range : otherwise;
    if (!node.IsScalar()) return WrongType(node, path, range.whole ? "a whole number" : "a number");
    const std::string problem = range.Problem(node.Scalar());
    if (problem.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(Place(node, path), ": ", problem));
  }

  static absl::StatusOr<uint32_t> ReadUint32(const YAML::Node& node, const std::string& path) {
    constexpr double kMost = std::numeric_limits<uint32_t>::max();
    RETURN_IF_ERROR(CheckNumber(node, path, {0, kMost, /*whole=*/true}));
    uint32_t value = 0;
    absl::SimpleAtoi(node.Scalar(), &value);
    return value;
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

// Those of a field that is a number or a list of them, as they are written.
std::vector<std::string> ValuesOf(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  if (field.is_repeated()) {
    std::vector<std::string> values;
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
      values.push_back(absl::StrCat(reflection.GetRepeatedUInt32(message, &field, i)));
    }
    return values;
  }
  const bool real = field.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE;
  return {real ? absl::StrCat(reflection.GetDouble(message, &field))
               : absl::StrCat(reflection.GetUInt32(message, &field))};
}

// Numbers that were given are in the range of their key; in submessages too.
absl::Status CheckNumbers(const Message& message, const std::string& path) {
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> given;
  reflection.ListFields(message, &given);
  for (const FieldDescriptor* field : given) {
    const std::string full = absl::StrCat(path, field->name());
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      RETURN_IF_ERROR(CheckNumbers(reflection.GetMessage(message, field), absl::StrCat(full, ".")));
    }
    const ConfigNumber* number = FindConfigNumber(full);
    if (number == nullptr) continue;
    for (const std::string& value : ValuesOf(message, *field)) {
      const std::string problem = number->range.Problem(value);
      if (!problem.empty()) return absl::InvalidArgumentError(absl::StrCat(full, ": ", problem));
    }
  }
  return absl::OkStatus();
}

// `word` is empty (not given) or one of `known`.
absl::Status CheckWord(absl::string_view key, absl::string_view word,
                       const std::vector<std::string>& known) {
  if (word.empty() || std::find(known.begin(), known.end(), word) != known.end()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(key, " is '", word, "'; known: ", absl::StrJoin(known, ", ")));
}

// Batch sizes of graphs lie within the largest batch that was given.
absl::Status CheckGraphs(const ServerConfig& config) {
  const CudaGraphConfig& graphs = config.cuda_graph_config();
  const bool own_limit = graphs.has_max_batch_size();
  if (!own_limit && !config.has_max_batch_size()) return absl::OkStatus();
  const uint32_t limit = own_limit ? graphs.max_batch_size() : config.max_batch_size();
  for (const uint32_t size : graphs.batch_sizes()) {
    if (size <= limit) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("cuda_graph_config.batch_sizes has ", size, "; at most ",
                     own_limit ? "cuda_graph_config.max_batch_size " : "max_batch_size ", limit));
  }
  return absl::OkStatus();
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

namespace {

// Passes over a document.
class SkippedDocument final : public YAML::EventHandler {
  using Anchor = YAML::anchor_t;
  using Style = YAML::EmitterStyle::value;
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, Anchor) override {}
  void OnAlias(const YAML::Mark&, Anchor) override {}
  void OnScalar(const YAML::Mark&, const std::string&, Anchor, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, Anchor, Style) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, Anchor, Style) override {}
  void OnMapEnd() override {}
};

// YAML::LoadAll never ends where a document cannot begin, as at ",": what is not a document is not
// passed over either.
absl::Status CheckOneDocument(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  SkippedDocument skipped;
  parser.HandleNextDocument(skipped);
  if (!parser) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "not valid YAML: something follows the first document; expected one");
}

}  // namespace

absl::Status ParseYaml(const std::string& text, Message& message,
                       std::vector<std::string>& ignored) {
  if (!IsValidUtf8(text)) {
    return absl::InvalidArgumentError("not valid YAML: its bytes are not UTF-8");
  }
  if (text.find('\0') != text.npos) {
    return absl::InvalidArgumentError("not valid YAML: it holds bytes of zero, which no text does");
  }
  try {
    RETURN_IF_ERROR(CheckOneDocument(text));
    const YAML::Node document = YAML::Load(text);
    if (document.IsNull()) return absl::OkStatus();
    return YamlReader(ignored).ReadMap(document, "", 0, message);
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("not valid YAML at line ", error.mark.line + 1,
                                                   ", column ", error.mark.column + 1, ": ",
                                                   error.msg));
  }
}

absl::Status CheckServerConfig(const ServerConfig& config) {
  RETURN_IF_ERROR(CheckNumbers(config, ""));
  const KvCacheConfig& kv = config.kv_cache_config();
  const SchedulerConfig& scheduler = config.scheduler_config();
  RETURN_IF_ERROR(CheckWord("dtype", config.dtype(), {"auto", "float32", "bfloat16", "float16"}));
  RETURN_IF_ERROR(CheckWord("kv_cache_config.dtype", kv.dtype(),
                            {"auto", "float32", "bfloat16", "float16", "fp8"}));
  RETURN_IF_ERROR(CheckGraphs(config));
  return CheckWord("scheduler_config.waiting_queue_policy", scheduler.waiting_queue_policy(),
                   {"fcfs", "priority"});
}

absl::Status LoadServerConfig(const std::string& path, ServerConfig& config,
                              std::vector<std::string>& ignored) {
  std::error_code error;
  ASSIGN_OR_RETURN(std::ifstream file, OpenInputFile(path));
  if (!std::filesystem::is_regular_file(path, error)) {
    return absl::NotFoundError(absl::StrCat("cannot read '", path, "': it is no regular file"));
  }
  const uintmax_t size = std::filesystem::file_size(path, error);
  if (size > kMaxFileBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " has ", size, " bytes; at most ", kMaxFileBytes));
  }
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  absl::Status status = ParseYaml(text, config, ignored);
  if (status.ok()) status = CheckServerConfig(config);
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

}  // namespace regatta
