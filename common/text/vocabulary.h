// Token ids and the bytes they stand for, both ways. Knows no text processing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "common/text/tokenizer_spec.h"

namespace regatta {

// Immutable and safe to share between threads. Movable: views into it stay valid across a move.
class Vocabulary {
 public:
  // INVALID_ARGUMENT when an id or an added token occurs twice, or an added token contradicts the
  // model's vocabulary.
  static absl::StatusOr<Vocabulary> Create(const TokenizerSpec& spec);

  // One more than the highest id.
  int32_t size() const { return static_cast<int32_t>(bytes_.size()); }

  // Bytes of a token; empty for an id without one, negative ids included.
  std::string_view Bytes(int32_t id) const { return Known(id) ? bytes_[id] : std::string_view(); }

  bool IsSpecial(int32_t id) const { return Known(id) && special_[id]; }

  // Whether some token has this id.
  bool Contains(int32_t id) const { return Known(id) && taken_[id]; }

  // The token as tokenizer.json writes it, added tokens first.
  std::optional<int32_t> Find(std::string_view written) const;

  // The same within the model's own vocabulary.
  std::optional<int32_t> FindInModel(std::string_view written) const;

  // The model's tokens by their bytes: what the byte alphabet writes, or else plain text as it is.
  const absl::flat_hash_map<std::string_view, int32_t>& model_tokens() const {
    return model_bytes_;
  }

  // The model's token that stands for exactly these bytes; -1 when there is none.
  int32_t FindBytes(std::string_view bytes) const {
    auto it = model_bytes_.find(bytes);
    return it == model_bytes_.end() ? -1 : it->second;
  }

 private:
  bool Known(int32_t id) const { return id >= 0 && id < size(); }
  std::string_view Store(std::string_view bytes);
  // The bytes that a model token stands for; nullopt when it is not of the alphabet.
  std::optional<std::string> BytesOf(std::string_view written) const;
  absl::Status AddModelToken(std::string_view written, int32_t id);
  absl::Status AddAddedToken(const AddedToken& token);

  bool byte_level_ = false;
  std::vector<char> arena_;  // Allocated once: everything below views it.
  std::vector<std::string_view> bytes_;
  std::vector<bool> special_;
  std::vector<bool> taken_;
  absl::flat_hash_map<std::string_view, int32_t> model_bytes_;
  absl::flat_hash_map<std::string_view, int32_t> model_unmapped_;  // Not in the byte alphabet.
  absl::flat_hash_map<std::string_view, int32_t> added_;
};

}  // namespace regatta
