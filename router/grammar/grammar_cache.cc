// Least recently used first out; see grammar_cache.h.
#include "router/grammar/grammar_cache.h"

namespace regatta::grammar {

std::shared_ptr<Grammar> GrammarCache::Find(const std::string& key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->second;
}

void GrammarCache::Insert(const std::string& key, std::shared_ptr<Grammar> grammar) {
  if (Find(key) != nullptr) return;
  entries_.emplace_front(key, std::move(grammar));
  by_key_[key] = entries_.begin();
  size_t count = 0, bytes = 0;
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    bytes += entry->first.size() * 2 + entry->second->bytes();
    if (++count <= max_grammars_ && bytes <= max_bytes_) continue;
    while (entry != entries_.end()) {
      by_key_.erase(entry->first);
      entry = entries_.erase(entry);
    }
    break;
  }
}

}  // namespace regatta::grammar
