// Byte-pair encoding against the definition, applied naively: random vocabularies, pieces on both
// sides of the queue.
#include "common/text/bpe.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace regatta {
namespace {

// Merges of random pairs of known tokens, so that many tokens overlap and compete.
BpeSpec RandomSpec(std::mt19937& random, int letters, int merges) {
  BpeSpec spec;
  std::vector<std::string> tokens;
  std::map<std::string, int32_t> ids;
  auto add = [&](const std::string& token) {
    if (!ids.emplace(token, static_cast<int32_t>(ids.size())).second) return false;
    tokens.push_back(token);
    spec.vocab.emplace_back(token, ids[token]);
    return true;
  };
  for (int i = 0; i < letters; ++i) add(std::string(1, static_cast<char>('a' + i)));
  for (int i = 0; i < merges; ++i) {
    std::string left = tokens[random() % tokens.size()], right = tokens[random() % tokens.size()];
    if (left.size() + right.size() > 12) continue;
    add(left + right);  // A token may be reached by several merges.
    spec.merges.emplace_back(left, right);
  }
  return spec;
}

size_t RankOf(const BpeSpec& spec, size_t merge) {
  return spec.merge_ranks.empty() ? merge : spec.merge_ranks[merge];
}

// While any adjacent pair has a merge: take the one of lowest rank, the leftmost of those. Later
// spellings of one pair count.
std::vector<int32_t> Naive(const BpeSpec& spec, const std::string& piece) {
  std::map<std::string, int32_t> ids(spec.vocab.begin(), spec.vocab.end());
  std::map<std::pair<std::string, std::string>, size_t> ranks;
  for (size_t i = 0; i < spec.merges.size(); ++i) ranks[spec.merges[i]] = RankOf(spec, i);
  if (spec.ignore_merges && ids.count(piece) > 0) return {ids[piece]};
  std::vector<std::string> parts;
  for (char c : piece) {
    if (ids.count(std::string(1, c)) > 0) parts.emplace_back(1, c);
  }
  while (true) {
    size_t best = parts.size(), best_rank = SIZE_MAX;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      auto it = ranks.find({parts[i], parts[i + 1]});
      if (it != ranks.end() && it->second < best_rank) best = i, best_rank = it->second;
    }
    if (best == parts.size()) break;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + best + 1);
  }
  std::vector<int32_t> result;
  for (const std::string& part : parts) result.push_back(ids[part]);
  return result;
}

TEST(Bpe, EqualsTheDefinition) {
  std::mt19937 random(11);
  for (int round = 0; round < 60; ++round) {
    int letters = 2 + static_cast<int>(random() % 4);
    TokenizerSpec spec;
    spec.byte_level = true;
    spec.model = RandomSpec(random, letters, 5 + static_cast<int>(random() % 60));
    spec.model.ignore_merges = round % 3 == 0;
    // Sentencepiece's scores make ranks that several pairs share.
    for (size_t i = 0; round % 2 == 0 && i < spec.model.merges.size(); ++i) {
      spec.model.merge_ranks.push_back(random() % 5);
    }
    auto vocabulary = Vocabulary::Create(spec);
    ASSERT_TRUE(vocabulary.ok()) << vocabulary.status();
    auto model = BpeModel::Create(spec.model, spec.byte_level, *vocabulary);
    ASSERT_TRUE(model.ok()) << model.status();
    BpeModel::Scratch scratch;
    for (int n = 0; n < 60; ++n) {
      std::string piece;
      size_t length = n % 4 == 0 ? 40 + random() % 200 : 1 + random() % 12;
      for (size_t i = 0; i < length; ++i) {
        piece.push_back(static_cast<char>(
            'a' + random() % (letters + (n % 5 == 0))));  // Maybe one letter unknown.
      }
      std::vector<int32_t> ids;
      model->Encode(piece, scratch, ids);
      EXPECT_EQ(ids, Naive(spec.model, piece)) << piece;
    }
  }
}

TEST(Bpe, UnknownBytesBecomeUnkTokens) {
  TokenizerSpec spec;
  spec.byte_level = true;
  spec.model.vocab = {{"<unk>", 0}, {"a", 1}, {"b", 2}, {"ab", 3}};
  spec.model.merges = {{"a", "b"}};
  spec.model.unk_token = "<unk>";
  for (bool fuse : {false, true}) {
    spec.model.fuse_unk = fuse;
    auto vocabulary = Vocabulary::Create(spec);
    ASSERT_TRUE(vocabulary.ok());
    auto model = BpeModel::Create(spec.model, spec.byte_level, *vocabulary);
    ASSERT_TRUE(model.ok());
    BpeModel::Scratch scratch;
    std::vector<int32_t> ids;
    model->Encode("xyabzab", scratch, ids);
    EXPECT_EQ(ids,
              fuse ? (std::vector<int32_t>{0, 3, 0, 3}) : (std::vector<int32_t>{0, 0, 3, 0, 3}));
  }
}

}  // namespace
}  // namespace regatta
