// ApiKeys: who may call. Keys are kept as SHA-256 only and compared in constant time.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace regatta {

class ApiKeys {
 public:
  // Reads one key per line, "key" or "name: key"; empty lines and lines that begin with '#' are
  // skipped. Keys consist of the characters of bearer tokens (RFC 6750): letters, digits and
  // -._~+/=. NOT_FOUND, INVALID_ARGUMENT (names the line, never the key; a file without keys would
  // lock everybody out). `warn` hears of a file that others than its owner may read.
  static absl::StatusOr<ApiKeys> Load(const std::string& path,
                                      const std::function<void(const std::string&)>& warn);

  // The name of the key in an Authorization header of the form "Bearer key"; null when there is no
  // such key. Takes the same time for all keys.
  const std::string* Find(absl::string_view authorization) const;

 private:
  struct Key {
    std::array<unsigned char, 32> digest;
    std::string name;
  };
  std::vector<Key> keys_;
};

}  // namespace regatta
