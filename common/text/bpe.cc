// Byte-pair encoding: always the adjacent pair of lowest rank, leftmost first. Short pieces scan,
// long ones keep a heap.
#include "common/text/bpe.h"

#include <algorithm>
#include <functional>
#include <string>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

// Below it, scanning an array beats a heap.
constexpr size_t kShortPiece = 48;
constexpr uint32_t kNone = UINT32_MAX;

uint64_t PairKey(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

}  // namespace

absl::StatusOr<BpeModel> BpeModel::Create(const BpeSpec& spec, const Vocabulary& vocabulary) {
  BpeModel model(vocabulary);
  for (int byte = 0; byte < 256; ++byte) {
    char c = static_cast<char>(byte);
    model.byte_ids_[byte] = vocabulary.FindBytes(std::string_view(&c, 1));
  }
  bool complete = !absl::c_linear_search(model.byte_ids_, -1);
  if (spec.unk_token.has_value() &&
      !complete) {  // Else it never occurs, and some files name one that is not there.
    std::optional<int32_t> id = vocabulary.FindInModel(*spec.unk_token);
    if (!id.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat("model.unk_token: \"", *spec.unk_token, "\" is not in model.vocab"));
    }
    model.unk_id_ = *id;
    model.fuse_unk_ = spec.fuse_unk;
  }
  RETURN_IF_ERROR(model.AddMerges(spec));
  model.FindWholeTokens(spec.ignore_merges);
  return model;
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
    merges_[PairKey(ids[0], ids[1])] = {.rank = static_cast<uint32_t>(rank), .id = ids[2]};
  }
  return absl::OkStatus();
}

// Most pieces of ordinary text are one token: knowing which tokens stand for themselves saves
// merging them.
void BpeModel::FindWholeTokens(bool ignore_merges) {
  Scratch scratch;
  std::vector<int32_t> ids;
  std::vector<bool> whole(vocabulary_->size());
  for (const auto& [bytes, id] : vocabulary_->model_tokens()) {
    ids.clear();
    if (!ignore_merges) Encode(bytes, scratch, ids);
    whole[id] = ignore_merges || (ids.size() == 1 && ids[0] == id);
  }
  whole_ = std::move(whole);
}

BpeModel::Merge BpeModel::FindMerge(int32_t left, int32_t right) const {
  auto it = merges_.find(PairKey(left, right));
  return it == merges_.end() ? Merge() : it->second;
}

void BpeModel::Encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& out) const {
  if (!whole_.empty()) {
    int32_t id = vocabulary_->FindBytes(piece);
    if (id >= 0 && whole_[id]) {
      out.push_back(id);
      return;
    }
  }
  Symbols(piece, scratch.ids);
  if (scratch.ids.size() < kShortPiece) {
    MergeShort(scratch);
  } else {
    MergeLong(scratch);
  }
  out.insert(out.end(), scratch.ids.begin(), scratch.ids.end());
}

void BpeModel::Symbols(std::string_view piece, std::vector<int32_t>& ids) const {
  ids.clear();
  bool fusing = false;  // The byte before became unk_token and so may take this one in.
  for (char c : piece) {
    int32_t id = byte_ids_[static_cast<uint8_t>(c)];
    bool unknown = id < 0;
    if (unknown) id = unk_id_;
    if (id >= 0 && !(unknown && fusing)) ids.push_back(id);
    fusing = unknown && fuse_unk_;
  }
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

// Symbols form a linked list over positions; the heap holds (rank << 32 | left position) and may be
// out of date.
void BpeModel::MergeLong(Scratch& scratch) const {
  auto& [ids, merges, next, previous, heap] = scratch;
  auto count = static_cast<uint32_t>(ids.size());
  next.resize(count);
  previous.resize(count);
  merges.resize(count);
  heap.clear();
  auto queue = [&](uint32_t left) {
    merges[left] = next[left] == kNone ? Merge() : FindMerge(ids[left], ids[next[left]]);
    if (merges[left].rank == kNoMerge) return false;
    heap.push_back(static_cast<uint64_t>(merges[left].rank) << 32 | left);
    return true;
  };
  for (uint32_t i = 0; i < count; ++i) {
    next[i] = i + 1 < count ? i + 1 : kNone;
    previous[i] = i == 0 ? kNone : i - 1;
  }
  for (uint32_t i = 0; i < count; ++i) queue(i);
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  auto push = [&](uint32_t left) {
    if (queue(left)) std::push_heap(heap.begin(), heap.end(), std::greater<>());
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    uint64_t top = heap.back();
    heap.pop_back();
    auto left = static_cast<uint32_t>(top);
    if (merges[left].rank != top >> 32) continue;  // The pair has changed since.
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
