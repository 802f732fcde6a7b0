// Byte-pair encoding of one piece of text. Knows neither patterns nor special tokens.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "common/text/merge_queue.h"
#include "common/text/tokenizer_spec.h"
#include "common/text/vocabulary.h"
#include "common/text/word_cache.h"

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
    MergeQueue queue;
    WordCache cache;  // So one Scratch serves one model.
  };

  // `vocabulary` must outlive the model. Symbols are bytes if `byte_level`, else characters.
  // INVALID_ARGUMENT when a merge or unk_token names an unknown token.
  static absl::StatusOr<BpeModel> Create(const BpeSpec& spec, bool byte_level,
                                         const Vocabulary& vocabulary);

  // Appends the token ids of `piece` (UTF-8 unless symbols are bytes; below 4 GiB), in linear time
  // but for merges that tie or come out of order, which are sorted.
  // Symbols without a token become byte tokens or unk_token where the model has them, else nothing.
  void Encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& out) const;

 private:
  explicit BpeModel(const Vocabulary& vocabulary) : vocabulary_(&vocabulary) {}

  absl::Status FindUnknown(const BpeSpec& spec);
  absl::Status AddMerges(const BpeSpec& spec);
  void FindWholeTokens();
  bool MergesAcrossWords(const BpeSpec& spec) const;
  Merge FindMerge(int32_t left, int32_t right) const;
  void EncodeWord(std::string_view word, Scratch& scratch, std::vector<int32_t>& out) const;
  void ByteSymbols(std::string_view piece, std::vector<int32_t>& ids) const;
  void CharacterSymbols(std::string_view piece, std::vector<int32_t>& ids) const;
  bool AppendByteTokens(std::string_view character, std::vector<int32_t>& ids) const;
  void MergeShort(Scratch& scratch) const;
  void MergeLong(Scratch& scratch) const;

  const Vocabulary* vocabulary_;
  bool byte_level_ = true;
  bool ignore_merges_ = false;
  bool cut_words_ = false;             // Nothing merges across the beginning of a word.
  std::array<int32_t, 256> symbols_;   // Of a byte, or of an ASCII character; -1: no token.
  std::array<int32_t, 256> fallback_;  // "<0xE2>" of each byte; -1: none.
  int32_t unk_id_ = -1;
  bool fuse_unk_ = false;
  absl::flat_hash_map<uint64_t, Merge> merges_;  // (left id << 32 | right id)
  std::vector<bool> whole_;                      // By id: its bytes as a piece encode to itself.
};

}  // namespace regatta
