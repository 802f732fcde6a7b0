// See grammar_fixture.h.
#include "tests/router/grammar/grammar_fixture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "absl/synchronization/notification.h"
#include "common/check.h"
#include "tests/common/text/tiny_tokenizer.h"

namespace regatta {
namespace {

constexpr char kEnd[] = "<|end|>";
constexpr char kOther[] = "<|other|>";

std::string ByteLevel(std::string_view bytes) {
  std::string text;
  for (char byte : bytes) text += ByteCharacter(static_cast<uint8_t>(byte));
  return text;
}

absl::StatusOr<std::unique_ptr<OutputConstraint>> Wait(ConstraintCompiler& compiler,
                                                       const Constraint& constraint) {
  absl::Notification answered;
  absl::StatusOr<std::unique_ptr<OutputConstraint>> answer = absl::UnknownError("no answer");
  compiler.Compile(constraint, [&](absl::StatusOr<std::unique_ptr<OutputConstraint>> result) {
    answer = std::move(result);
    answered.Notify();
  });
  CHECK(answered.WaitForNotificationWithTimeout(absl::Seconds(30)));
  return answer;
}

// Allowed tokens that bring a text nearer to its end, if there are any.
std::vector<uint32_t> Closing(const std::vector<uint32_t>& allowed, const Tokenizer& tokenizer) {
  std::vector<uint32_t> closing;
  for (uint32_t token : allowed) {
    const std::string_view bytes = tokenizer.TokenBytes(static_cast<int32_t>(token));
    if (bytes == "\"" || bytes == "}" || bytes == "]") closing.push_back(token);
  }
  return closing;
}

}  // namespace

std::unique_ptr<Tokenizer> MakeVocabulary(const std::vector<std::string>& tokens) {
  nlohmann::json json = TinyTokenizerJson();
  nlohmann::json vocab;
  for (int byte = 0; byte < 256; ++byte) vocab[ByteCharacter(byte)] = byte;
  int next = 256;
  for (const std::string& token : tokens) {
    if (vocab.emplace(ByteLevel(token), next).second) ++next;
  }
  json["model"]["vocab"] = vocab;
  json["model"]["merges"] = nlohmann::json::array();
  json["added_tokens"] = {TinyAddedToken(next, kEnd, true), TinyAddedToken(next + 1, kOther, true)};
  json["post_processor"] = nullptr;
  return LoadTiny(json);
}

uint32_t EndTokenOf(const Tokenizer& tokenizer) { return *tokenizer.TokenId(kEnd); }
uint32_t OtherSpecialTokenOf(const Tokenizer& tokenizer) { return *tokenizer.TokenId(kOther); }

std::vector<std::string> JsonTokens() {
  std::set<std::string> tokens;
  const std::vector<std::string> marks = {"\"", "{", "}", "[", "]", ":", ",", " ", "\n", "\\", "1"};
  for (const std::string& a : marks) {
    for (const std::string& b : marks) {
      tokens.insert(a + b);
      for (const char* c : {"\"", "}", "]", "  ", ","}) tokens.insert(a + b + c);
    }
  }
  for (const char* word : {"name",  "age",           "kind",      "circle",       "square",
                           "red",   "ish\"",         "true",      "false",        "null",
                           "rue",   "\":true",       "\": null}", "abc",          "ab",
                           "xx",    "\n    ",        "\n  \"",    "-1",           "0.5",
                           "12",    "100",           "e+",        "E-1",          ".25",
                           "\\u00", "\\ud83d",       "\\ude",     "\xf0\x9f",     "\x98\x80",
                           "\xc3",  "\xa9\"",        "\xc3\xa9",  "\xe7\xba\xa2", "foo,",
                           "bar",   "\"a\":1,\"b\"", "\",\"",     "\":\"",        "\"},{\"",
                           "\"}]}", "2024-",         "\t",        "\r\n",         "value",
                           "next",  "children",      "]]}",       "}}",           "\\\"",
                           "\\n",   "\\\\",          "aaaa bbbb"}) {
    tokens.insert(word);
  }
  return {tokens.begin(), tokens.end()};
}

const std::vector<SchemaCase>& SchemaCases() {
  static const auto& cases = *[] {
    std::ifstream file(REGATTA_SOURCE_DIR "/tests/router/grammar/schemas.json");
    auto* cases = new std::vector<SchemaCase>;
    for (const OrderedJson& entry : OrderedJson::parse(file)) {
      cases->push_back(
          {entry.at("name"), entry.at("schema"), entry.at("valid"), entry.at("invalid")});
    }
    return cases;
  }();
  return cases;
}

absl::StatusOr<std::unique_ptr<OutputConstraint>> Compile(ConstraintCompiler& compiler,
                                                          const std::string& schema) {
  Constraint constraint;
  constraint.set_json_schema(schema);
  return Wait(compiler, constraint);
}

absl::StatusOr<std::unique_ptr<OutputConstraint>> CompileAnyObject(ConstraintCompiler& compiler) {
  Constraint constraint;
  constraint.set_json_object(true);
  return Wait(compiler, constraint);
}

Mask FillMask(OutputConstraint& constraint, const Tokenizer& tokenizer) {
  Mask mask(static_cast<size_t>(tokenizer.vocab_size() + 31) / 32, 0xa5a5a5a5);
  constraint.FillMask(absl::MakeSpan(mask), kAnyMaskWork);
  return mask;
}

std::string RandomWalk(OutputConstraint& constraint, const Tokenizer& tokenizer, int patience,
                       std::mt19937& random) {
  std::string text;
  const uint32_t end = EndTokenOf(tokenizer);
  for (int step = 0; step < 4000; ++step) {
    const Mask mask = FillMask(constraint, tokenizer);
    std::vector<uint32_t> allowed;
    for (uint32_t token = 0; token < static_cast<uint32_t>(tokenizer.vocab_size()); ++token) {
      if (IsSet(mask, token)) allowed.push_back(token);
    }
    if (allowed.empty()) {
      ADD_FAILURE() << "nothing is allowed after " << text;
      return text;
    }
    if (step > patience) {
      if (IsSet(mask, end)) return text;
      const std::vector<uint32_t> closing = Closing(allowed, tokenizer);
      if (!closing.empty() && random() % 4 > 0) allowed = closing;
    }
    const uint32_t token = allowed[random() % allowed.size()];
    EXPECT_TRUE(constraint.Accept(token)) << "token " << token << " after " << text;
    if (token == end) return text;
    text += tokenizer.TokenBytes(static_cast<int32_t>(token));
  }
  ADD_FAILURE() << "does not end: " << text;
  return text;
}

bool Accepts(OutputConstraint& constraint, const Tokenizer& tokenizer, std::string_view text,
             std::mt19937& random) {
  while (!text.empty()) {
    std::vector<uint32_t> tokens;
    for (uint32_t token = 0; token < static_cast<uint32_t>(tokenizer.vocab_size()); ++token) {
      const std::string_view bytes = tokenizer.TokenBytes(static_cast<int32_t>(token));
      const bool special = tokenizer.IsSpecial(static_cast<int32_t>(token));
      if (!special && !bytes.empty() && text.substr(0, bytes.size()) == bytes) {
        tokens.push_back(token);
      }
    }
    const uint32_t token = tokens[random() % tokens.size()];
    const bool allowed = IsSet(FillMask(constraint, tokenizer), token);
    EXPECT_EQ(constraint.Accept(token), allowed) << text;
    if (!allowed) return false;
    text.remove_prefix(tokenizer.TokenBytes(static_cast<int32_t>(token)).size());
  }
  return IsSet(FillMask(constraint, tokenizer), EndTokenOf(tokenizer));
}

}  // namespace regatta
