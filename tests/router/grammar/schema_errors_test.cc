// Schemas that are refused: by name and place, and quickly when they are made to be expensive.
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "router/grammar/schema_error.h"
#include "tests/router/grammar/grammar_fixture.h"

namespace regatta {
namespace {

class SchemaErrorsTest : public testing::Test {
 protected:
  absl::Status StatusOf(const std::string& schema) { return Compile(*compiler_, schema).status(); }
  void ExpectError(const std::string& schema, absl::StatusCode code, const std::string& part) {
    const absl::Time begin = absl::Now();
    const absl::Status status = StatusOf(schema);
    EXPECT_EQ(status.code(), code) << status << " for " << schema.substr(0, 200);
    EXPECT_NE(std::string(status.message()).find(part), std::string::npos)
        << status << " does not say " << part;
    EXPECT_LT(absl::Now() - begin, absl::Seconds(10)) << schema.substr(0, 200);
  }
  void ExpectInvalid(const std::string& schema, const std::string& part) {
    ExpectError(schema, absl::StatusCode::kInvalidArgument, part);
  }

  std::unique_ptr<Tokenizer> tokenizer_ = MakeVocabulary(JsonTokens());
  std::unique_ptr<ConstraintCompiler> compiler_ =
      MakeJsonConstraintCompiler(*tokenizer_, {EndTokenOf(*tokenizer_)});
};

std::string Repeat(const std::string& text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

TEST_F(SchemaErrorsTest, UnsupportedKeywordsAreNamedWithTheirPlace) {
  for (const char* keyword :
       {"not", "if", "patternProperties", "multipleOf", "propertyNames", "contains",
        "dependentRequired", "minProperties", "unevaluatedProperties", "madeUp"}) {
    ExpectInvalid(
        absl::StrCat(R"({"properties":{"a/b":{"type":"array","items":{")", keyword, "\":{}}}}}"),
        absl::StrCat("#/properties/a~1b/items/", keyword, " is not supported"));
  }
  ExpectInvalid(R"({"type":"array","uniqueItems":true})", "#/uniqueItems");
  EXPECT_TRUE(StatusOf(R"({"type":"array","uniqueItems":false})").ok());
  EXPECT_TRUE(
      StatusOf(R"({"title":"t","description":"d","default":1,"examples":[1],"x-note":2})").ok());
}

TEST_F(SchemaErrorsTest, WrongValuesAreNamed) {
  ExpectInvalid("{", "not valid JSON");
  ExpectInvalid("3", "# must be an object, true or false");
  ExpectInvalid(R"({"type":"strnig"})", "#/type must be one of");
  ExpectInvalid(R"({"type":7})", "#/type must be one of");
  ExpectInvalid(R"({"properties":[]})", "#/properties must be an object");
  ExpectInvalid(R"({"properties":{"a":1}})", "#/properties/a must be an object");
  ExpectInvalid(R"({"required":"a"})", "#/required must be a list of strings");
  ExpectInvalid(R"({"properties":{},"required":["b"]})", "#/required lists \"b\"");
  ExpectInvalid(R"({"minLength":-1})", "#/minLength must be a whole number");
  ExpectInvalid(R"({"minLength":1.5})", "#/minLength must be a whole number");
  ExpectInvalid(R"({"maxLength":1e300})", "#/maxLength must be a whole number");
  ExpectInvalid(R"({"minLength":3,"maxLength":2})", "#/minLength is above maxLength");
  ExpectInvalid(R"({"minItems":3,"maxItems":2})", "#/minItems is above maxItems");
  ExpectInvalid(R"({"minimum":"1"})", "#/minimum must be a number");
  ExpectInvalid(R"({"exclusiveMinimum":true})", "#/exclusiveMinimum must be a number");
  ExpectInvalid(R"({"minimum":1e200})", "#/minimum");
  ExpectInvalid(R"({"anyOf":[]})", "#/anyOf must be a list of schemas");
  ExpectInvalid(R"({"enum":3})", "#/enum must be a list");
  ExpectInvalid(R"({"enum":["a"],"minLength":1})", "#/minLength beside enum");
  ExpectInvalid(R"({"items":[{}]})", "#/items must be a schema");
  ExpectInvalid(R"({"type":"string","format":"made-up"})",
                "#/format is not supported; these are: ");
  ExpectInvalid(R"({"type":"string","format":"date","pattern":"a"})", "#/format beside pattern");
}

TEST_F(SchemaErrorsTest, ThePlaceIsKnownAndTheValueIsShown) {
  const auto expect = [&](const std::string& schema, const std::string& pointer,
                          const std::string& value) {
    const absl::Status status = StatusOf(schema);
    EXPECT_EQ(SchemaPointer(status), pointer) << status;
    EXPECT_TRUE(absl::EndsWith(status.message(), "; it is " + value)) << status;
  };
  expect(R"({"properties":{"a b":{"minLength":-1}}})", "#/properties/a b/minLength", "-1");
  expect(R"({"type":"strnig"})", "#/type", "\"strnig\"");
  expect(R"({"items":{"type":"string","pattern":"\\bx"}})", "#/items/pattern", R"("\\bx")");
  expect(R"({"type":"string","format":"made-up"})", "#/format", "\"made-up\"");
  expect(R"({"not":{"enum":[1,2]}})", "#/not", R"({"enum":[1,2]})");
  expect(R"({"properties":{"a":{"$ref":"#/$defs/b"}}})", "#/properties/a/$ref", "\"#/$defs/b\"");
  expect(R"({"$ref":"x.json"})", "#/$ref", "\"x.json\"");
  expect(R"({"$ref":"#/%24defs/a%2Fb","$defs":{"a":0,"a/b":{"type":1}}})", "#/$defs/a~1b/type",
         "1");
  // Cut between characters.
  expect(R"({"type":"string","pattern":"()" + Repeat("\u00e4", 60) + "\"}", "#/pattern",
         "\"(" + Repeat("\u00e4", 29) + "...");
  EXPECT_EQ(SchemaPointer(StatusOf("{")), "#");
  EXPECT_EQ(SchemaPointer(StatusOf(Repeat("[", 10000))), "#");
  EXPECT_EQ(SchemaPointer(absl::InvalidArgumentError("#/a b")), "");
}

TEST_F(SchemaErrorsTest, WhatNothingSatisfiesIsRefused) {
  for (const char* schema :
       {"false", R"({"enum":[]})", R"({"allOf":[{"type":"string"},{"type":"integer"}]})",
        R"({"type":"integer","minimum":5,"maximum":4})",
        R"({"type":"integer","exclusiveMinimum":5,"exclusiveMaximum":6})",
        R"({"type":"string","pattern":"^ab$","minLength":3})",
        R"({"type":"object","properties":{"a":false},"required":["a"]})",
        R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})",
        R"({"type":"array","items":false,"minItems":1})"}) {
    ExpectInvalid(schema, "# allows no value at all");
  }
}

TEST_F(SchemaErrorsTest, ReferencesMustLeadSomewhereAndConsumeText) {
  ExpectInvalid(R"({"$ref":"#/nowhere"})", "points to nothing");
  ExpectInvalid(R"({"$ref":"https://example.com/schema"})", "points to nothing");
  ExpectInvalid(R"({"$ref":"#"})", "leads back to itself");
  ExpectInvalid(
      R"({"$ref":"#/$defs/a","$defs":{"a":{"anyOf":[{"$ref":"#/$defs/b"}]},"b":{"allOf":[{"$ref":"#/$defs/a"}]}}})",
      "leads back to itself");
  ExpectInvalid(
      R"({"allOf":[{"properties":{"a":{}},"additionalProperties":false},{"properties":{"b":{}}}]})",
      "#/allOf/0/additionalProperties cannot be combined");
  ExpectInvalid(R"({"allOf":[{"pattern":"a"},{"pattern":"b"}]})",
                "#/allOf/1/pattern cannot be combined");
}

TEST_F(SchemaErrorsTest, PatternsThatAreNotSupportedAreExplained) {
  const std::pair<const char*, const char*> cases[] = {{"(?=a)", "lookahead"},
                                                       {"(?<!a)b", "lookbehind"},
                                                       {"(a)\\\\1", "\\1 is not supported"},
                                                       {"\\\\bword", "\\b"},
                                                       {"\\\\p{L}", "\\p"},
                                                       {"a^b", "anchor"},
                                                       {"(a$)b", "anchor"},
                                                       {"[z-a]", "not in order"},
                                                       {"(", "no end"},
                                                       {"a)", "unexpected ')'"},
                                                       {"*a", "nothing to repeat"},
                                                       {"a{3,2}", "below its minimum"},
                                                       {"a{99999}", "above 4096"},
                                                       {"[a", "no ']'"},
                                                       {"a**", "nothing to repeat"}};
  for (const auto& [pattern, problem] : cases) {
    const std::string schema = absl::StrCat(R"({"type":"string","pattern":")", pattern, "\"}");
    ExpectInvalid(schema, problem);
    ExpectInvalid(schema, "#/pattern");
  }
}

TEST_F(SchemaErrorsTest, SizesAreBounded) {
  ExpectInvalid(Repeat(" ", 65537), "65537 bytes, the limit is 65536");
  ExpectInvalid(Repeat("[", 10000), "nested 10000 deep, the limit is 64");
  ExpectInvalid(Repeat(R"({"items":)", 65) + "{}" + Repeat("}", 65), "nested 66 deep");
  EXPECT_TRUE(StatusOf(Repeat(R"({"items":)", 60) + "{}" + Repeat("}", 60)).ok());
  ExpectInvalid(R"({"type":"string","pattern":"^((a{100}){100}){100}$"})", "4096 states");
  ExpectInvalid(R"({"type":"string","pattern":"^(a?){4000}$"})", "edges");
  ExpectInvalid(R"({"type":"string","pattern":"^[a-z]+@[a-z]+$","maxLength":1000000})",
                "limits of length");
  ExpectInvalid(absl::StrCat(R"({"type":"string","pattern":")", Repeat("a", 5000), "\"}"),
                "5000 bytes");
  ExpectInvalid(
      R"({"type":"array","items":{"type":"string","pattern":"^.{4000}$"},"prefixItems":[)" +
          Repeat(R"({"pattern":"^.{4000}$"},{"pattern":"^.{3999}$"},{"pattern":"^.{3998}$"},)"
                 R"({"pattern":"^.{3997}$"},{"pattern":"^.{3996}$"},{"pattern":"^.{3995}$"},)",
                 1) +
          R"({"pattern":"^.{3994}$"}]})",
      "200000 automaton states");
  // Counts are counted, not written out.
  EXPECT_TRUE(StatusOf(R"({"type":"array","minItems":1000000,"maxItems":2000000000})").ok());
  EXPECT_TRUE(StatusOf(R"({"type":"string","minLength":1000000,"maxLength":2000000000})").ok());
}

TEST_F(SchemaErrorsTest, CombinationsAreBounded) {
  std::string two = R"({"anyOf":[{"type":"string"},{"minLength":1}]},)";
  ExpectInvalid(R"({"allOf":[)" + Repeat(two, 15) + "{}]}", "alternatives");
  // Every definition refers twice to the next one: 2^20 paths.
  std::string defs;
  for (int i = 0; i < 20; ++i) {
    const std::string next = absl::StrCat(R"({"$ref":"#/$defs/)", i + 1, "\"}");
    absl::StrAppend(&defs, "\"", i, R"(":{"anyOf":[)", next, ",", next, "]},");
  }
  const std::string schema = absl::StrCat(R"({"$ref":"#/$defs/0","$defs":{)", defs, R"("20":{}}})");
  ExpectInvalid(schema, "alternatives");
}

TEST_F(SchemaErrorsTest, ExpensiveCompilationsEndAtTheDeadline) {
  JsonConstraintOptions options;
  options.compile_time = absl::Milliseconds(1);
  auto hurried = MakeJsonConstraintCompiler(*tokenizer_, {EndTokenOf(*tokenizer_)}, options);
  std::string properties;
  for (int i = 0; i < 1500; ++i) {
    absl::StrAppend(&properties, "\"property ", i, R"(":{"type":"number"},)");
  }
  const std::string schema =
      absl::StrCat(R"({"properties":{)", properties, R"("z":{}},"additionalProperties":true})");
  EXPECT_EQ(Compile(*hurried, schema).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(StatusOf(schema).ok()) << StatusOf(schema);
}

// Subsets of states without bound: each mask must still come soon, and the walk stay valid.
TEST_F(SchemaErrorsTest, HostileAutomataDoNotStallMasks) {
  std::mt19937 random(3);
  const std::string alternatives = [] {
    std::string list;
    for (int i = 0; i < 12; ++i) {
      absl::StrAppend(&list, i ? "," : "", R"({"pattern":"^.*[)", i, "-9a-z]", R"(.{)", 60 + i,
                      R"(}$"})");
    }
    return list;
  }();
  for (const std::string& schema :
       {std::string(R"({"type":"string","pattern":"^(a|b)*a(a|b){18}$"})"),
        absl::StrCat(R"({"anyOf":[)", alternatives, "]}")}) {
    auto constraint = Compile(*compiler_, schema);
    ASSERT_TRUE(constraint.ok()) << constraint.status();
    absl::Duration longest;
    for (int step = 0; step < 400; ++step) {
      const absl::Time begin = absl::Now();
      const Mask mask = FillMask(**constraint, *tokenizer_);
      longest = std::max(longest, absl::Now() - begin);
      std::vector<uint32_t> allowed;
      for (uint32_t token = 0; token < static_cast<uint32_t>(tokenizer_->vocab_size()); ++token) {
        if (IsSet(mask, token)) allowed.push_back(token);
      }
      ASSERT_FALSE(allowed.empty());
      const uint32_t token = allowed[random() % allowed.size()];
      ASSERT_TRUE((*constraint)->Accept(token));
      if (token == EndTokenOf(*tokenizer_)) break;
    }
    EXPECT_LT(longest, absl::Seconds(1));
  }
}

}  // namespace
}  // namespace regatta
