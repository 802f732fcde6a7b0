// Byte-pair encoding: always the adjacent pair of lowest rank, leftmost first. Short pieces scan,
// long ones keep a queue.
#include "common/text/bpe.h"

#include <unicode/utf8.h>

#include <algorithm>
#include <string>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

// Below it, scanning an array beats a queue.
constexpr size_t kShortPiece = 48;
constexpr uint32_t kNone = UINT32_MAX;
// U+2581, which stands for a space in vocabularies of sentencepiece.
constexpr std::string_view kWordMark = "\u2581";

// The first mark at or after `from`, or the end of `text`. Its first byte is rare in most texts.
size_t FindMark(std::string_view text, size_t from) {
  size_t found = text.find(kWordMark, from);
  return found == std::string_view::npos ? text.size() : found;
}

uint64_t PairKey(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

}  // namespace

absl::StatusOr<BpeModel> BpeModel::Create(const BpeSpec& spec, bool byte_level,
                                          const Vocabulary& vocabulary) {
  BpeModel model(vocabulary);
  model.byte_level_ = byte_level;
  model.ignore_merges_ = spec.ignore_merges;
  model.fallback_.fill(-1);
  for (int byte = 0; byte < 256; ++byte) {
    char c = static_cast<char>(byte);
    model.symbols_[byte] = vocabulary.FindBytes(std::string_view(&c, 1));
    if (!spec.byte_fallback) continue;
    std::string name = absl::StrFormat("<0x%02X>", byte);
    model.fallback_[byte] = vocabulary.FindInModel(name).value_or(-1);
  }
  RETURN_IF_ERROR(model.FindUnknown(spec));
  RETURN_IF_ERROR(model.AddMerges(spec));
  model.cut_words_ = !byte_level && !spec.ignore_merges && !model.MergesAcrossWords(spec);
  model.FindWholeTokens();
  return model;
}

// Sets unk_id_ where it may occur; some files name one that is not there and is never needed.
absl::Status BpeModel::FindUnknown(const BpeSpec& spec) {
  const auto& every = byte_level_ ? symbols_ : fallback_;
  if (!spec.unk_token.has_value() || !absl::c_linear_search(every, -1)) return absl::OkStatus();
  std::optional<int32_t> id = vocabulary_->FindInModel(*spec.unk_token);
  if (!id.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.unk_token: \"", *spec.unk_token, "\" is not in model.vocab"));
  }
  unk_id_ = *id;
  fuse_unk_ = spec.fuse_unk;
  return absl::OkStatus();
}

absl::Status BpeModel::AddMerges(const BpeSpec& spec) {
  merges_.reserve(spec.merges.size());
  std::string merged;
  for (size_t rank = 0; rank < spec.merges.size(); ++rank) {
    const auto& [left, right] = spec.merges[rank];
    merged.assign(left).append(right);
    int32_t ids[3];
    const std::string* tokens[3] = {&left, &right, &merged};
    for (int i = 0; i < 3; ++i) {
      std::optional<int32_t> id = vocabulary_->FindInModel(*tokens[i]);
      if (!id.has_value()) {
        return absl::InvalidArgumentError(
            absl::StrCat("model.merges[", rank, "]: \"", *tokens[i], "\" is not in model.vocab"));
      }
      ids[i] = *id;
    }
    uint32_t order =
        spec.merge_ranks.empty() ? static_cast<uint32_t>(rank) : spec.merge_ranks[rank];
    merges_[PairKey(ids[0], ids[1])] = {.rank = order, .id = ids[2]};
  }
  return absl::OkStatus();
}

// Words begin at the mark that stands for a space. In most vocabularies no token holds it behind
// anything else, so that what comes before a word never changes its tokens.
bool BpeModel::MergesAcrossWords(const BpeSpec& spec) const {
  if (vocabulary_->FindBytes(kWordMark) < 0) return true;
  return absl::c_any_of(spec.merges, [](const auto& merge) {
    return merge.second.starts_with(kWordMark) && !merge.first.ends_with(kWordMark);
  });
}

// Most pieces of ordinary text are one token: knowing which tokens stand for themselves saves
// merging them.
void BpeModel::FindWholeTokens() {
  Scratch scratch;
  std::vector<int32_t> ids;
  std::vector<bool> whole(vocabulary_->size());
  for (const auto& [bytes, id] : vocabulary_->model_tokens()) {
    ids.clear();
    if (!ignore_merges_) Encode(bytes, scratch, ids);
    whole[id] = ignore_merges_ || (ids.size() == 1 && ids[0] == id);
  }
  whole_ = std::move(whole);
}

BpeModel::Merge BpeModel::FindMerge(int32_t left, int32_t right) const {
  auto it = merges_.find(PairKey(left, right));
  return it == merges_.end() ? Merge() : it->second;
}

void BpeModel::Encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& out) const {
  while (cut_words_ && !piece.empty()) {
    size_t marks = 0;  // A run of marks belongs to the word behind it.
    while (piece.substr(marks).starts_with(kWordMark)) marks += kWordMark.size();
    size_t end = FindMark(piece, marks);
    EncodeWord(piece.substr(0, end), scratch, out);
    piece.remove_prefix(end);
  }
  if (!piece.empty()) EncodeWord(piece, scratch, out);
}

void BpeModel::EncodeWord(std::string_view word, Scratch& scratch,
                          std::vector<int32_t>& out) const {
  absl::Span<const int32_t> known = scratch.cache.Find(word);
  if (!known.empty()) {
    out.insert(out.end(), known.begin(), known.end());
    return;
  }
  int32_t id = whole_.empty() ? -1 : vocabulary_->FindBytes(word);
  if (id >= 0 && whole_[id]) {
    scratch.ids.assign(1, id);
  } else {
    byte_level_ ? ByteSymbols(word, scratch.ids) : CharacterSymbols(word, scratch.ids);
    scratch.ids.size() < kShortPiece ? MergeShort(scratch) : MergeLong(scratch);
  }
  if (!whole_.empty()) scratch.cache.Insert(word, scratch.ids);
  out.insert(out.end(), scratch.ids.begin(), scratch.ids.end());
}

void BpeModel::ByteSymbols(std::string_view piece, std::vector<int32_t>& ids) const {
  ids.clear();
  bool fusing = false;  // The byte before became unk_token and so may take this one in.
  for (char c : piece) {
    int32_t id = symbols_[static_cast<uint8_t>(c)];
    bool unknown = id < 0;
    if (unknown) id = unk_id_;
    if (id >= 0 && !(unknown && fusing)) ids.push_back(id);
    fusing = unknown && fuse_unk_;
  }
}

// An unk_token waits for the next character that has a token, behind byte tokens in between: so
// `tokenizers` orders them.
void BpeModel::CharacterSymbols(std::string_view piece, std::vector<int32_t>& ids) const {
  ids.clear();
  bool waiting = false;
  for (size_t begin = 0, end; begin < piece.size(); begin = end) {
    end = begin;
    U8_FWD_1(reinterpret_cast<const uint8_t*>(piece.data()), end, piece.size());
    std::string_view character = piece.substr(begin, end - begin);
    int32_t id = character.size() == 1 ? symbols_[static_cast<uint8_t>(character[0])]
                                       : vocabulary_->FindBytes(character);
    if (id >= 0) {
      if (waiting) ids.push_back(unk_id_);
      waiting = false;
      ids.push_back(id);
    } else if (!AppendByteTokens(character, ids) && unk_id_ >= 0) {
      if (waiting && !fuse_unk_) ids.push_back(unk_id_);
      waiting = true;
    }
  }
  if (waiting) ids.push_back(unk_id_);
}

// False, and nothing appended, when a byte has no token.
bool BpeModel::AppendByteTokens(std::string_view character, std::vector<int32_t>& ids) const {
  for (char c : character) {
    if (fallback_[static_cast<uint8_t>(c)] < 0) return false;
  }
  for (char c : character) ids.push_back(fallback_[static_cast<uint8_t>(c)]);
  return true;
}

void BpeModel::MergeShort(Scratch& scratch) const {
  std::vector<int32_t>& ids = scratch.ids;
  std::vector<Merge>& merges = scratch.merges;  // Of (ids[i], ids[i + 1]).
  size_t count = ids.size();
  if (count < 2) return;
  merges.resize(count - 1);
  for (size_t i = 0; i + 1 < count; ++i) merges[i] = FindMerge(ids[i], ids[i + 1]);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      if (merges[i].rank < merges[best].rank) best = i;
    }
    if (merges[best].rank == kNoMerge) break;
    ids[best] = merges[best].id;
    std::copy(ids.begin() + best + 2, ids.begin() + count, ids.begin() + best + 1);
    std::copy(merges.begin() + best + 1, merges.begin() + count - 1, merges.begin() + best);
    --count;
    if (best > 0) merges[best - 1] = FindMerge(ids[best - 1], ids[best]);
    if (best + 1 < count) merges[best] = FindMerge(ids[best], ids[best + 1]);
  }
  ids.resize(count);
}

// Symbols form a linked list over positions; what the queue gives may be out of date.
void BpeModel::MergeLong(Scratch& scratch) const {
  std::vector<int32_t>& ids = scratch.ids;
  std::vector<Merge>& merges = scratch.merges;
  std::vector<uint32_t>& next = scratch.next;
  std::vector<uint32_t>& previous = scratch.previous;
  MergeQueue& queue = scratch.queue;
  auto count = static_cast<uint32_t>(ids.size());
  next.resize(count);
  previous.resize(count);
  merges.resize(count);
  queue.Clear();
  auto push = [&](uint32_t left) {
    merges[left] = next[left] == kNone ? Merge() : FindMerge(ids[left], ids[next[left]]);
    if (merges[left].rank != kNoMerge) queue.Push(merges[left].rank, left);
  };
  for (uint32_t i = 0; i < count; ++i) {
    next[i] = i + 1 < count ? i + 1 : kNone;
    previous[i] = i == 0 ? kNone : i - 1;
    push(i);
  }
  for (uint32_t rank, left; queue.Pop(rank, left);) {
    if (merges[left].rank != rank) continue;  // The pair has changed since.
    uint32_t right = next[left];
    ids[left] = merges[left].id;
    ids[right] = -1;
    merges[right] = Merge();
    next[left] = next[right];
    if (next[right] != kNone) previous[next[right]] = left;
    push(left);
    if (previous[left] != kNone) push(previous[left]);
  }
  ids.erase(std::remove(ids.begin(), ids.end(), -1), ids.end());
}

}  // namespace regatta
