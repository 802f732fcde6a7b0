// Finds added tokens ("<|eot_id|>") in text, so that only what lies between them reaches the model.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "common/text/tokenizer_spec.h"

namespace regatta {

// A byte trie over token texts. Immutable and safe to share between threads.
class AddedTokenMatcher {
 public:
  using OnText = absl::FunctionRef<void(std::string_view text)>;
  using OnToken = absl::FunctionRef<void(int32_t id)>;

  // INVALID_ARGUMENT when two tokens have the same text (after normalisation, say) or one has none.
  static absl::StatusOr<AddedTokenMatcher> Create(std::vector<AddedToken> tokens);

  // Passes tokens and the non-empty stretches between them on, in order. At each place the longest
  // token counts. With `parse_special` false, special tokens stay text (and still hide shorter
  // tokens within them). O(length of text × length of the longest token), in practice one look per
  // byte.
  void Split(std::string_view text, bool parse_special, OnText on_text, OnToken on_token) const;

 private:
  struct Span {
    size_t begin = 0;
    size_t end = 0;
  };

  absl::Status Insert(int32_t index);
  // The longest token that begins at `begin`, as an index into tokens_; -1 when none does.
  int32_t Longest(std::string_view text, size_t begin) const;
  // The text that a match of `token` at `match` takes up; nullopt when its flags rule the match
  // out.
  static std::optional<Span> Extent(const AddedToken& token, std::string_view text, Span match,
                                    size_t consumed);

  std::vector<AddedToken> tokens_;
  std::array<int32_t, 256> roots_;                   // Node after the first byte; -1: none.
  absl::flat_hash_map<uint64_t, int32_t> children_;  // (node << 8 | byte) -> node
  std::vector<int32_t> token_at_;                    // By node: index into tokens_, or -1.
};

}  // namespace regatta
