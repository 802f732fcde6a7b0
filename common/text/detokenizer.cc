// Incremental decoding: cut after the last byte that is certain, hold the rest.
#include "common/text/detokenizer.h"

#include <string_view>
#include <utility>

#include "common/text/utf8.h"

namespace regatta {

std::string Detokenizer::Append(absl::Span<const int32_t> ids) {
  std::string bytes = std::exchange(held_, {});
  for (int32_t id : ids) {
    if (skip_special_tokens_ && tokenizer_->IsSpecial(id)) continue;
    bytes.append(tokenizer_->TokenBytes(id));
  }
  size_t certain = bytes.size() - IncompleteUtf8Suffix(bytes);
  held_ = bytes.substr(certain);
  bytes.resize(certain);
  if (IsValidUtf8(bytes)) return bytes;
  std::string text;
  AppendUtf8Lossy(bytes, text);
  return text;
}

std::string Detokenizer::Finish() {
  std::string text;
  AppendUtf8Lossy(std::exchange(held_, {}), text);
  return text;
}

}  // namespace regatta
