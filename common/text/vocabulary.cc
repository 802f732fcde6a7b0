// Building the vocabulary: model tokens are turned from the byte-level alphabet into bytes once,
// here, where they are written in it.
#include "common/text/vocabulary.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "common/text/byte_level.h"

namespace regatta {

absl::StatusOr<Vocabulary> Vocabulary::Create(const TokenizerSpec& spec) {
  Vocabulary vocabulary;
  vocabulary.byte_level_ = spec.byte_level;
  int32_t highest = -1;
  size_t bytes = 0;
  for (const auto& [written, id] : spec.model.vocab) {
    highest = std::max(highest, id);
    bytes += written.size();
  }
  for (const AddedToken& token : spec.added_tokens) {
    highest = std::max(highest, token.id);
    bytes += token.content.size() + token.text.size();
  }
  vocabulary.arena_.reserve(bytes);
  vocabulary.bytes_.resize(highest + 1);
  vocabulary.special_.resize(highest + 1);
  vocabulary.taken_.resize(highest + 1);
  vocabulary.model_bytes_.reserve(spec.model.vocab.size());
  for (const auto& [written, id] : spec.model.vocab) {
    RETURN_IF_ERROR(vocabulary.AddModelToken(written, id));
  }
  for (const AddedToken& token : spec.added_tokens) {
    RETURN_IF_ERROR(vocabulary.AddAddedToken(token));
  }
  return vocabulary;
}

std::optional<int32_t> Vocabulary::Find(std::string_view written) const {
  auto it = added_.find(written);
  return it != added_.end() ? it->second : FindInModel(written);
}

std::optional<int32_t> Vocabulary::FindInModel(std::string_view written) const {
  if (std::optional<std::string> bytes = BytesOf(written)) {
    int32_t id = FindBytes(*bytes);
    return id < 0 ? std::nullopt : std::optional(id);
  }
  auto it = model_unmapped_.find(written);
  return it == model_unmapped_.end() ? std::nullopt : std::optional(it->second);
}

std::optional<std::string> Vocabulary::BytesOf(std::string_view written) const {
  return byte_level_ ? BytesOfByteLevel(written) : std::string(written);
}

std::string_view Vocabulary::Store(std::string_view bytes) {
  CHECK_LE(arena_.size() + bytes.size(), arena_.capacity());
  size_t begin = arena_.size();
  arena_.insert(arena_.end(), bytes.begin(), bytes.end());
  return std::string_view(arena_.data() + begin, bytes.size());
}

absl::Status Vocabulary::AddModelToken(std::string_view written, int32_t id) {
  if (taken_[id]) {
    return absl::InvalidArgumentError(absl::StrCat("model.vocab[\"", std::string(written),
                                                   "\"]: id ", id,
                                                   " is already that of another token"));
  }
  taken_[id] = true;
  std::optional<std::string> bytes = BytesOf(written);
  bytes_[id] = Store(bytes.has_value() ? *bytes : written);
  (bytes.has_value() ? model_bytes_ : model_unmapped_).emplace(bytes_[id], id);
  return absl::OkStatus();
}

// An added token is either new, or one of the model's under the same id; its bytes are its text,
// never read as byte alphabet.
absl::Status Vocabulary::AddAddedToken(const AddedToken& token) {
  auto refuse = [&](const std::string& what) {
    return absl::InvalidArgumentError(
        absl::StrCat("added_tokens: \"", token.content, "\" with id ", token.id, ": ", what));
  };
  std::optional<int32_t> in_model = FindInModel(token.content);
  if (in_model.has_value() && *in_model != token.id) {
    return refuse(absl::StrCat("model.vocab gives it id ", *in_model));
  }
  if (!in_model.has_value() && taken_[token.id]) return refuse("the id is that of another token");
  if (added_.contains(token.content)) return refuse("occurs twice");
  taken_[token.id] = true;
  special_[token.id] = token.special;
  bytes_[token.id] = Store(token.text);
  added_.emplace(Store(token.content), token.id);
  return absl::OkStatus();
}

}  // namespace regatta
