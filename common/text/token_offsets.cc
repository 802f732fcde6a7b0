// Two ways: pieces of a character tell at once whether they continue it; of a run of byte tokens
// only its end tells what it reads as.
#include "common/text/token_offsets.h"

#include <algorithm>

#include "common/text/utf8.h"

namespace regatta {
namespace {

constexpr size_t kMaxCharacterBytes = 4;

// Bytes of the well-formed character with which `bytes` begin; 1 where there is none.
size_t CharacterBytes(std::string_view bytes) {
  for (size_t count = 1; count <= std::min(bytes.size(), kMaxCharacterBytes); ++count) {
    if (IsValidUtf8(bytes.substr(0, count))) return count;
  }
  return 1;
}

size_t CountCharacters(std::string_view bytes) {
  size_t count = 0;
  for (; !bytes.empty(); ++count) bytes.remove_prefix(CharacterBytes(bytes));
  return count;
}

// Whether `bytes` go on with the character that `begun` is the beginning of.
bool Continues(const std::string& begun, std::string_view bytes) {
  const std::string longer = begun + std::string(bytes.substr(0, 1));
  return IncompleteUtf8Suffix(longer) == longer.size() || IsValidUtf8(longer);
}

}  // namespace

void TokenOffsets::Append(int32_t id, std::vector<uint64_t>& offsets) {
  const bool hidden = skip_special_tokens_ && tokenizer_->IsSpecial(id);
  const std::string_view bytes = hidden ? std::string_view() : tokenizer_->TokenBytes(id);
  if (tokenizer_->decoder().is_byte_level()) return AppendByteLevel(id, bytes, offsets);
  starts_.push_back(run_.size());
  run_ += bytes;
  shown_ += text_.Append({id});
  if (!text_.HoldsBytes()) EndRun(offsets);
}

void TokenOffsets::AppendByteLevel(int32_t id, std::string_view bytes,
                                   std::vector<uint64_t>& offsets) {
  const bool anew = !run_.empty() && !Continues(run_, bytes);  // The character breaks off.
  offsets.push_back(characters_ + (anew ? 1 : 0));
  characters_ += CharacterCount(text_.Append({id}));
  run_ += bytes;
  run_.erase(0, run_.size() - IncompleteUtf8Suffix(run_));
}

// An ill-formed run may have become a character for each byte, and its first space nothing.
void TokenOffsets::EndRun(std::vector<uint64_t>& offsets) {
  const size_t shown = CharacterCount(shown_);
  const size_t characters = CountCharacters(run_);
  size_t position = 0;
  size_t index = 0;
  for (const size_t start : starts_) {
    while (position < start) {
      const size_t next = position + CharacterBytes(std::string_view(run_).substr(position));
      if (next > start) break;
      position = next;
      ++index;
    }
    const size_t dropped = characters - std::min(characters, shown);
    const size_t place = shown > characters ? start : index - std::min(index, dropped);
    offsets.push_back(characters_ + place);
  }
  characters_ += shown;
  run_.clear();
  starts_.clear();
  shown_.clear();
}

void TokenOffsets::Finish(std::vector<uint64_t>& offsets) {
  shown_ += text_.Finish();
  EndRun(offsets);
}

}  // namespace regatta
