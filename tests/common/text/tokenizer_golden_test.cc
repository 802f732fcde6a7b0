// Agreement with Hugging Face `tokenizers`: ids and text of every fixture equal what
// make_fixtures.py stored in full. tokenizer_agreement_test compares many more texts by digests.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/text/detokenizer.h"
#include "common/text/tokenizer.h"
#include "common/text/utf8.h"

namespace regatta {
namespace {

const std::string kFixtures = REGATTA_SOURCE_DIR "/tests/common/text/fixtures";

nlohmann::json ReadGolden() {
  std::ifstream stream(kFixtures + "/golden.json");
  return nlohmann::json::parse(stream);
}

using Ids = std::vector<int32_t>;

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

// What a detokenizer makes of `ids` when they come in two parts, and one by one.
std::string DetokenizeInTwo(const Tokenizer& tokenizer, const Ids& ids, size_t cut) {
  Detokenizer detokenizer(tokenizer, /*skip_special_tokens=*/false);
  absl::Span<const int32_t> all(ids);
  std::string text = detokenizer.Append(all.first(cut));
  EXPECT_TRUE(IsValidUtf8(text));
  text += detokenizer.Append(all.subspan(cut));
  return text + detokenizer.Finish();
}

std::string DetokenizeOneByOne(const Tokenizer& tokenizer, const Ids& ids) {
  Detokenizer detokenizer(tokenizer, /*skip_special_tokens=*/false);
  std::string text;
  for (int32_t id : ids) {
    std::string part = detokenizer.Append({id});
    EXPECT_TRUE(IsValidUtf8(part));
    text += part;
  }
  return text + detokenizer.Finish();
}

void CheckText(const Tokenizer& tokenizer, const nlohmann::json& golden, size_t i,
               const std::string& text) {
  Ids plain = golden["plain"][i].get<Ids>();
  EXPECT_EQ(tokenizer.Encode(text, /*add_special_tokens=*/false, /*parse_special=*/false), plain);
  Ids parsed = golden["parsed"][i].is_null() ? plain : golden["parsed"][i].get<Ids>();
  EXPECT_EQ(tokenizer.Encode(text, /*add_special_tokens=*/true), parsed);
  std::string decoded =
      golden["decoded"][i].is_null() ? text : golden["decoded"][i].get<std::string>();
  EXPECT_EQ(tokenizer.Decode(parsed, /*skip_special_tokens=*/false), decoded);
  EXPECT_EQ(tokenizer.Decode(parsed, /*skip_special_tokens=*/true),
            golden["skipped"][i].is_null() ? decoded : golden["skipped"][i].get<std::string>());
  EXPECT_EQ(DetokenizeOneByOne(tokenizer, parsed), decoded);
}

void CheckRandomIds(const Tokenizer& tokenizer, const Ids& ids, const std::string& text) {
  EXPECT_EQ(tokenizer.Decode(ids, /*skip_special_tokens=*/false), text);
  for (size_t cut = 0; cut <= ids.size(); ++cut) {
    EXPECT_EQ(DetokenizeInTwo(tokenizer, ids, cut), text) << "cut at " << cut;
  }
}

TEST(TokenizerGolden, AgreesWithHuggingFace) {
  nlohmann::json golden = ReadGolden();
  std::vector<std::string> texts = golden["texts"];
  ASSERT_GE(texts.size(), 120u);
  ASSERT_GE(golden["tokenizers"].size(), 14u);
  for (const auto& [name, expected] : golden["tokenizers"].items()) {
    SCOPED_TRACE(name);
    auto tokenizer = Tokenizer::Load(kFixtures + "/" + name + ".json");
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    for (size_t i = 0; i < texts.size() && !testing::Test::HasFailure(); ++i) {
      SCOPED_TRACE("text " + std::to_string(i) + ": " + nlohmann::json(texts[i]).dump());
      CheckText(**tokenizer, expected, i, texts[i]);
    }
    ASSERT_GE(expected["random_ids"].size(), 30u);
    for (size_t i = 0; i < expected["random_ids"].size(); ++i) {
      SCOPED_TRACE("random ids " + expected["random_ids"][i].dump());
      CheckRandomIds(**tokenizer, expected["random_ids"][i], expected["random_text"][i]);
    }
  }
}

// The tokenizers of the two models that are shipped for tests.
TEST(TokenizerGolden, ShippedModelsAgreeWithHuggingFace) {
  const std::string tests = REGATTA_SOURCE_DIR "/tests";
  for (const std::string name : {"regatta-dense", "regatta-moe"}) {
    SCOPED_TRACE(name);
    auto tokenizer = Tokenizer::Load(tests + "/models/" + name);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    std::ifstream stream(tests + "/golden/tokenizer_" + name + ".json");
    nlohmann::json cases = nlohmann::json::parse(stream)["cases"];
    ASSERT_GT(cases.size(), 200u);
    for (const nlohmann::json& one : cases) {
      std::string text = one["text"];
      SCOPED_TRACE(one["text"].dump());
      Ids ids = one["ids"], with_special = one["ids_with_special"];
      EXPECT_EQ((*tokenizer)->Encode(text, /*add_special_tokens=*/false), ids);
      EXPECT_EQ((*tokenizer)->Encode(text, /*add_special_tokens=*/true), with_special);
      EXPECT_EQ((*tokenizer)->Decode(ids, /*skip_special_tokens=*/false),
                one["decoded"].get<std::string>());
      EXPECT_EQ((*tokenizer)->Decode(ids, /*skip_special_tokens=*/true),
                one["decoded_without_special"].get<std::string>());
    }
  }
}

TEST(TokenizerGolden, ReplacesIllFormedUtf8LikePython) {
  nlohmann::json cases = ReadGolden()["lossy"];
  ASSERT_GT(cases.size(), 500u);
  for (const auto& [hex, expected] :
       cases.get<std::vector<std::pair<std::string, std::string>>>()) {
    std::string bytes = FromHex(hex);
    std::string text;
    AppendUtf8Lossy(bytes, text);
    EXPECT_EQ(text, expected) << hex;
    EXPECT_EQ(IsValidUtf8(bytes), bytes == expected) << hex;
    // Whatever the cut, replacing the parts that are certain gives the same text.
    for (size_t cut = 0; cut <= bytes.size(); ++cut) {
      size_t held = IncompleteUtf8Suffix(std::string_view(bytes).substr(0, cut));
      ASSERT_LE(held, std::min<size_t>(cut, 3));
      std::string in_parts;
      AppendUtf8Lossy(std::string_view(bytes).substr(0, cut - held), in_parts);
      AppendUtf8Lossy(std::string_view(bytes).substr(cut - held), in_parts);
      EXPECT_EQ(in_parts, expected) << hex << " cut at " << cut;
    }
  }
}

}  // namespace
}  // namespace regatta
