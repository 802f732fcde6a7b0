// Reading stored goldens; see golden.h.
#include "tests/worker/golden.h"

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "common/check.h"

namespace regatta {
namespace {

std::vector<float> FloatsOf(const std::string& base64) {
  std::string bytes;
  CHECK(absl::Base64Unescape(base64, &bytes));
  std::vector<float> floats(bytes.size() / sizeof(float));
  std::memcpy(floats.data(), bytes.data(), bytes.size());
  return floats;
}

}  // namespace

Golden LoadGolden(const std::string& model) {
  const std::string root = std::string(REGATTA_SOURCE_DIR) + "/tests/";
  std::ifstream file(root + "golden/" + model + ".json");
  const auto json = nlohmann::json::parse(file);
  Golden golden;
  golden.model_dir = root + "models/" + model;
  for (const auto& one : json.at("cases")) {
    golden.tokens.push_back(one.at("tokens").get<std::vector<uint32_t>>());
    Prompt prompt;
    prompt.tokens = one.at("prompt").get<std::vector<uint32_t>>();
    prompt.max_tokens = static_cast<uint32_t>(golden.tokens.back().size());
    golden.prompts.push_back(prompt);
    golden.logits.push_back(FloatsOf(one.value("last_prompt_logits", "")));
  }
  return golden;
}

}  // namespace regatta
