// Byte-pair encoding of one piece of text. Knows neither patterns nor special tokens.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "common/text/tokenizer_spec.h"
#include "common/text/vocabulary.h"

namespace regatta {

// Immutable and safe to share between threads; each thread brings its own Scratch.
class BpeModel {
 public:
  struct Merge {
    uint32_t rank = kNoMerge;  // Lower merges first.
    int32_t id = -1;           // The token that the pair becomes.
  };
  static constexpr uint32_t kNoMerge = UINT32_MAX;

  // Working memory of one thread, reused between pieces.
  struct Scratch {
    std::vector<int32_t> ids;
    std::vector<Merge> merges;
    std::vector<uint32_t> next, previous;
    std::vector<uint64_t> heap;
  };

  // `vocabulary` must outlive the model. INVALID_ARGUMENT when a merge or unk_token names an
  // unknown token.
  static absl::StatusOr<BpeModel> Create(const BpeSpec& spec, const Vocabulary& vocabulary);

  // Appends the token ids of `piece` (any bytes, below 4 GiB) in O(n log n). Bytes without a token
  // are left out, or become unk_token where the model has one.
  void Encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& out) const;

 private:
  explicit BpeModel(const Vocabulary& vocabulary) : vocabulary_(&vocabulary) {}

  absl::Status AddMerges(const BpeSpec& spec);
  void FindWholeTokens(bool ignore_merges);
  Merge FindMerge(int32_t left, int32_t right) const;
  void Symbols(std::string_view piece, std::vector<int32_t>& ids) const;
  void MergeShort(Scratch& scratch) const;
  void MergeLong(Scratch& scratch) const;

  const Vocabulary* vocabulary_;
  std::array<int32_t, 256> byte_ids_;  // -1: no token.
  int32_t unk_id_ = -1;
  bool fuse_unk_ = false;
  absl::flat_hash_map<uint64_t, Merge> merges_;  // (left id << 32 | right id)
  std::vector<bool> whole_;                      // By id: its bytes as a piece encode to itself.
};

}  // namespace regatta
