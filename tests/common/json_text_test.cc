// Where a text stops being JSON, in words that name no library.
#include "common/json_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace regatta {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string ErrorOf(const std::string& text) {
  const absl::Status status = ParseJson(text).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("json.exception"))) << text;
  return std::string(status.message());
}

TEST(JsonTextTest, GoodTextIsADocument) {
  EXPECT_EQ(*ParseJson(" {\"a\": [1, 2]}\n"), (nlohmann::json{{"a", {1, 2}}}));
  EXPECT_EQ(*ParseJson("3"), nlohmann::json(3));
}

TEST(JsonTextTest, WhatIsNoStringIsEmpty) {
  const nlohmann::json object = {{"a", "text"}, {"b", 3}};
  EXPECT_EQ(StringAt(object, "a"), "text");
  EXPECT_EQ(StringAt(object, "b"), "");
  EXPECT_EQ(StringAt(object, "c"), "");
  EXPECT_EQ(StringAt(object["b"], "a"), "");
}

TEST(JsonTextTest, ErrorsSayLineColumnAndWhatWasExpected) {
  EXPECT_THAT(ErrorOf(""), AllOf(StartsWith("not valid JSON at line 1, column 1: "),
                                 HasSubstr("unexpected end of input")));
  EXPECT_THAT(ErrorOf("{\n  \"a\": 1,\n  b: 2\n}"),
              AllOf(StartsWith("not valid JSON at line 3, column 3: "),
                    HasSubstr("expected string literal")));
  EXPECT_THAT(ErrorOf("{\"a\": 1} x"), StartsWith("not valid JSON at line 1, column 10: "));
  EXPECT_THAT(ErrorOf("{\"a\": 1e999}"), HasSubstr("number overflow parsing '1e999'"));
  EXPECT_THAT(ErrorOf("[\"\xff\"]"), HasSubstr("ill-formed UTF-8"));
}

TEST(JsonTextTest, LongTextsAreNotRepeated) {
  const std::string error = ErrorOf("[\"" + std::string(100'000, 'x') + "\n\"]");
  EXPECT_LT(error.size(), 300u);
  EXPECT_THAT(error, HasSubstr("last read: '...xxxx"));
}

TEST(JsonTextTest, ALineIsOneObject) {
  EXPECT_TRUE(ParseJsonLine("{}").ok());
  EXPECT_THAT(std::string(ParseJsonLine("[1]").status().message()),
              HasSubstr("holds array, expected one JSON object a line"));
  EXPECT_THAT(std::string(ParseJsonLine("{\"a\" 1}").status().message()),
              StartsWith("not valid JSON at column 6: "));
}

}  // namespace
}  // namespace regatta
