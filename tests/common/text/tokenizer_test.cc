// The tokenizer on a hand-made vocabulary: ids, bytes, special tokens, ill-formed input,
// adversarial input.
#include "common/text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>
#include <vector>

#include "common/text/detokenizer.h"
#include "tests/common/text/tiny_tokenizer.h"

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Ids = std::vector<int32_t>;

const std::string kFixtures = REGATTA_SOURCE_DIR "/tests/common/text/fixtures";

std::string Repeat(const std::string& unit, size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += unit;
  return text;
}

TEST(Tokenizer, MergesByRankWithinPieces) {
  auto tokenizer = LoadTiny();
  EXPECT_THAT(tokenizer->Encode("hello world", false), ElementsAre(259, 260, 'o', 'r', 'l', 'd'));
  EXPECT_THAT(tokenizer->Encode("hell", false), ElementsAre(258));
  EXPECT_THAT(tokenizer->Encode("hhelll", false), ElementsAre('h', 258, 'l'));
  EXPECT_THAT(tokenizer->Encode("", false), IsEmpty());
  EXPECT_THAT(tokenizer->Encode("é", false), ElementsAre(0xC3, 0xA9));
}

TEST(Tokenizer, PostProcessorAddsSpecialTokensOnRequest) {
  auto tokenizer = LoadTiny();
  EXPECT_THAT(tokenizer->Encode("hello", true), ElementsAre(300, 259));
  EXPECT_THAT(tokenizer->Encode("", true), ElementsAre(300));
}

TEST(Tokenizer, SpecialTokensInTextAreParsedOnlyOnRequest) {
  auto tokenizer = LoadTiny();
  EXPECT_THAT(tokenizer->Encode("a<|eos|>b<tool>", false, true), ElementsAre('a', 301, 'b', 302));
  Ids plain = tokenizer->Encode("a<|eos|>b<tool>", false, false);
  EXPECT_EQ(plain.size(), 10u);  // Every letter of <|eos|>; <tool> is added, not special.
  EXPECT_EQ(plain.back(), 302);
  EXPECT_EQ(tokenizer->Decode(plain, true), "a<|eos|>b<tool>");
  for (const char* lookalike : {"<|eos|", "|eos|>", "<|EOS|>", "<|eos |>", "<<|", "<|bo"}) {
    Ids ids = tokenizer->Encode(lookalike, false, true);
    EXPECT_EQ(std::count_if(ids.begin(), ids.end(), [](int32_t id) { return id >= 300; }), 0);
    EXPECT_EQ(tokenizer->Decode(ids, false), lookalike);
  }
}

TEST(Tokenizer, KnowsItsTokens) {
  auto tokenizer = LoadTiny();
  EXPECT_EQ(tokenizer->vocab_size(), 303);
  EXPECT_EQ(tokenizer->TokenBytes(260), " w");
  EXPECT_EQ(tokenizer->TokenBytes(0xFF), "\xFF");
  EXPECT_EQ(tokenizer->TokenBytes(0), std::string(1, '\0'));
  EXPECT_EQ(tokenizer->TokenBytes(301), "<|eos|>");
  EXPECT_EQ(tokenizer->TokenId("Ġw"), 260);
  EXPECT_EQ(tokenizer->TokenId("<|eos|>"), 301);
  EXPECT_EQ(tokenizer->TokenId("nowhere"), std::nullopt);
  EXPECT_TRUE(tokenizer->IsSpecial(301));
  EXPECT_FALSE(tokenizer->IsSpecial(302));
  for (int32_t unknown : {-1, INT32_MIN, 270, 303, INT32_MAX}) {
    EXPECT_EQ(tokenizer->TokenBytes(unknown), "") << unknown;
    EXPECT_FALSE(tokenizer->IsSpecial(unknown)) << unknown;
  }
}

TEST(Tokenizer, DecodeSkipsSpecialAndUnknownIds) {
  auto tokenizer = LoadTiny();
  Ids ids = {300, 259, 270, -5, 260, 302, 301};
  EXPECT_EQ(tokenizer->Decode(ids, false), "<|bos|>hello w<tool><|eos|>");
  EXPECT_EQ(tokenizer->Decode(ids, true), "hello w<tool>");
  // A character whose bytes a skipped token separates comes together; otherwise both halves are
  // ill-formed.
  EXPECT_EQ(tokenizer->Decode({0xC3, 301, 0xA9}, true), "é");
  EXPECT_EQ(tokenizer->Decode({0xC3, 301, 0xA9}, false), "\uFFFD<|eos|>\uFFFD");
}

TEST(Tokenizer, IllFormedUtf8CountsAsReplacementCharacters) {
  auto tokenizer = LoadTiny();
  EXPECT_EQ(tokenizer->Encode("hello\xFFhello\xE2\x82", false),
            tokenizer->Encode("hello\uFFFDhello\uFFFD", false));
  EXPECT_EQ(tokenizer->Encode("\xED\xA0\x80", false),
            tokenizer->Encode("\uFFFD\uFFFD\uFFFD", false));
}

TEST(Tokenizer, AddedTokensDecodeToWhatWasWritten) {
  nlohmann::json json = TinyTokenizerJson();
  json["model"]["vocab"].erase("ø");  // Stands for the byte 0xF8, which no UTF-8 contains.
  json["added_tokens"].push_back(TinyAddedToken(303, "ø", false));
  auto tokenizer = LoadTiny(json);
  EXPECT_THAT(tokenizer->Encode("xø", false), ElementsAre('x', 303));
  EXPECT_EQ(tokenizer->Decode({303}, false), "ø");
}

TEST(Tokenizer, LoadsFilesAndDirectories) {
  std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "tokenizer_test";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "tokenizer.json") << TinyTokenizerJson().dump();
  EXPECT_TRUE(Tokenizer::Load(folder).ok());
  EXPECT_TRUE(Tokenizer::Load(folder / "tokenizer.json").ok());
  auto missing = Tokenizer::Load(folder / "absent.json");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), testing::HasSubstr("absent.json"));
  std::filesystem::remove_all(folder);
}

TEST(Tokenizer, ThreadsShareOneTokenizer) {
  auto tokenizer = Tokenizer::Load(kFixtures + "/qwen2_style.json");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const std::string text =
      "Don't <|im_start|>stop: e\u0301 日本語 12345\n\n\t" + std::string(300, 'a');
  Ids expected = (*tokenizer)->Encode(text, true);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 50; ++n) EXPECT_EQ((*tokenizer)->Encode(text, true), expected);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Letters and digits without any order or break.
std::string LongWord(size_t bytes) {
  std::mt19937 random(8);
  std::string word;
  while (word.size() < bytes) word.push_back("abcdefghijklmnopqrstuvwxyzABC"[random() % 29]);
  return word;
}

std::vector<std::string> AdversarialTexts(size_t bytes) {
  std::vector<std::string> texts = {LongWord(bytes), Repeat(" ", bytes) + "x",
                                    std::string(bytes, '\0')};
  for (const char* unit : {"a",
                           "A",
                           " ",
                           "\n",
                           "\r\n ",
                           "\n  ",
                           " \u3000",
                           "'",
                           "<",
                           "<|eot_id|",
                           "<|eot_id|>",
                           "<|reserved_special_token_1",
                           "<s",
                           "<s>",
                           "<s> ",
                           "[INST",
                           "<0x41>",
                           "\u2581",
                           "\u2581\u2581a",
                           "\xFF",
                           "\xF0\x9F",
                           "\u0301\u0316",
                           "\u1161",
                           "\u3007",
                           "😀",
                           "\U00050000"}) {
    texts.push_back(Repeat(unit, bytes));
  }
  return texts;
}

// A megabyte of anything is tokenised and put together again in time proportional to its length.
// Each takes about 0.1 s; quadratic behaviour would take minutes.
TEST(Tokenizer, AdversarialTextsTakeLinearTime) {
  constexpr size_t kBytes = 1 << 20;
  const std::vector<std::string> texts = AdversarialTexts(kBytes);
  for (const char* name : {"llama3_style", "qwen2_style", "tekken_style", "stages_drop",
                           "llama2_style", "mistral_style"}) {
    auto tokenizer = Tokenizer::Load(kFixtures + "/" + name + ".json");
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    for (const std::string& text : texts) {
      auto begin = std::chrono::steady_clock::now();
      Ids ids = (*tokenizer)->Encode(text, true);
      Detokenizer detokenizer(**tokenizer, /*skip_special_tokens=*/false);
      for (int32_t id : ids) detokenizer.Append({id});
      detokenizer.Finish();
      std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
      EXPECT_LT(seconds.count(), 5.0) << name << ": " << text.substr(0, 12);
    }
  }
}

}  // namespace
}  // namespace regatta
