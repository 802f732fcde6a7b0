// See model_files.h.
#include "orchestrator/hub/model_files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr char kIndex[] = "model.safetensors.index.json";
constexpr const char* kSmallFiles[] = {
    "config.json",
    "generation_config.json",
    "hf_quant_config.json",
    kIndex,
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
};
constexpr const char* kPickleEndings[] = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"};

bool IsSmallFile(const std::string& name) {
  return std::find(std::begin(kSmallFiles), std::end(kSmallFiles), name) != std::end(kSmallFiles);
}

bool IsPickle(const std::string& name) {
  return std::any_of(std::begin(kPickleEndings), std::end(kPickleEndings),
                     [&](const char* ending) { return absl::EndsWith(name, ending); });
}

bool IsWeights(const std::string& name) {
  return absl::StartsWith(name, "model") && absl::EndsWith(name, ".safetensors") &&
         !absl::StrContains(name, '/');
}

bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

bool HasWeights(const fs::path& dir) {
  if (!Exists(dir / kIndex)) return Exists(dir / "model.safetensors");
  std::ifstream file(dir / kIndex, std::ios::binary);
  const auto index = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (!index.is_object() || !index.contains("weight_map")) return false;
  const auto& map = index.at("weight_map");
  return map.is_object() && std::all_of(map.begin(), map.end(), [&](const auto& shard) {
           return shard.is_string() && Exists(dir / shard.template get<std::string>());
         });
}

}  // namespace

absl::Status CheckFileName(const std::string& name) {
  const auto is_plain = [](char c) {
    return absl::ascii_isalnum(c) || absl::StrContains("._-+=@,()[] ", c);
  };
  bool good = !name.empty() && name.size() <= 512;
  for (const absl::string_view part : absl::StrSplit(name, '/')) {
    good &= !part.empty() && part != "." && part != ".." && part.size() <= 255 &&
            std::all_of(part.begin(), part.end(), is_plain);
  }
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the repository has a file named '", absl::CHexEscape(name.substr(0, 200)),
                   "', which could lead elsewhere; nothing is pulled"));
}

absl::StatusOr<FileChoice> ChooseFiles(const std::vector<std::string>& names, ModelParts parts) {
  FileChoice choice;
  std::vector<std::string> weights;
  for (const std::string& name : names) {
    RETURN_IF_ERROR(CheckFileName(name));
    if (IsSmallFile(name)) {
      choice.needed.push_back(name);
    } else if (IsWeights(name)) {
      weights.push_back(name);
    } else {
      (IsPickle(name) ? choice.pickles : choice.others).push_back(name);
    }
  }
  if (std::find(names.begin(), names.end(), "config.json") == names.end()) {
    return absl::FailedPreconditionError(
        "the repository has no config.json: it holds no model that can be read here");
  }
  if (parts == ModelParts::kWithoutWeights) return choice;
  if (weights.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the repository has no model*.safetensors",
        choice.pickles.empty() ? ""
                               : absl::StrCat(", only pickles (", choice.pickles.front(),
                                              "), which are never read; convert it, or take a "
                                              "revision with safetensors")));
  }
  std::sort(weights.begin(), weights.end());
  choice.needed.insert(choice.needed.end(), weights.begin(), weights.end());
  return choice;
}

bool HasTokenizer(const std::string& directory) {
  const fs::path dir = directory;
  return Exists(dir / "tokenizer.json") || Exists(dir / "tokenizer.model");
}

bool HasParts(const std::string& directory, ModelParts parts) {
  const fs::path dir = directory;
  if (!Exists(dir / "config.json") || !HasTokenizer(directory)) return false;
  return parts == ModelParts::kWithoutWeights || HasWeights(dir);
}

}  // namespace regatta
