// Leftmost-longest matching of added tokens with their strip and whole-word rules.
#include "common/text/added_token_matcher.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

// \w of Unicode Technical Standard 18: alphabetic, marks, decimal digits, connectors, joiners.
bool IsWordCharacter(UChar32 c) {
  return u_hasBinaryProperty(c, UCHAR_ALPHABETIC) || u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL) ||
         (U_GET_GC_MASK(c) & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0;
}

// The character that begins at `*i`, which moves behind it.
UChar32 ReadForward(std::string_view text, size_t* i) {
  UChar32 c;
  U8_NEXT(reinterpret_cast<const uint8_t*>(text.data()), *i, text.size(), c);
  return c;
}

// The character that ends at `*i`, where `*i` then points. The text is valid UTF-8.
UChar32 ReadBackward(std::string_view text, size_t* i) {
  do --*i;
  while (*i > 0 && (static_cast<uint8_t>(text[*i]) & 0xC0) == 0x80);
  size_t begin = *i;
  return ReadForward(text, &begin);
}

bool WordTouches(std::string_view text, size_t begin, size_t end) {
  if (begin > 0 && IsWordCharacter(ReadBackward(text, &begin))) return true;
  return end < text.size() && IsWordCharacter(ReadForward(text, &end));
}

}  // namespace

absl::StatusOr<AddedTokenMatcher> AddedTokenMatcher::Create(std::vector<AddedToken> tokens) {
  AddedTokenMatcher matcher;
  matcher.roots_.fill(-1);
  matcher.tokens_ = std::move(tokens);
  for (size_t i = 0; i < matcher.tokens_.size(); ++i) {
    RETURN_IF_ERROR(matcher.Insert(static_cast<int32_t>(i)));
  }
  return matcher;
}

absl::Status AddedTokenMatcher::Insert(int32_t index) {
  const std::string& text = tokens_[index].text;
  auto descend = [this](int32_t& child) {
    if (child < 0) {
      child = static_cast<int32_t>(token_at_.size());
      token_at_.push_back(-1);
    }
    return child;
  };
  if (text.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("added_tokens: id ", tokens_[index].id, " is empty"));
  }
  int32_t node = descend(roots_[static_cast<uint8_t>(text[0])]);
  for (char c : std::string_view(text).substr(1)) {
    uint64_t key = static_cast<uint64_t>(node) << 8 | static_cast<uint8_t>(c);
    node = descend(children_.try_emplace(key, -1).first->second);
  }
  if (token_at_[node] >= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("added_tokens: ids ", tokens_[token_at_[node]].id, " and ", tokens_[index].id,
                     " have the same text \"", text, "\""));
  }
  token_at_[node] = index;
  return absl::OkStatus();
}

int32_t AddedTokenMatcher::Longest(std::string_view text, size_t begin) const {
  int32_t node = roots_[static_cast<uint8_t>(text[begin])];
  int32_t longest = -1;
  for (size_t i = begin + 1; node >= 0; ++i) {
    if (token_at_[node] >= 0) longest = token_at_[node];
    if (i == text.size()) break;
    auto it = children_.find(static_cast<uint64_t>(node) << 8 | static_cast<uint8_t>(text[i]));
    node = it == children_.end() ? -1 : it->second;
  }
  return longest;
}

std::optional<AddedTokenMatcher::Span> AddedTokenMatcher::Extent(const AddedToken& token,
                                                                 std::string_view text, Span match,
                                                                 size_t consumed) {
  if (token.single_word && WordTouches(text, match.begin, match.end)) return std::nullopt;
  while (token.lstrip && match.begin > consumed) {
    size_t before = match.begin;
    if (!u_isUWhiteSpace(ReadBackward(text, &before))) break;
    match.begin = before;
  }
  // White space that a token before took is not walked over again.
  if (token.rstrip && match.end < consumed) match.end = consumed;
  while (token.rstrip && match.end < text.size()) {
    size_t after = match.end;
    if (!u_isUWhiteSpace(ReadForward(text, &after))) break;
    match.end = after;
  }
  return match;
}

void AddedTokenMatcher::Split(std::string_view text, bool parse_special, OnText on_text,
                              OnToken on_token) const {
  size_t consumed = 0;  // Everything before it has been passed on.
  for (size_t i = 0; !tokens_.empty() && i < text.size();) {
    // Most bytes begin no token: this line is the cost of plain text.
    int32_t index = roots_[static_cast<uint8_t>(text[i])] < 0 ? -1 : Longest(text, i);
    if (index < 0) {
      ++i;
      continue;
    }
    const AddedToken& token = tokens_[index];
    Span match{i, i + token.text.size()};
    i = match.end;  // A match that is ruled out is passed over as a whole.
    if (token.special && !parse_special) continue;
    std::optional<Span> extent = Extent(token, text, match, consumed);
    if (!extent.has_value()) continue;
    if (consumed < extent->begin) on_text(text.substr(consumed, extent->begin - consumed));
    on_token(token.id);
    consumed = extent->end;
  }
  if (consumed < text.size()) on_text(text.substr(consumed));
}

}  // namespace regatta
