// See hub_settings.h.
#include "orchestrator/hub/hub_settings.h"

#include <stdlib.h>

#include <algorithm>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

std::string Variable(const char* name, const std::string& fallback = "") {
  const char* value = ::getenv(name);
  return value == nullptr || *value == '\0' ? fallback : value;
}

bool IsTrue(const std::string& value) {
  const std::string word = absl::AsciiStrToLower(value);
  return word == "1" || word == "true" || word == "yes" || word == "on";
}

std::string ReadWord(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  std::getline(file, word);
  absl::StripAsciiWhitespace(&word);
  return word;
}

}  // namespace

absl::StatusOr<HubSettings> ReadHubSettings() {
  HubSettings settings;
  const std::string endpoint = Variable("HF_ENDPOINT", "https://huggingface.co");
  absl::StatusOr<HttpUrl> parsed = ParseHttpUrl(endpoint);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("HF_ENDPOINT: ", parsed.status().message()));
  }
  settings.endpoint = *std::move(parsed);
  while (absl::EndsWith(settings.endpoint.target, "/")) settings.endpoint.target.pop_back();
  const std::string cache = Variable("XDG_CACHE_HOME", Variable("HOME", ".") + "/.cache");
  const std::string home = Variable("HF_HOME", cache + "/huggingface");
  settings.cache_dir = Variable("HF_HUB_CACHE", Variable("HUGGINGFACE_HUB_CACHE", home + "/hub"));
  settings.token = Variable("HF_TOKEN", Variable("HUGGING_FACE_HUB_TOKEN"));
  absl::StripAsciiWhitespace(&settings.token);
  if (settings.token.empty()) settings.token = ReadWord(Variable("HF_TOKEN_PATH", home + "/token"));
  if (!std::all_of(settings.token.begin(), settings.token.end(), absl::ascii_isgraph)) {
    return absl::InvalidArgumentError("HF_TOKEN has characters that no token has");
  }
  settings.offline = IsTrue(Variable("HF_HUB_OFFLINE"));
  return settings;
}

}  // namespace regatta
