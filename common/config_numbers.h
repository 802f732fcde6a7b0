// Every number of the server's configuration: its key, the range it may have and what it is when
// nobody gives it. The flags of the same meaning take theirs from here.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "common/number_range.h"

namespace regatta {

struct ConfigNumber {
  const char* key;  // of proto/config.proto: "kv_cache_config.max_tokens"
  NumberRange range;
  const char* by_default;  // in words: "1", "derived"

  // `text` with the default behind it, for help.
  std::string Help(absl::string_view text) const;
};

// Null for a key that is no number.
const ConfigNumber* FindConfigNumber(absl::string_view key);

// The same for a key that is one, CHECKed.
const ConfigNumber& ConfigNumberOf(absl::string_view key);

}  // namespace regatta
