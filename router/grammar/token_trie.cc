// Building of the tree and of the plain masks; see token_trie.h.
#include "router/grammar/token_trie.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/text/utf8.h"
#include "router/grammar/byte_kinds.h"

namespace regatta::grammar {
namespace {

// Number of characters of plain text, a cut one at the end included; 0 when it is not plain.
uint32_t PlainCharacters(std::string_view bytes) {
  const size_t cut = IncompleteUtf8Suffix(bytes);
  if (!IsValidUtf8(bytes.substr(0, bytes.size() - cut))) return 0;
  uint32_t characters = cut > 0 ? 1 : 0;
  for (char c : bytes.substr(0, bytes.size() - cut)) {
    const uint8_t byte = static_cast<uint8_t>(c);
    if (byte < 0x20 || byte == '"' || byte == '\\') return 0;
    characters += (byte & 0xc0) != 0x80;
  }
  return characters;
}

}  // namespace

TokenTrie::TokenTrie(std::vector<Entry> entries) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.bytes != b.bytes ? a.bytes < b.bytes : a.token < b.token;
  });
  std::vector<uint32_t> path;  // Nodes from the top to the last one.
  std::string_view last;
  auto close_to = [&](size_t depth) {
    while (path.size() > depth) {
      const Node& node = nodes_[path.back()];
      const uint8_t kinds = node.kinds | KindOfByte(node.byte);
      nodes_[path.back()].end = static_cast<uint32_t>(nodes_.size());
      path.pop_back();
      if (!path.empty()) nodes_[path.back()].kinds |= kinds;
    }
  };
  for (const Entry& entry : entries) {
    const std::string_view bytes = entry.bytes;
    CHECK(!bytes.empty() && bytes.size() <= kMaxTokenBytes);
    size_t common = 0;
    while (common < last.size() && common < bytes.size() && last[common] == bytes[common]) ++common;
    close_to(common);
    for (size_t i = common; i < bytes.size(); ++i) {
      path.push_back(static_cast<uint32_t>(nodes_.size()));
      nodes_.push_back({0, static_cast<uint32_t>(tokens_.size()), static_cast<uint16_t>(i + 1),
                        static_cast<uint8_t>(bytes[i]), 0});
    }
    tokens_.push_back(entry.token);
    max_depth_ = std::max(max_depth_, static_cast<uint16_t>(bytes.size()));
    last = bytes;
  }
  close_to(0);
  nodes_.push_back({0, static_cast<uint32_t>(tokens_.size()), 0, 0, 0});
  nodes_.shrink_to_fit();
}

TokenTable::TokenTable(const Tokenizer& tokenizer, std::vector<uint32_t> end_tokens)
    : vocab_size_(static_cast<uint32_t>(tokenizer.vocab_size())),
      end_tokens_(std::move(end_tokens)),
      plain_(kPlainMasks + 1, std::vector<uint32_t>(mask_words())) {
  std::erase_if(end_tokens_, [this](uint32_t token) { return token >= vocab_size_; });
  for (uint32_t token = 0; token < vocab_size_; ++token) {
    offsets_.push_back(static_cast<uint32_t>(bytes_.size()));
    const int32_t id = static_cast<int32_t>(token);
    const std::string_view bytes = tokenizer.TokenBytes(id);
    const bool usable = !tokenizer.IsSpecial(id) && !IsEndToken(token);
    if (usable && bytes.size() <= TokenTrie::kMaxTokenBytes) bytes_.append(bytes);
  }
  offsets_.push_back(static_cast<uint32_t>(bytes_.size()));
  std::vector<TokenTrie::Entry> all, not_plain;
  for (uint32_t token = 0; token < vocab_size_; ++token) {
    const std::string_view bytes = TokenBytes(token);
    if (bytes.empty()) continue;
    all.push_back({bytes, token});
    const uint32_t characters = PlainCharacters(bytes);
    if (characters > 0) {
      AddPlain(token, characters);
    } else {
      not_plain.push_back({bytes, token});
    }
  }
  all_ = TokenTrie(std::move(all));
  not_plain_ = TokenTrie(std::move(not_plain));
}

void TokenTable::AddPlain(uint32_t token, uint32_t characters) {
  for (uint32_t limit = characters; limit <= kPlainMasks; ++limit) {
    plain_[limit][token / 32] |= uint32_t{1} << token % 32;
  }
  if (characters < kPlainMasks) return;
  plain_[kPlainMasks][token / 32] |= uint32_t{1} << token % 32;
  long_plain_.push_back({characters, token});
}

std::string_view TokenTable::TokenBytes(uint32_t token) const {
  if (token >= vocab_size_) return {};
  return std::string_view(bytes_).substr(offsets_[token], offsets_[token + 1] - offsets_[token]);
}

bool TokenTable::IsEndToken(uint32_t token) const {
  return std::find(end_tokens_.begin(), end_tokens_.end(), token) != end_tokens_.end();
}

void TokenTable::SetPlain(uint32_t characters, absl::Span<uint32_t> mask) const {
  const std::vector<uint32_t>& plain = plain_[std::min(characters, kPlainMasks)];
  std::copy(plain.begin(), plain.end(), mask.begin());
  if (characters < kPlainMasks) return;
  for (const LongToken& entry : long_plain_) {
    if (entry.characters > characters) mask[entry.token / 32] &= ~(uint32_t{1} << entry.token % 32);
  }
}

size_t TokenTable::bytes() const {
  return bytes_.size() + offsets_.size() * sizeof(uint32_t) + all_.bytes() + not_plain_.bytes() +
         plain_.size() * mask_words() * sizeof(uint32_t) + long_plain_.size() * sizeof(LongToken);
}

}  // namespace regatta::grammar
