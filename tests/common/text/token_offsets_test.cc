// Where tokens begin in their text: pieces of characters, runs of byte tokens, tokens without text.
#include "common/text/token_offsets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "common/text/utf8.h"
#include "tests/common/text/tiny_tokenizer.h"

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Offsets = std::vector<uint64_t>;

std::unique_ptr<Tokenizer> LoadStyle(const std::string& name) {
  auto tokenizer =
      Tokenizer::Load(REGATTA_SOURCE_DIR "/tests/common/text/fixtures/" + name + ".json");
  CHECK(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

Offsets OffsetsOfAll(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip) {
  TokenOffsets places(tokenizer, skip);
  Offsets offsets;
  for (const int32_t id : ids) places.Append(id, offsets);
  places.Finish(offsets);
  EXPECT_EQ(offsets.size(), ids.size());
  EXPECT_EQ(places.characters(), CharacterCount(tokenizer.Decode(ids, skip)));
  return offsets;
}

TEST(TokenOffsets, PiecesOfACharacterBeginWhereItDoes) {
  const auto tiny = LoadTiny();
  const auto of = [&](const std::string& bytes) {
    std::vector<int32_t> ids;
    for (const char c : bytes) ids.push_back(static_cast<uint8_t>(c));
    return OffsetsOfAll(*tiny, ids, true);
  };
  EXPECT_THAT(of("aé€b"), ElementsAre(0, 1, 1, 2, 2, 2, 3));
  EXPECT_THAT(of("😀x"), ElementsAre(0, 0, 0, 0, 1));
  // What breaks off is one U+FFFD, and the next token begins behind it.
  EXPECT_THAT(of("\xC3z"), ElementsAre(0, 1));
  EXPECT_THAT(of("\xE2\x82z"), ElementsAre(0, 0, 1));
  EXPECT_THAT(of("\xC3\xC3\xA9z"), ElementsAre(0, 1, 1, 2));
  EXPECT_THAT(of("\xFF\xFF\x80z"), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(of("z\xF0\x9F"), ElementsAre(0, 1, 1));
}

TEST(TokenOffsets, TokensWithoutTextHaveThatOfTheTextThatFollows) {
  const auto tiny = LoadTiny();
  EXPECT_THAT(OffsetsOfAll(*tiny, {300, 259, 301, 'x', 9999}, true), ElementsAre(0, 0, 5, 5, 6));
  EXPECT_THAT(OffsetsOfAll(*tiny, {300, 259, 301, 'x'}, false), ElementsAre(0, 7, 12, 19));
  EXPECT_THAT(OffsetsOfAll(*tiny, {'a', 0xC3, 301, 0xA9, 'x'}, true), ElementsAre(0, 1, 1, 1, 2));
  EXPECT_THAT(OffsetsOfAll(*tiny, {'a', 0xC3, 301, 0xA9, 'x'}, false), ElementsAre(0, 1, 2, 9, 10));
}

// Against counting the characters of the bytes up to each token's first one.
TEST(TokenOffsets, RandomBytes) {
  const auto tiny = LoadTiny();
  std::mt19937 random(5);
  const std::string pool = "a\x7F\x80\x90\xA0\xBF\xC0\xC2\xDF\xE0\xE2\xED\xEF\xF0\xF1\xF4\xF5\xFF";
  for (int round = 0; round < 5000; ++round) {
    std::vector<int32_t> ids;
    std::string bytes;
    Offsets expected;
    for (size_t n = random() % 12; n > 0; --n) {
      ids.push_back(random() % 8 == 0 ? 256 + random() % 5  // Tokens of several bytes.
                                      : static_cast<uint8_t>(pool[random() % pool.size()]));
      const std::string_view token = tiny->TokenBytes(ids.back());
      std::string before;
      AppendUtf8Lossy(bytes + token[0], before);
      expected.push_back(CharacterCount(before) - 1);
      bytes += token;
    }
    ASSERT_EQ(OffsetsOfAll(*tiny, ids, true), expected) << round;
  }
}

TEST(TokenOffsets, ByteTokensWaitForTheEndOfTheirRun) {
  const auto llama = LoadStyle("llama2_style");
  const auto id = [&](const char* token) { return llama->TokenId(token).value(); };
  TokenOffsets places(*llama, /*skip_special_tokens=*/true);
  const auto append = [&](const char* token) {
    Offsets offsets;
    places.Append(id(token), offsets);
    return offsets;
  };
  EXPECT_THAT(append("<s>"), ElementsAre(0));
  EXPECT_THAT(append("\u2581the"), ElementsAre(0));
  for (const char* token : {"<0xE2>", "<0x82>", "</s>", "<0xAC>", "<0x41>"}) {
    EXPECT_THAT(append(token), IsEmpty());
  }
  EXPECT_THAT(append("\u2581the"), ElementsAre(3, 3, 3, 3, 4, 5));  // "the€A the"
  // Of an ill-formed run every byte is a character.
  EXPECT_THAT(append("<0xE2>"), IsEmpty());
  EXPECT_THAT(append("<0x82>"), IsEmpty());
  EXPECT_THAT(append("a"), ElementsAre(9, 10, 11));
  EXPECT_THAT(append("<0xE2>"), IsEmpty());
  Offsets rest;
  places.Finish(rest);
  EXPECT_THAT(rest, ElementsAre(12));
  EXPECT_EQ(places.characters(), 13u);
  // The space of the first token is not shown, be it a byte.
  EXPECT_THAT(OffsetsOfAll(*llama, {id("<0x20>"), id("<0x41>"), id("a")}, true),
              ElementsAre(0, 0, 1));
}

// Where nothing is held back a token begins at the end of the text before it, in every decoder.
TEST(TokenOffsets, EveryDecoderAgreesWithItsText) {
  std::mt19937 random(6);
  for (const char* name : {"llama2_style", "llama3_style", "mistral_style", "mixtral_style",
                           "qwen2_style", "tekken_style", "metaspace_always", "metaspace_never"}) {
    SCOPED_TRACE(name);
    const auto tokenizer = LoadStyle(name);
    size_t compared = 0;
    for (int round = 0; round < 500; ++round) {
      std::vector<int32_t> ids(random() % 10);
      const uint32_t limit = round % 2 == 0 ? 260 : tokenizer->vocab_size() + 3;
      for (int32_t& id : ids) id = static_cast<int32_t>(random() % limit);
      const bool skip = round % 3 != 0;
      const Offsets offsets = OffsetsOfAll(*tokenizer, ids, skip);
      Detokenizer text(*tokenizer, skip);
      for (size_t i = 0; i < ids.size(); ++i) {
        if (i > 0) {
          ASSERT_GE(offsets[i], offsets[i - 1]);
        }
        if (!text.HoldsBytes()) {
          const std::string before = tokenizer->Decode(absl::MakeConstSpan(ids).first(i), skip);
          ASSERT_EQ(offsets[i], CharacterCount(before)) << i;
          ++compared;
        }
        text.Append({ids[i]});
      }
    }
    EXPECT_GT(compared, 500u);
  }
}

}  // namespace
}  // namespace regatta
