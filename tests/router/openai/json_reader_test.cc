// Bodies that are read, and bodies that are refused; limits from both sides.
#include "router/openai/json_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/router/openai/cpu_time.h"

namespace regatta {
namespace {

using testing::HasSubstr;

std::string ErrorOf(const std::string& body) {
  const auto json = ReadJson(body);
  EXPECT_FALSE(json.ok()) << body.substr(0, 80);
  if (json.ok()) return "";
  EXPECT_EQ(json.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(json.status().message());
}

TEST(JsonReaderTest, DocumentsAreReadInOrder) {
  const std::string text =
      R"({"z":1,"a":[-2,3.5,true,null,"\u00e9\ud83d\ude00"],"m":{"k":{}},"big":18446744073709551615})";
  const auto json = ReadJson("  \t\r\n" + text + "\n ");
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(*json, OrderedJson::parse(text));
  EXPECT_EQ(json->begin().key(), "z");
  EXPECT_EQ(json->dump().substr(0, 8), R"({"z":1,")");
  EXPECT_TRUE(ReadJson("3")->is_number());
}

TEST(JsonReaderTest, WhatIsNotJsonIsRefused) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("empty"));
  EXPECT_THAT(ErrorOf("\xEF\xBB\xBF{}"), HasSubstr("byte order mark"));
  EXPECT_THAT(ErrorOf(std::string("{}\0", 3)), HasSubstr("a NUL at byte 2"));
  EXPECT_THAT(ErrorOf(std::string("{\"a\0\":1}", 8)), HasSubstr("NUL"));
  for (const char* body : {"{", "{}x", "{} {}", "[1,]", "{\"a\":}", "{'a':1}", "NaN", "[Infinity]",
                           "[-]", "01", "+1", "// c\n{}", "{\"a\":1,}", "\"\t\"", "tru",
                           "[\"\\x\"]", "[\"\\ud800\"]", "[\"\\udc00\\ud800\"]"}) {
    EXPECT_THAT(ErrorOf(body), HasSubstr("not valid JSON at byte")) << body;
  }
}

TEST(JsonReaderTest, IllFormedUtf8IsRefused) {
  for (const char* bytes : {"\x80", "\xC0\xAF", "\xE2\x82", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                            "\xFF", "\xF0\x80\x80\x80"}) {
    EXPECT_THAT(ErrorOf("[\"" + std::string(bytes) + "\"]"), HasSubstr("not valid JSON"));
  }
  EXPECT_TRUE(ReadJson("[\"\xF4\x8F\xBF\xBF\"]").ok());
}

TEST(JsonReaderTest, DoubledKeysAreRefusedWithinOneObject) {
  EXPECT_THAT(ErrorOf(R"({"a":1,"b":2,"a":3})"), HasSubstr("the key \"a\" is given twice"));
  EXPECT_THAT(ErrorOf(R"({"a":1,"\u0061":3})"), HasSubstr("\"a\" is given twice"));
  EXPECT_TRUE(ReadJson(R"({"a":{"a":1},"b":[{"a":1},{"a":2}]})").ok());
  EXPECT_EQ(ErrorOf(R"({"a":1,"a":3})"), "body: the key \"a\" is given twice");
  EXPECT_EQ(ErrorOf(R"({"x":0,"a":{"y":[0,{"k":1,"k":2}]}})"),
            "a.y[1]: the key \"k\" is given twice");
  EXPECT_EQ(ErrorOf(R"({"a: b":{"k":1,"k":2}})"), R"(["a: b"]: the key "k" is given twice)");
}

TEST(JsonReaderTest, NumbersMustFitDoubles) {
  EXPECT_THAT(ErrorOf("[1e999]"), HasSubstr("a number is too large"));
  EXPECT_THAT(ErrorOf("[-1e999]"), HasSubstr("a number is too large"));
  EXPECT_DOUBLE_EQ((*ReadJson("[1e308]"))[0].get<double>(), 1e308);
  EXPECT_TRUE((*ReadJson("[18446744073709551616]"))[0].is_number_float());
}

TEST(JsonReaderTest, DepthIsLimited) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(ReadJson(nested(kMaxJsonDepth - 1)).ok());
  EXPECT_TRUE(ReadJson(nested(kMaxJsonDepth)).ok());
  EXPECT_THAT(ErrorOf(nested(kMaxJsonDepth + 1)), HasSubstr("nested more than 64"));
  EXPECT_THAT(ErrorOf(nested(1'000'000)), HasSubstr("nested more than 64"));
  EXPECT_THAT(ErrorOf(std::string(5'000'000, '[')), HasSubstr("nested"));
}

TEST(JsonReaderTest, KeysAreLimitedOverTheDocument) {
  const auto keys = [](size_t count) {
    std::string body = "[{";
    for (size_t i = 0; i < count; ++i) {
      if (i > 0) body += i % 100 == 0 ? "},{" : ",";
      body += "\"k" + std::to_string(i) + "\":0";
    }
    return body + "}]";
  };
  EXPECT_TRUE(ReadJson(keys(kMaxJsonKeys - 1)).ok());
  EXPECT_TRUE(ReadJson(keys(kMaxJsonKeys)).ok());
  EXPECT_THAT(ErrorOf(keys(kMaxJsonKeys + 1)), HasSubstr("more than 10000 keys"));
}

TEST(JsonReaderTest, ManyKeysOfOneObjectTakeLinearTime) {
  std::string body = "{";
  for (size_t i = 0; i < kMaxJsonKeys; ++i) {
    body += (i > 0 ? ",\"" : "\"") + std::string(40, 'x') + std::to_string(i) + "\":0";
  }
  body += "}";
  const double start = CpuMilliseconds();
  EXPECT_EQ(ReadJson(body)->size(), kMaxJsonKeys);
  // Looking at every key before takes a second.
  EXPECT_LT(CpuMilliseconds() - start, 100 * kSlowdown);
}

}  // namespace
}  // namespace regatta
