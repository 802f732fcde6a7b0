// The tokens of a vocabulary as a tree of bytes, so that tokens with a common beginning are tried
// together; and ready masks of the tokens that are plain text. Knows no grammar.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "common/text/tokenizer.h"

namespace regatta::grammar {

// Nodes in depth-first order; a subtree is a run of nodes, and its tokens are a run of tokens.
class TokenTrie {
 public:
  struct Node {
    uint32_t end;          // Behind the last node of its subtree.
    uint32_t first_token;  // Its own tokens are those up to the next node's first.
    uint16_t depth;        // Bytes down to here, this one's included; at least 1.
    uint8_t byte;
    uint8_t kinds;  // Of all bytes below it (byte_kinds.h).
  };

  struct Entry {
    std::string_view bytes;  // Not empty, at most kMaxTokenBytes; only read while building.
    uint32_t token;
  };
  static constexpr size_t kMaxTokenBytes = 1024;

  TokenTrie() : TokenTrie(std::vector<Entry>()) {}
  explicit TokenTrie(std::vector<Entry> entries);

  uint32_t size() const { return static_cast<uint32_t>(nodes_.size() - 1); }
  const Node& operator[](uint32_t node) const { return nodes_[node]; }
  // The tokens that end at `node`.
  absl::Span<const uint32_t> TokensAt(uint32_t node) const {
    const uint32_t first = nodes_[node].first_token;
    return {tokens_.data() + first, nodes_[node + 1].first_token - first};
  }
  // The tokens that go on below `node`, and those that end there.
  absl::Span<const uint32_t> TokensFrom(uint32_t node) const {
    const uint32_t first = nodes_[node].first_token;
    return {tokens_.data() + first, nodes_[nodes_[node].end].first_token - first};
  }
  // Length of the longest token.
  uint16_t max_depth() const { return max_depth_; }
  size_t bytes() const { return nodes_.size() * sizeof(Node) + tokens_.size() * sizeof(uint32_t); }

 private:
  std::vector<Node> nodes_;  // One more than there are, as an end.
  std::vector<uint32_t> tokens_;
  uint16_t max_depth_ = 0;
};

// What grammars need of a tokenizer: a copy, which does not keep it. About 40 bytes per token and
// 34 bits of masks. Immutable.
class TokenTable {
 public:
  // Special tokens, unused ids, `end_tokens` and tokens longer than TokenTrie::kMaxTokenBytes are
  // part of no output.
  TokenTable(const Tokenizer& tokenizer, std::vector<uint32_t> end_tokens);

  uint32_t vocab_size() const { return vocab_size_; }
  size_t mask_words() const { return (vocab_size_ + 31) / 32; }
  // Empty for tokens that are part of no output.
  std::string_view TokenBytes(uint32_t token) const;
  const std::vector<uint32_t>& end_tokens() const { return end_tokens_; }
  bool IsEndToken(uint32_t token) const;

  const TokenTrie& all() const { return all_; }
  // Those that are not plain: all that SetPlain never sets.
  const TokenTrie& not_plain() const { return not_plain_; }
  // Plain text: characters that stand for themselves inside a JSON string, the last one perhaps
  // cut. Makes `mask` those of at most `characters` (a cut one counts).
  void SetPlain(uint32_t characters, absl::Span<uint32_t> mask) const;

  size_t bytes() const;

 private:
  // Masks exist for 1 .. kPlainMasks - 1 characters, and without limit.
  static constexpr uint32_t kPlainMasks = 32;
  struct LongToken {
    uint32_t characters;
    uint32_t token;
  };

  void AddPlain(uint32_t token, uint32_t characters);

  uint32_t vocab_size_;
  std::vector<uint32_t> end_tokens_;
  std::string bytes_;              // Of all tokens, one after the other.
  std::vector<uint32_t> offsets_;  // Token -> its begin in bytes_; one more as an end.
  TokenTrie all_;
  TokenTrie not_plain_;
  std::vector<std::vector<uint32_t>> plain_;  // [characters], the last one without limit.
  std::vector<LongToken> long_plain_;         // Of kPlainMasks characters and more.
};

}  // namespace regatta::grammar
