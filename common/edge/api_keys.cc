// API keys; see api_keys.h.
#include "common/edge/api_keys.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace regatta {
namespace {

std::array<unsigned char, 32> Sha256(absl::string_view text) {
  std::array<unsigned char, 32> digest;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return digest;
}

bool IsToken(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(c) || absl::StrContains("-._~+/=", c);
  });
}

}  // namespace

absl::StatusOr<ApiKeys> ApiKeys::Load(const std::string& path,
                                      const std::function<void(const std::string&)>& warn) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat("--api-key-file: cannot read '", path, "'"));
  struct stat info = {};
  if (stat(path.c_str(), &info) == 0 && (info.st_mode & S_IROTH) != 0 && warn) {
    warn(absl::StrCat("--api-key-file: everybody on this machine can read '", path,
                      "'; chmod o-r it"));
  }
  ApiKeys keys;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    const absl::string_view text = absl::StripAsciiWhitespace(line);
    if (text.empty() || text[0] == '#') continue;
    const size_t colon = text.find(':');
    const bool named = colon != absl::string_view::npos;
    const absl::string_view key = named ? absl::StripAsciiWhitespace(text.substr(colon + 1)) : text;
    if (!IsToken(key)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--api-key-file: line ", number, " of '", path,
                       "' is not a key: letters, digits and -._~+/= after an optional 'name:'"));
    }
    const absl::string_view name = named ? absl::StripAsciiWhitespace(text.substr(0, colon)) : "";
    keys.keys_.push_back({Sha256(key), std::string(name)});
  }
  if (keys.keys_.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("--api-key-file: '", path, "' has no key"));
  }
  return keys;
}

const std::string* ApiKeys::Find(absl::string_view authorization) const {
  constexpr absl::string_view kScheme = "bearer ";
  if (!absl::StartsWithIgnoreCase(authorization, kScheme)) return nullptr;
  const auto digest = Sha256(absl::StripAsciiWhitespace(authorization.substr(kScheme.size())));
  const std::string* found = nullptr;
  for (const Key& key : keys_) {  // To the end, wherever it was found.
    const bool same = CRYPTO_memcmp(key.digest.data(), digest.data(), digest.size()) == 0;
    found = same ? &key.name : found;
  }
  return found;
}

}  // namespace regatta
