// What follows from a ModelSpec's fields by arithmetic, and where its files are on disk.
// Parsing is in model_config.cc.
#include "common/model_spec.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

constexpr int64_t kMaxConfigBytes = 16 << 20;

// The whole file as text. NOT_FOUND, or INVALID_ARGUMENT when it is too large to be a
// configuration.
absl::StatusOr<std::string> ReadConfigFile(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (error || !file) {
    const std::string why = error ? error.message() : std::strerror(errno);
    return absl::NotFoundError(absl::StrCat("cannot read ", path.string(), ": ", why));
  }
  if (size > kMaxConfigBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path.string(), " has ", size, " bytes; at most ", kMaxConfigBytes));
  }
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// Weights of one gated MLP.
int64_t MlpParameters(int64_t hidden, int64_t width) { return 3 * hidden * width; }

}  // namespace

std::string ModelNameOf(const std::string& model_dir) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(model_dir, error).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  if (path.parent_path().filename() == "snapshots") {
    const std::string repository = path.parent_path().parent_path().filename();
    const std::vector<std::string> parts = absl::StrSplit(repository, "--");
    if (parts.size() > 1) return parts.back();
  }
  return path.filename();
}

bool ModelSpec::LayerIsMoe(int layer) const {
  return is_moe() && (moe.dense_layer.empty() || !moe.dense_layer[layer]);
}

bool ModelSpec::LayerIsSliding(int layer) const {
  return sliding_window > 0 && (sliding_layer.empty() || sliding_layer[layer]);
}

bool ModelSpec::HasDenseMlp() const {
  return !is_moe() ||
         std::find(moe.dense_layer.begin(), moe.dense_layer.end(), true) != moe.dense_layer.end();
}

int64_t ModelSpec::NumParameters() const {
  const int64_t hidden = hidden_size;
  const int64_t q_width = int64_t{num_heads} * head_dim;
  const int64_t kv_width = int64_t{num_kv_heads} * head_dim;
  int64_t attention = hidden * (q_width + 2 * kv_width) + q_width * hidden;
  if (qkv_bias) attention += q_width + 2 * kv_width;
  if (qk_norm) attention += 2 * head_dim;
  int64_t experts = moe.num_experts * (MlpParameters(hidden, moe.expert_width) + hidden) +
                    MlpParameters(hidden, moe.shared_expert_width);
  if (moe.shared_expert_gate) experts += hidden;

  int64_t total = vocab_size * hidden * (tie_embeddings ? 1 : 2) + hidden;
  for (int layer = 0; layer < num_layers; ++layer) {
    total += attention + 2 * hidden;
    total += LayerIsMoe(layer) ? experts : MlpParameters(hidden, ffn_width);
  }
  return total;
}

int64_t ModelSpec::NumQuantizableParameters() const {
  const int64_t q_width = int64_t{num_heads} * head_dim;
  const int64_t kv_width = int64_t{num_kv_heads} * head_dim;
  const int64_t attention = int64_t{hidden_size} * 2 * (q_width + kv_width);
  const int64_t experts = moe.num_experts * MlpParameters(hidden_size, moe.expert_width) +
                          MlpParameters(hidden_size, moe.shared_expert_width);
  int64_t total = 0;
  for (int layer = 0; layer < num_layers; ++layer) {
    total += attention + (LayerIsMoe(layer) ? experts : MlpParameters(hidden_size, ffn_width));
  }
  return total;
}

double ModelSpec::WeightBytesPerParameter(double plain_bytes) const {
  if (!quantization.enabled()) return plain_bytes;
  const double part =
      static_cast<double>(NumQuantizableParameters()) / static_cast<double>(NumParameters());
  return part + (1 - part) * plain_bytes;
}

int64_t ModelSpec::KvBytesPerToken(int bytes_per_element, int tp) const {
  const int64_t heads = (num_kv_heads + tp - 1) / tp;
  return 2 * int64_t{num_layers} * heads * head_dim * bytes_per_element;
}

absl::StatusOr<ModelSpec> LoadModelSpec(const std::string& model_dir) {
  const std::filesystem::path dir(model_dir);
  std::error_code error;
  if (!std::filesystem::is_directory(dir, error)) {
    return absl::NotFoundError(
        absl::StrCat("model directory '", model_dir,
                     std::filesystem::exists(dir, error) ? "' is a file" : "' does not exist",
                     "; give one in Hugging Face layout, or org/name on the Hub"));
  }
  ASSIGN_OR_RETURN(const std::string config, ReadConfigFile(dir / "config.json"));
  std::string generation_config;
  if (std::filesystem::exists(dir / "generation_config.json", error)) {
    ASSIGN_OR_RETURN(generation_config, ReadConfigFile(dir / "generation_config.json"));
  }
  // ModelOpt's older exports keep their scheme in a file of its own and leave config.json plain.
  std::string modelopt_config;
  if (std::filesystem::exists(dir / "hf_quant_config.json", error)) {
    ASSIGN_OR_RETURN(modelopt_config, ReadConfigFile(dir / "hf_quant_config.json"));
  }
  auto spec = ParseModelSpec(ModelNameOf(model_dir), config, generation_config, modelopt_config);
  if (!spec.ok()) {
    return absl::Status(spec.status().code(),
                        absl::StrCat(model_dir, ": ", spec.status().message()));
  }
  return spec;
}

}  // namespace regatta
