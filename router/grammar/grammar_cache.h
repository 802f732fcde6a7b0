// The grammars used last, by their text. Not thread-safe.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "router/grammar/grammar.h"

namespace regatta::grammar {

class GrammarCache {
 public:
  GrammarCache(size_t max_grammars, size_t max_bytes)
      : max_grammars_(max_grammars), max_bytes_(max_bytes) {}

  // nullptr when it is not there.
  std::shared_ptr<Grammar> Find(const std::string& key);
  // Adds one and lets go of those used longest ago until the rest fits. Grammars grow with use, so
  // their sizes are asked for anew.
  void Insert(const std::string& key, std::shared_ptr<Grammar> grammar);

 private:
  using Entry = std::pair<std::string, std::shared_ptr<Grammar>>;

  const size_t max_grammars_;
  const size_t max_bytes_;
  std::list<Entry> entries_;  // Last used first.
  absl::flat_hash_map<std::string, std::list<Entry>::iterator> by_key_;
};

}  // namespace regatta::grammar
