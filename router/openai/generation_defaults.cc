// generation_config.json -> GenerationDefaults.
#include "router/openai/generation_defaults.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "common/json_fields.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

constexpr const char* kFile = "generation_config.json";
constexpr uintmax_t kMaxFileBytes = 1 << 20;

}  // namespace

absl::StatusOr<GenerationDefaults> ParseGenerationDefaults(const std::string& text) {
  GenerationDefaults defaults;
  if (text.empty()) return defaults;
  ASSIGN_OR_RETURN(const Json json, ParseObject(text, kFile));
  absl::Status status;
  Fields fields(json, absl::StrCat(kFile, ": "), status);
  defaults.temperature = fields.DoubleOr("temperature", defaults.temperature, 0, 100);
  defaults.top_p = fields.DoubleOr("top_p", defaults.top_p, 0, 1);
  defaults.top_k = fields.IntOr("top_k", defaults.top_k, 0, INT32_MAX);
  defaults.min_p = fields.DoubleOr("min_p", defaults.min_p, 0, 1);
  defaults.repetition_penalty =
      fields.DoubleOr("repetition_penalty", defaults.repetition_penalty, 0, 10);
  RETURN_IF_ERROR(status);
  return defaults;
}

absl::StatusOr<GenerationDefaults> LoadGenerationDefaults(const std::string& model_dir) {
  const std::filesystem::path path = std::filesystem::path(model_dir) / kFile;
  std::error_code error;
  const uintmax_t size = std::filesystem::file_size(path, error);
  if (error) return GenerationDefaults();
  if (size > kMaxFileBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(kFile, " has ", size, " bytes; at most ", kMaxFileBytes));
  }
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return ParseGenerationDefaults(text);
}

}  // namespace regatta
