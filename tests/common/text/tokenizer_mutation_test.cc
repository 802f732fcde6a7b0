// Every field of real-shaped tokenizer.json files replaced by values of other kinds, or left out:
// each gives a status that names its place, or a tokenizer that works; none crashes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/text/detokenizer.h"
#include "common/text/tokenizer.h"

namespace regatta {
namespace {

using nlohmann::json;
using Pointer = json::json_pointer;

// The fixture with a small model, so that thousands of variants load in seconds.
json SmallFixture(const std::string& name) {
  std::ifstream file(REGATTA_SOURCE_DIR "/tests/common/text/fixtures/" + name + ".json");
  json document = json::parse(file);
  json& model = document["model"];
  json vocab = json::object(), merges = json::array();
  auto keep = [&](const std::string& token) { vocab[token] = model["vocab"].at(token); };
  for (const auto& [token, id] : model["vocab"].items()) {
    if (token.size() <= 2 || token.starts_with('<') || token == "\u2581") keep(token);
  }
  for (size_t i = 0; i < 4; ++i) {
    const json& merge = model["merges"][i];
    std::string pair = merge.is_string()
                           ? merge.get<std::string>()
                           : merge[0].get<std::string>() + " " + merge[1].get<std::string>();
    size_t space = pair.find(' ');
    keep(pair.substr(0, space)), keep(pair.substr(space + 1));
    keep(pair.substr(0, space) + pair.substr(space + 1));
    merges.push_back(merge);
  }
  model["vocab"] = vocab;
  model["merges"] = merges;
  return document;
}

// Places of all values. Of long lists and objects only the first few members.
void CollectPlaces(const json& value, const Pointer& place, std::vector<Pointer>& places) {
  constexpr size_t kMostMembers = 24;
  if (!place.empty()) places.push_back(place);
  size_t members = 0;
  for (const auto& [key, member] : value.items()) {
    if (!value.is_structured() || ++members > kMostMembers) break;
    CollectPlaces(member, value.is_array() ? place / (members - 1) : place / key, places);
  }
}

const std::vector<json>& Replacements() {
  static const auto& values = *new std::vector<json>{nullptr,
                                                     true,
                                                     0,
                                                     -1,
                                                     1 << 24,
                                                     UINT64_MAX,
                                                     1.5,
                                                     "",
                                                     "x",
                                                     "\u2581",
                                                     "(",
                                                     "Sequence",
                                                     json::array(),
                                                     {1},
                                                     {"a", "b"},
                                                     json::object(),
                                                     {{"type", "ByteLevel"}},
                                                     {{"Regex", "[[a]"}}};
  return values;
}

class TokenizerMutationTest : public testing::TestWithParam<const char*> {
 protected:
  // Whether `document` is refused, as it should be where it cannot be used.
  bool Refused(const json& document) {
    auto tokenizer = Tokenizer::FromJson(document.dump());
    if (!tokenizer.ok()) {
      ExpectClear(tokenizer.status());
      return true;
    }
    std::vector<int32_t> ids =
        (*tokenizer)->Encode("the <s>caf\u00e9 <|im_end|> x1 \xFF\u2603", true);
    Detokenizer detokenizer(**tokenizer, /*skip_special_tokens=*/false);
    std::string text;
    for (int32_t id : ids) text += detokenizer.Append({id});
    EXPECT_EQ(text + detokenizer.Finish(), (*tokenizer)->Decode(ids, false));
    return false;
  }

  void ExpectClear(const absl::Status& status) {
    EXPECT_TRUE(absl::IsInvalidArgument(status) || absl::IsUnimplemented(status)) << status;
    bool named = false;
    for (const char* part : {"tokenizer", "model.", "added_tokens", "decoder", "pre-tokenizer",
                             "post_processor", "Replace: "}) {
      named = named || absl::StrContains(status.message(), part);
    }
    EXPECT_TRUE(named) << status;
  }
};

TEST_P(TokenizerMutationTest, EveryFieldOfAnotherKind) {
  const json intact = SmallFixture(GetParam());
  ASSERT_FALSE(Refused(intact));
  std::vector<Pointer> places;
  CollectPlaces(intact, Pointer(), places);
  ASSERT_GT(places.size(), 60u);
  size_t refused = 0, tried = 0;
  for (const Pointer& place : places) {
    for (const json& value : Replacements()) {
      SCOPED_TRACE(place.to_string() + " = " + value.dump());
      json document = intact;
      document[place] = value;
      refused += Refused(document);
      ++tried;
    }
    SCOPED_TRACE(place.to_string() + " left out");
    json document = intact;
    json& parent = document[place.parent_pointer()];
    if (parent.is_array()) {
      parent.erase(std::stoul(place.back()));
    } else {
      parent.erase(place.back());
    }
    Refused(document);
    if (HasFailure()) return;
  }
  EXPECT_GT(refused, tried / 2);
  EXPECT_LT(refused, tried);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, TokenizerMutationTest,
                         testing::Values("llama2_style", "llama3_style", "mistral_style",
                                         "qwen3_style", "stages_unk", "metaspace_never"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace regatta
