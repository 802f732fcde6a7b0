// Bad tokenizer.json files: each gives a status that names the field, none crashes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "common/text/tokenizer.h"
#include "tests/common/text/tiny_tokenizer.h"

namespace regatta {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kUnsupported = absl::StatusCode::kUnimplemented;

struct BadFile {
  const char* what;
  std::function<void(json&)> spoil;
  absl::StatusCode code;
  const char* message;  // Part of it.
};

json Sequence(const char* list, int depth, const json& innermost) {
  json node = innermost;
  for (int i = 0; i < depth; ++i) node = {{"type", "Sequence"}, {list, json::array({node})}};
  return node;
}

json Split(const std::string& regex) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", regex}}},
          {"behavior", "Isolated"},
          {"invert", false}};
}

void ExpectRefused(const std::vector<BadFile>& files) {
  for (const BadFile& file : files) {
    json document = TinyTokenizerJson();
    file.spoil(document);
    auto tokenizer = Tokenizer::FromJson(document.dump());
    ASSERT_FALSE(tokenizer.ok()) << file.what;
    EXPECT_EQ(tokenizer.status().code(), file.code) << file.what << ": " << tokenizer.status();
    EXPECT_THAT(std::string(tokenizer.status().message()), HasSubstr(file.message)) << file.what;
  }
}

TEST(TokenizerJson, RefusesBadModels) {
  ExpectRefused({
      {"no model", [](json& j) { j.erase("model"); }, kInvalid, "no field \"model\""},
      {"null model", [](json& j) { j["model"] = nullptr; }, kInvalid, "no field \"model\""},
      {"array", [](json& j) { j = json::array(); }, kInvalid, "must be an object"},
      {"unigram", [](json& j) { j["model"]["type"] = "Unigram"; }, kUnsupported, "\"Unigram\""},
      {"no vocab", [](json& j) { j["model"].erase("vocab"); }, kInvalid, "no field \"vocab\""},
      {"vocab list", [](json& j) { j["model"]["vocab"] = {"a"}; }, kInvalid, "model.vocab"},
      {"id text", [](json& j) { j["model"]["vocab"]["he"] = "1"; }, kInvalid,
       "vocab[\"he\"]: must be a whole number"},
      {"id fraction", [](json& j) { j["model"]["vocab"]["he"] = 1.5; }, kInvalid, "vocab[\"he\"]"},
      {"id negative", [](json& j) { j["model"]["vocab"]["he"] = -1; }, kInvalid,
       "is -1, must be at least 0"},
      {"id huge", [](json& j) { j["model"]["vocab"]["he"] = 1 << 24; }, kInvalid, "below 16777216"},
      {"id overflow", [](json& j) { j["model"]["vocab"]["he"] = UINT64_MAX; }, kInvalid,
       "18446744073709551615"},
      {"id twice", [](json& j) { j["model"]["vocab"]["he"] = 257; }, kInvalid, "id 257"},
      {"no merges", [](json& j) { j["model"].erase("merges"); }, kInvalid, "no field \"merges\""},
      {"merges object", [](json& j) { j["model"]["merges"] = json::object(); }, kInvalid,
       "merges: must be an array"},
      {"merge of three",
       [](json& j) {
         j["model"]["merges"][1] = {"a", "b", "c"};
       },
       kInvalid, "merges[1]"},
      {"merge of one", [](json& j) { j["model"]["merges"][1] = "ab"; }, kInvalid, "merges[1]"},
      {"merge of numbers",
       [](json& j) {
         j["model"]["merges"][1] = {1, 2};
       },
       kInvalid, "merges[1]"},
      {"unknown left",
       [](json& j) {
         j["model"]["merges"][1] = {"zz", "b"};
       },
       kInvalid, "merges[1]: \"zz\""},
      {"unknown result", [](json& j) { j["model"]["merges"][1] = "q x"; }, kInvalid,
       "merges[1]: \"qx\""},
      {"dropout", [](json& j) { j["model"]["dropout"] = 0.1; }, kUnsupported, "dropout"},
      {"byte_fallback", [](json& j) { j["model"]["byte_fallback"] = 1; }, kInvalid,
       "byte_fallback: must be a boolean"},
      {"suffix", [](json& j) { j["model"]["end_of_word_suffix"] = "</w>"; }, kUnsupported,
       "end_of_word_suffix"},
      {"flag", [](json& j) { j["model"]["ignore_merges"] = 1; }, kInvalid,
       "ignore_merges: must be a boolean"},
      {"unk_token",
       [](json& j) {
         j["model"]["vocab"].erase("!");
         j["model"]["unk_token"] = "<unk>";
       },
       kInvalid, "unk_token"},
  });
}

TEST(TokenizerJson, RefusesBadAddedTokens) {
  ExpectRefused({
      {"object", [](json& j) { j["added_tokens"] = json::object(); }, kInvalid,
       "added_tokens: must be an array"},
      {"no id", [](json& j) { j["added_tokens"][1].erase("id"); }, kInvalid, "added_tokens[1]"},
      {"no flag", [](json& j) { j["added_tokens"][1].erase("lstrip"); }, kInvalid, "\"lstrip\""},
      {"empty", [](json& j) { j["added_tokens"][1]["content"] = ""; }, kInvalid,
       "added_tokens[1].content"},
      {"number", [](json& j) { j["added_tokens"][1]["content"] = 5; }, kInvalid,
       "must be a string"},
      {"id of a token", [](json& j) { j["added_tokens"][1]["id"] = 65; }, kInvalid, "id 65"},
      {"id twice", [](json& j) { j["added_tokens"][1]["id"] = 300; }, kInvalid, "id 300"},
      {"content twice", [](json& j) { j["added_tokens"][1]["content"] = "<|bos|>"; }, kInvalid,
       "occurs twice"},
      {"other id in model", [](json& j) { j["added_tokens"][1]["content"] = "hello"; }, kInvalid,
       "gives it id 259"},
      {"same when normalised",
       [](json& j) {
         j["normalizer"] = {{"type", "NFC"}};
         j["added_tokens"].push_back(TinyAddedToken(303, "\u00e9\u2603", false));
         j["added_tokens"].push_back(TinyAddedToken(304, "e\u0301\u2603", false));
       },
       kInvalid, "ids 303 and 304"},
  });
}

TEST(TokenizerJson, RefusesBadNormalizers) {
  ExpectRefused({
      {"normalizer",
       [](json& j) {
         j["normalizer"] = {{"type", "Nmt"}};
       },
       kUnsupported, "\"Nmt\""},
      {"empty pattern",
       [](json& j) {
         j["normalizer"] = {{"type", "Replace"}, {"pattern", {{"String", ""}}}, {"content", "x"}};
       },
       kInvalid, "pattern: must not be empty"},
      {"no type", [](json& j) { j["normalizer"] = json::object(); }, kInvalid,
       "normalizer: has no field \"type\""},
  });
}

TEST(TokenizerJson, RefusesBadPreTokenizers) {
  ExpectRefused({
      {"no pre_tokenizer", [](json& j) { j["pre_tokenizer"] = nullptr; }, kUnsupported,
       "pre-tokenizers that do not end in it"},
      {"bert",
       [](json& j) {
         j["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
       },
       kUnsupported, "\"BertPreTokenizer\""},
      {"metaspace scheme",
       [](json& j) {
         j["pre_tokenizer"] = {
             {"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "last"}};
       },
       kInvalid, "\"last\", must be always, first or never"},
      {"metaspace contradiction",
       [](json& j) {
         j["pre_tokenizer"] = {{"type", "Metaspace"},
                               {"replacement", "_"},
                               {"add_prefix_space", false},
                               {"prepend_scheme", "first"}};
       },
       kInvalid, "contradicts"},
      {"metaspace long",
       [](json& j) {
         j["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "ab"}};
       },
       kInvalid, "must be one character"},
      {"no byte level", [](json& j) { j["pre_tokenizer"] = Split("a"); }, kUnsupported,
       "pre-tokenizers that do not end in it"},
      {"after byte level",
       [](json& j) {
         j["pre_tokenizer"] = {{"type", "Sequence"},
                               {"pretokenizers", {j["pre_tokenizer"], Split("a")}}};
       },
       kUnsupported, "pretokenizers[1]"},
      {"no list",
       [](json& j) {
         j["pre_tokenizer"] = {{"type", "Sequence"}};
       },
       kInvalid, "\"pretokenizers\""},
      {"behavior",
       [](json& j) {
         j["pre_tokenizer"] = Split("a");
         j["pre_tokenizer"]["behavior"] = "Sideways";
       },
       kInvalid, "\"Sideways\""},
      {"bad regex",
       [](json& j) {
         j["pre_tokenizer"] = {{"type", "Sequence"},
                               {"pretokenizers", {Split("(a"), j["pre_tokenizer"]}}};
       },
       kInvalid, "\"(a\""},
      {"deep",
       [](json& j) { j["pre_tokenizer"] = Sequence("pretokenizers", 9, j["pre_tokenizer"]); },
       kInvalid, "nested deeper"},
  });
}

TEST(TokenizerJson, RefusesBadPostProcessorsAndDecoders) {
  ExpectRefused({
      {"post",
       [](json& j) {
         j["post_processor"] = {{"type", "BertProcessing"}};
       },
       kUnsupported, "\"BertProcessing\""},
      {"template token", [](json& j) { j["post_processor"]["special_tokens"] = json::object(); },
       kInvalid, "<|bos|>"},
      {"template id",
       [](json& j) { j["post_processor"]["special_tokens"]["<|bos|>"]["ids"] = {299}; }, kInvalid,
       "no token has id 299"},
      {"template no text", [](json& j) { j["post_processor"]["single"].erase(1); }, kInvalid,
       "leaves the text out"},
      {"no decoder", [](json& j) { j.erase("decoder"); }, kInvalid, "\"decoder\""},
      {"decoder",
       [](json& j) {
         j["decoder"] = {{"type", "WordPiece"}};
       },
       kUnsupported, "\"WordPiece\""},
      {"decoder of characters",
       [](json& j) {
         j["decoder"] = {{"type", "Fuse"}};
       },
       kUnsupported, "other than ByteLevel"},
      {"decoder order",
       [](json& j) {
         j["decoder"] = {{"type", "Sequence"},
                         {"decoders", {j["decoder"], {{"type", "ByteFallback"}}}}};
       },
       kUnsupported, "ByteFallback behind Fuse"},
      {"strip",
       [](json& j) {
         j["decoder"] = {{"type", "Strip"}, {"content", " "}, {"start", -1}, {"stop", 0}};
       },
       kInvalid, "decoder.start: is -1"},
  });
}

TEST(TokenizerJson, AcceptsTheSpellingsInUse) {
  json document = TinyTokenizerJson();
  document["model"].erase("type");
  document["model"]["merges"] =
      json::parse(R"([["h","e"],["l","l"],["he","ll"],["hell","o"],["Ġ","w"]])");
  document["model"]["dropout"] = nullptr;
  document["model"]["end_of_word_suffix"] = "";
  document["model"]["unk_token"] = "<unk>";  // Never needed: all bytes have tokens.
  document["pre_tokenizer"] = Sequence("pretokenizers", 8, document["pre_tokenizer"]);
  document["decoder"] = Sequence("decoders", 1, document["decoder"]);
  auto tokenizer = Tokenizer::FromJson(document.dump());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ((*tokenizer)->Encode("hello", false), std::vector<int32_t>{259});
}

TEST(TokenizerJson, DeepNestingDoesNotOverflowTheStack) {
  constexpr int kDepth = 200'000;
  std::string text = TinyTokenizerJson().dump();
  const std::string null = "\"normalizer\":null";
  ASSERT_NE(text.find(null), std::string::npos);
  std::string deep = "\"normalizer\":" + std::string(kDepth, '[') + std::string(kDepth, ']');
  text.replace(text.find(null), null.size(), deep);
  EXPECT_EQ(Tokenizer::FromJson(text).status().code(), kInvalid);
  EXPECT_EQ(Tokenizer::FromJson(std::string(kDepth, '[')).status().code(), kInvalid);
}

TEST(TokenizerJson, EveryTruncationIsRefused) {
  std::string text = TinyTokenizerJson().dump();
  for (size_t length = 0; length < text.size(); ++length) {
    EXPECT_EQ(Tokenizer::FromJson(text.substr(0, length)).status().code(), kInvalid) << length;
  }
}

TEST(TokenizerJson, RandomDamageNeverCrashes) {
  const std::string intact = TinyTokenizerJson().dump();
  const std::string pool = "{}[]\",:0129-.eEtrufalsn\\ \x01\xC3\xFF";
  std::mt19937 random(7);
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string text = intact;
    for (size_t n = 1 + random() % 3; n > 0; --n)
      text[random() % text.size()] = pool[random() % pool.size()];
    auto tokenizer = Tokenizer::FromJson(text);
    refused += !tokenizer.ok();
    if (tokenizer.ok()) (*tokenizer)->Encode("hello <|eos|> w\xFF", true);
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace regatta
