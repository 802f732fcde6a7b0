// tokenizer.model against libsentencepiece, which trains the models and is the reference; the files
// beside it; damaged files. A number on the command line sets how many texts are compared.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "common/text/detokenizer.h"
#include "common/text/sentencepiece_model.h"
#include "common/text/tokenizer.h"
#include "common/text/utf8.h"
#include "tests/common/text/generated_text.h"
#include "tests/common/text/sentencepiece_reference.h"

namespace regatta {
namespace {

using Ids = std::vector<int32_t>;
using testing::ElementsAre;
using testing::HasSubstr;

int compared_texts = 5'000;

constexpr char kLlama[] =
    "--model_type=bpe --vocab_size=900 --byte_fallback=true --split_digits=true "
    "--normalization_rule_name=identity --remove_extra_whitespaces=false "
    "--allow_whitespace_only_pieces=true --character_coverage=0.98 --minloglevel=2 "
    "--hard_vocab_limit=false";

struct Variant {
  const char* name;
  std::string flags;
};

const std::vector<Variant>& Variants() {
  static const auto& variants = *new std::vector<Variant>{
      {"Llama", kLlama},
      {"UserPieces", std::string(kLlama) + " --user_defined_symbols=[INST],▁▁,don't,ab"},
      {"NoBytes", std::string(kLlama) + " --byte_fallback=false"},
      {"ExtraSpaces", std::string(kLlama) + " --remove_extra_whitespaces=true"},
      {"NoPrefix", std::string(kLlama) + " --add_dummy_prefix=false"}};
  return variants;
}

const GeneratedTexts& Texts() {
  static const auto& texts = *new GeneratedTexts([] {
    std::ifstream file(REGATTA_SOURCE_DIR "/tests/common/text/fixtures/pools.json");
    return std::string(std::istreambuf_iterator<char>(file), {});
  }());
  return texts;
}

// Valid UTF-8: the library has a way of its own with the rest.
std::string ValidText(int index) {
  std::string text;
  AppendUtf8Lossy(Texts().Text(index), text);
  return text;
}

// Mostly texts without rare characters, all of which would need a token.
std::string Train(const std::string& flags) {
  auto is_rare = [](char c) { return static_cast<uint8_t>(c) >= 0xD0; };
  std::vector<std::string> sentences;
  for (int i = 0; i < 6000; ++i) {
    std::string text = ValidText(1'000'000 + i);
    std::replace(text.begin(), text.end(), '\0', ' ');
    if (i % 40 == 0 || !std::any_of(text.begin(), text.end(), is_rare)) sentences.push_back(text);
  }
  return SentencePieceReference::Train(flags, sentences);
}

std::unique_ptr<Tokenizer> Load(const std::string& model, const std::string& config = "",
                                const std::string& added = "") {
  auto tokenizer = Tokenizer::FromSentencePiece(model, config, added);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

std::string Detokenize(const Tokenizer& tokenizer, const Ids& ids) {
  Detokenizer detokenizer(tokenizer, /*skip_special_tokens=*/true);
  std::string text;
  for (int32_t id : ids) text += detokenizer.Append({id});
  return text + detokenizer.Finish();
}

class SentencePieceTest : public testing::TestWithParam<Variant> {};

TEST_P(SentencePieceTest, AgreesWithTheLibrary) {
  std::string model = Train(GetParam().flags);
  SentencePieceReference reference(model);
  auto tokenizer = Load(model);
  for (int i = 0; i < compared_texts && !HasFailure(); ++i) {
    std::string text = ValidText(i);
    Ids expected = reference.Encode(text);
    Ids ids = tokenizer->Encode(text, false, /*parse_special=*/false);
    ASSERT_EQ(ids, expected) << testing::PrintToString(text);
    // The library spells <unk> out, which is a special token here.
    if (std::find(ids.begin(), ids.end(), 0) != ids.end()) continue;
    std::string decoded = reference.Decode(ids);
    EXPECT_EQ(tokenizer->Decode(ids, true), decoded);
    EXPECT_EQ(Detokenize(*tokenizer, ids), decoded);
  }
}

// Byte tokens in any order, so ill-formed runs too.
TEST_P(SentencePieceTest, RandomIdsDecodeLikeTheLibrary) {
  std::string model = Train(GetParam().flags);
  SentencePieceReference reference(model);
  auto tokenizer = Load(model);
  std::mt19937 random(23);
  for (int i = 0; i < compared_texts && !HasFailure(); ++i) {
    Ids ids = {*tokenizer->TokenId("a")};
    for (size_t n = random() % 12; n > 0; --n) {
      int limit = random() % 2 == 0 ? 256 : tokenizer->vocab_size() - 3;
      ids.push_back(3 + static_cast<int32_t>(random() % limit));
    }
    std::string decoded = reference.Decode(ids);
    ASSERT_EQ(tokenizer->Decode(ids, true), decoded) << testing::PrintToString(ids);
    EXPECT_EQ(Detokenize(*tokenizer, ids), decoded);
  }
}

INSTANTIATE_TEST_SUITE_P(Variants, SentencePieceTest, testing::ValuesIn(Variants()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(SentencePiece, EndsAndAddedTokensComeFromTheFilesBesideIt) {
  std::string model = Train(kLlama);
  auto plain = Load(model);
  Ids hello = plain->Encode("the water", false);
  Ids with_bos = plain->Encode("the water", true);
  ASSERT_EQ(with_bos.size(), hello.size() + 1);
  EXPECT_EQ(with_bos[0], 1);
  int32_t next = plain->vocab_size();
  std::string config = R"({"add_bos_token": false, "add_eos_token": true, "legacy": false,
    "eos_token": {"content": "<|end|>"}, "added_tokens_decoder": {")" +
                       std::to_string(next) + R"(": {"content": "<|end|>", "special": true,
    "lstrip": false, "rstrip": true, "single_word": false, "normalized": false}}})";
  std::string added = R"({"<tool>": )" + std::to_string(next + 1) + "}";
  auto chat = Load(model, config, added);
  Ids ids = chat->Encode("the water", true);
  EXPECT_EQ(ids.back(), next);
  EXPECT_EQ(ids.size(), hello.size() + 1);
  EXPECT_THAT(chat->Encode("<tool><|end|>  <s>", false), ElementsAre(next + 1, next, 1));
  EXPECT_EQ(chat->Decode(Ids{next, hello[0], next + 1}, true), "the<tool>");
  // Without `legacy` only the beginning of the input gets a space.
  Ids behind = chat->Encode("<tool>the", false), alone = chat->Encode("the", false);
  EXPECT_NE(behind.back(), alone.back());
  EXPECT_EQ(plain->Encode("<s>the", false).back(), alone.back());
}

TEST(SentencePiece, IsReadWhereThereIsNoTokenizerJson) {
  std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "sentencepiece_test";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "tokenizer.model", std::ios::binary) << Train(kLlama);
  std::ofstream(folder / "tokenizer_config.json") << R"({"add_bos_token": false})";
  for (const std::string& path : {folder.string(), (folder / "tokenizer.model").string()}) {
    auto tokenizer = Tokenizer::Load(path);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    EXPECT_TRUE((*tokenizer)->Encode("", true).empty());
  }
  std::ofstream(folder / "tokenizer_config.json") << "{";
  auto broken = Tokenizer::Load(folder);
  EXPECT_THAT(std::string(broken.status().message()),
              HasSubstr("tokenizer_config.json: not valid"));
  std::filesystem::remove_all(folder);
}

TEST(SentencePiece, RefusesWhatItCannotDo) {
  for (auto [flags, message] :
       {std::pair{"--model_type=unigram", "a model other than BPE"},
        {"--model_type=bpe --normalization_rule_name=nmt_nfkc", "a character map"}}) {
    std::string model = Train(std::string(flags) +
                              " --vocab_size=500 --minloglevel=2 "
                              "--hard_vocab_limit=false "
                              "--character_coverage=0.98");
    auto tokenizer = Tokenizer::FromSentencePiece(model, "", "");
    EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kUnimplemented);
    EXPECT_THAT(std::string(tokenizer.status().message()), HasSubstr(message));
  }
}

// A serialised piece of the model: text, score.
std::string Piece(const std::string& text, float score) {
  std::string message = "\x0A";
  auto varint = [](std::string& out, size_t value) {
    for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
    out.push_back(static_cast<char>(value));
  };
  varint(message, text.size());
  message.append(text).push_back('\x15');
  message.append(reinterpret_cast<const char*>(&score), sizeof(score));
  std::string piece = "\x0A";
  varint(piece, message.size());
  return piece + message;
}

TEST(SentencePiece, RefusesBadPieces) {
  const std::string model = Train(kLlama);
  ASSERT_TRUE(Tokenizer::FromSentencePiece(model + Piece("new", -9), "", "").ok());
  struct Bad {
    std::string piece;
    const char* message;
  };
  for (const Bad& bad :
       std::vector<Bad>{{Piece(std::string(4097, 'a'), -9), "has 4097 bytes, the limit is 4096"},
                        {Piece("a\xFF", -9), "is not valid UTF-8"},
                        {Piece("new", std::nanf("")), "has the score nan"},
                        {Piece("", -9), "is empty"},
                        {Piece("new", -9) + Piece("new", -9), "\"new\" occurs twice"}}) {
    auto tokenizer = Tokenizer::FromSentencePiece(model + bad.piece, "", "");
    EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(tokenizer.status().message()), HasSubstr(bad.message));
  }
}

TEST(SentencePiece, DamagedFilesAreRefusedOrRead) {
  const std::string model = Train(kLlama);
  EXPECT_EQ(ParseSentencePieceModel("").status().code(), absl::StatusCode::kInvalidArgument);
  std::mt19937 random(24);
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string damaged =
        model.substr(0, random() % 2 == 0 ? model.size() : random() % model.size());
    for (size_t n = random() % 4; n > 0 && !damaged.empty(); --n) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    auto parsed = ParseSentencePieceModel(damaged);
    refused += !parsed.ok();
    if (i % 20 != 0) continue;
    auto tokenizer = Tokenizer::FromSentencePiece(damaged, "", "");
    if (tokenizer.ok()) (*tokenizer)->Encode("the <s> water \xFF", true);
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace regatta

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc > 1) regatta::compared_texts = std::atoi(argv[1]);
  return RUN_ALL_TESTS();
}
