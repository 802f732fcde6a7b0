// Incremental detokenisation: exact to the byte, whole characters only, nothing held longer than
// needed.
#include "common/text/detokenizer.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "common/text/utf8.h"
#include "tests/common/text/tiny_tokenizer.h"

namespace regatta {
namespace {

using Ids = std::vector<int32_t>;

Ids BytesAsIds(const std::string& bytes) {
  Ids ids;
  for (char c : bytes) ids.push_back(static_cast<uint8_t>(c));
  return ids;
}

std::unique_ptr<Tokenizer> LoadFixture(const std::string& name) {
  auto tokenizer =
      Tokenizer::Load(REGATTA_SOURCE_DIR "/tests/common/text/fixtures/" + name + ".json");
  CHECK(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

// Feeds `ids` cut into three parts at `first` and `second` and compares with decoding them at once.
void CheckCuts(const Tokenizer& tokenizer, const Ids& ids, size_t first, size_t second) {
  absl::Span<const int32_t> all(ids);
  Detokenizer detokenizer(tokenizer, /*skip_special_tokens=*/true);
  std::string text = detokenizer.Append(all.first(first));
  text += detokenizer.Append(all.subspan(first, second - first));
  text += detokenizer.Append(all.subspan(second));
  text += detokenizer.Finish();
  EXPECT_EQ(text, tokenizer.Decode(ids, true)) << first << ", " << second;
}

TEST(Detokenizer, EveryPairOfCutsGivesTheWholeText) {
  auto tokenizer = LoadTiny();
  for (const std::string& bytes :
       {std::string("hello w é€😀👩‍👩‍👧‍👦 日本語 e\u0301"),
        std::string("\xF0\x9F\x98x\xE2\x82\xC3\xA9\xFF\x80"),
        std::string("\xED\xA0\x80\xF4\x90\x80\x80\xC0\x80"), std::string("a\xF0\x9F\x98")}) {
    Ids ids = BytesAsIds(bytes);
    ids.insert(ids.begin() + 2, 301);  // A special token in the middle, to be skipped.
    ids.push_back(259);
    for (size_t first = 0; first <= ids.size(); ++first) {
      for (size_t second = first; second <= ids.size(); ++second) {
        CheckCuts(*tokenizer, ids, first, second);
      }
    }
  }
}

TEST(Detokenizer, RandomBytesOneByOne) {
  auto tokenizer = LoadTiny();
  std::mt19937 random(3);
  const std::string pool = "a\x7F\x80\x90\xA0\xBF\xC0\xC2\xDF\xE0\xE2\xED\xEF\xF0\xF1\xF4\xF5\xFF";
  for (int round = 0; round < 2000; ++round) {
    Ids ids;
    for (size_t n = random() % 12; n > 0; --n) {
      ids.push_back(static_cast<uint8_t>(pool[random() % pool.size()]));
    }
    Detokenizer detokenizer(*tokenizer, false);
    std::string text, bytes;
    for (int32_t id : ids) {
      text += detokenizer.Append({id});
      bytes.push_back(static_cast<char>(id));
      EXPECT_TRUE(IsValidUtf8(text));
      // All that is certain has been released: only what may still become a character is held.
      std::string certain;
      AppendUtf8Lossy(std::string_view(bytes).substr(0, bytes.size() - IncompleteUtf8Suffix(bytes)),
                      certain);
      EXPECT_EQ(text, certain);
    }
    EXPECT_EQ(text + detokenizer.Finish(), tokenizer->Decode(ids, false));
  }
}

TEST(Detokenizer, HoldsBackOnlyTheBeginningOfACharacter) {
  auto tokenizer = LoadTiny();
  Detokenizer detokenizer(*tokenizer, false);
  EXPECT_EQ(detokenizer.Append({'a', 0xF0}), "a");
  EXPECT_EQ(detokenizer.Append({0x9F}), "");
  EXPECT_EQ(detokenizer.Append({0x98}), "");
  EXPECT_EQ(detokenizer.Append({}), "");
  EXPECT_EQ(detokenizer.Append({0x80, 259}), "😀hello");
  EXPECT_EQ(detokenizer.Append({0xE2, 0x82}), "");
  EXPECT_EQ(detokenizer.Append({'x'}), "\uFFFDx");
  EXPECT_EQ(detokenizer.Append({0xE2, 0x82}), "");
  EXPECT_EQ(detokenizer.Finish(), "\uFFFD");
  EXPECT_EQ(detokenizer.Finish(), "");
  EXPECT_EQ(detokenizer.Append({0xAC}), "\uFFFD");  // Begun anew.
}

TEST(Detokenizer, SpecialTokensAreSkippedOrShown) {
  auto tokenizer = LoadTiny();
  Detokenizer shown(*tokenizer, false), skipped(*tokenizer, true);
  EXPECT_EQ(shown.Append({259, 301, 302}), "hello<|eos|><tool>");
  EXPECT_EQ(skipped.Append({259, 301, 302}), "hello<tool>");
}

// Random ids, among them runs of byte tokens, special and unknown ones, in every kind of decoder.
TEST(Detokenizer, EveryDecoderAtEveryPairOfCuts) {
  std::mt19937 random(4);
  for (const char* name : {"llama2_style", "mistral_style", "mixtral_style", "tekken_style",
                           "metaspace_always", "metaspace_never", "words_only"}) {
    SCOPED_TRACE(name);
    auto tokenizer = LoadFixture(name);
    for (int round = 0; round < 200; ++round) {
      Ids ids(random() % 10);
      uint32_t limit = round % 2 == 0 ? 260 : tokenizer->vocab_size() + 3;
      for (int32_t& id : ids) id = static_cast<int32_t>(random() % limit);
      for (size_t first = 0; first <= ids.size(); ++first) {
        for (size_t second = first; second <= ids.size(); ++second) {
          CheckCuts(*tokenizer, ids, first, second);
        }
      }
    }
  }
}

TEST(Detokenizer, ByteTokensAreHeldUntilTheirRunEnds) {
  auto tokenizer = LoadFixture("llama2_style");
  auto id = [&](const char* token) { return tokenizer->TokenId(token).value(); };
  Detokenizer detokenizer(*tokenizer, /*skip_special_tokens=*/true);
  EXPECT_EQ(detokenizer.Append({id("<s>"), id("\u2581the"), id("<0xE2>"), id("<0x82>")}), "the");
  EXPECT_EQ(detokenizer.Append({id("<0xAC>")}), "");
  EXPECT_EQ(detokenizer.Append({id("</s>")}), "");  // Skipped, so it does not end the run.
  EXPECT_EQ(detokenizer.Append({id("\u2581the")}), "\u20AC the");
  EXPECT_EQ(detokenizer.Append({id("<0xE2>"), id("<0x41>"), id("a")}), "\uFFFD\uFFFDa");
  EXPECT_EQ(detokenizer.Append({id("<0x41>")}), "");
  EXPECT_EQ(detokenizer.Finish(), "A");
  EXPECT_EQ(detokenizer.Append({id("\u2581the")}), "the");  // Begun anew: no space.
}

// What continues a text is the text of all without that of the beginning, in every decoder.
TEST(Detokenizer, AContinuedTextKeepsItsSpace) {
  std::mt19937 random(7);
  for (const char* name : {"llama2_style", "llama3_style", "mistral_style", "mixtral_style",
                           "tekken_style", "metaspace_always", "metaspace_never"}) {
    SCOPED_TRACE(name);
    auto tokenizer = LoadFixture(name);
    const Ids begin = tokenizer->Encode("the the", /*add_special_tokens=*/true);
    const std::string begun = tokenizer->Decode(begin, true);
    for (int round = 0; round < 300; ++round) {
      Ids more(random() % 6);
      for (int32_t& id : more) id = static_cast<int32_t>(random() % tokenizer->vocab_size());
      if (round == 0) more = {tokenizer->Encode("the", /*add_special_tokens=*/false)};
      Ids all = begin;
      all.insert(all.end(), more.begin(), more.end());
      Detokenizer detokenizer(*tokenizer, true);
      detokenizer.Continue();
      std::string text = detokenizer.Append(more);
      text += detokenizer.Finish();
      ASSERT_EQ(begun + text, tokenizer->Decode(all, true)) << round;
    }
  }
}

TEST(Detokenizer, UnknownIdsAndNothingGiveNothing) {
  for (const char* name : {"llama2_style", "llama3_style"}) {
    auto tokenizer = LoadFixture(name);
    Detokenizer detokenizer(*tokenizer, false);
    EXPECT_EQ(detokenizer.Append({}), "");
    EXPECT_EQ(detokenizer.Append({-1, INT32_MIN, INT32_MAX, tokenizer->vocab_size()}), "");
    EXPECT_EQ(detokenizer.Finish(), "");
  }
}

// What is held grows with a run of byte tokens, the time only with it.
TEST(Detokenizer, AMillionByteTokens) {
  auto tokenizer = LoadFixture("mistral_style");
  std::string expected;
  Ids ids;
  for (int i = 0; i < 250'000; ++i) {
    for (const char* token : {"<0xF0>", "<0x9F>", "<0x98>", "<0x80>"}) {
      ids.push_back(tokenizer->TokenId(token).value());
    }
    expected += "😀";
  }
  Detokenizer detokenizer(*tokenizer, false);
  std::string text;
  for (int32_t id : ids) text += detokenizer.Append({id});
  EXPECT_EQ(text, "");
  EXPECT_TRUE(detokenizer.Finish() == expected);
  ids.pop_back();
  EXPECT_EQ(tokenizer->Decode(ids, false).size(), ids.size() * 3);  // One U+FFFD for each byte.
}

}  // namespace
}  // namespace regatta
