// Calls of tools found in output: syntaxes, what is no call, cuts anywhere, adversarial text.
#include "router/openai/tool_call_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "tests/common/text/tiny_tokenizer.h"
#include "tests/router/openai/cpu_time.h"

namespace regatta {
namespace {

const std::vector<std::string> kNames = {"get_weather", "add"};

// Events in writing: content as it is, a call as "<i name", its arguments as "<i= json".
std::string Written(const std::vector<ToolEvent>& events) {
  std::string text;
  int last_call = -1;
  for (const ToolEvent& event : events) {
    if (event.kind == ToolEvent::kContent) {
      text += event.text;
      last_call = -1;
    } else if (event.kind == ToolEvent::kCall) {
      text += "<" + std::to_string(event.call) + " " + event.text;
      last_call = -1;
    } else {
      if (last_call != static_cast<int>(event.call))
        text += "<" + std::to_string(event.call) + "= ";
      text += event.text;
      last_call = event.call;
    }
  }
  return text;
}

std::string Parse(ToolCallSyntax syntax, const std::string& text) {
  ToolCallParser parser(syntax, kNames);
  std::vector<ToolEvent> events;
  parser.Append(text, events);
  parser.Finish(events);
  return Written(events);
}
std::string Hermes(const std::string& text) { return Parse(ToolCallSyntax::kHermes, text); }
std::string Llama(const std::string& text) { return Parse(ToolCallSyntax::kLlamaJson, text); }
std::string Array(const std::string& text) { return Parse(ToolCallSyntax::kJsonArray, text); }

TEST(ToolCallParserTest, HermesCallsStandBetweenTags) {
  EXPECT_EQ(
      Hermes("<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": [1, \"}\"]}}\n</tool_call>"),
      "<0 add<0= {\"a\": [1, \"}\"]}");
  EXPECT_EQ(Hermes("I will look.\n<tool_call>{\"name\":\"add\",\"arguments\":{}}</tool_call>\n"
                   "<tool_call>\n{\"name\":\"get_weather\",\"arguments\":{\"c\":\"\\\"\\\\\"}}</"
                   "tool_call>\n"),
            "I will look.<0 add<0= {}<1 get_weather<1= {\"c\":\"\\\"\\\\\"}");
  EXPECT_EQ(Hermes("<tool_call>{\"arguments\":{\"a\":1},\"name\":\"add\"}</tool_call> Done."),
            "<0 add<0= {\"a\":1} Done.");
  EXPECT_EQ(Hermes("<tool_call>{\"name\":\"add\"}</tool_call>"), "<0 add<0= {}");
}

TEST(ToolCallParserTest, HermesTextWithoutCallsIsKeptToTheByte) {
  for (const char* text :
       {"", " ", "a < b <tool", "<<tool_call", "<tool_call>", "<tool_call>text</tool_call>",
        "<tool_call>{\"name\":\"unknown\",\"arguments\":{}}</tool_call>",
        "<tool_call>{\"name\":7}</tool_call>", "<tool_call>{\"name\":\"add\",\"x\":1}</tool_call>",
        "<tool_call>{\"name\":\"add\",\"arguments\":[1]}", "<tool_call>{\"na", "  \n x \n\n",
        "<tool_call>{}</tool_call>", "</tool_call>", "<tool_call>\n\n{\"arguments\":{\"a\":1}} "}) {
    EXPECT_EQ(Hermes(text), text);
  }
}

TEST(ToolCallParserTest, WhatFollowsABrokenCallIsContent) {
  EXPECT_EQ(Hermes("<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":1}]</tool_call>"),
            "<0 add<0= {\"a\":1}]</tool_call>");
  EXPECT_EQ(Hermes("<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":"), "<0 add<0= {\"a\":");
  EXPECT_EQ(Llama("{\"name\":\"add\",\"parameters\":{}} and more"), "<0 add<0= {} and more");
}

TEST(ToolCallParserTest, LlamaCallsAreTheWholeOutput) {
  EXPECT_EQ(Llama("{\"name\": \"add\", \"parameters\": {\"a\": 1}}"), "<0 add<0= {\"a\": 1}");
  EXPECT_EQ(Llama("<|python_tag|>{\"type\":\"function\",\"name\":\"add\",\"parameters\":{}}"),
            "<0 add<0= {}");
  EXPECT_EQ(
      Llama(
          "\n{\"name\":\"add\",\"parameters\":{}}; {\"name\":\"get_weather\",\"parameters\":{}}\n"),
      "<0 add<0= {}<1 get_weather<1= {}");
  for (const char* text : {"Hello {\"name\":\"add\",\"parameters\":{}}", "{\"answer\": 42}", "{",
                           "{\"name\": \"Jim\", \"age\": 3}", "<|python_tag|>print(1)", "<|python",
                           " ", "<b>", "{\"name\":\"a\\u0064d\",\"parameters\":{}}", "[1]"}) {
    EXPECT_EQ(Llama(text), text);
  }
}

TEST(ToolCallParserTest, ForcedArraysHoldCalls) {
  EXPECT_EQ(
      Array("[{\"name\":\"add\",\"parameters\":{\"a\":1}}, {\"name\":\"add\",\"parameters\":{}}]"),
      "<0 add<0= {\"a\":1}<1 add<1= {}");
  EXPECT_EQ(Array("{}"), "{}");
  // Of what is cut the calls stay that have a name.
  EXPECT_EQ(Array("[{\"name\":\"add\",\"parameters\":{\"a\":1}}, {\"na"), "<0 add<0= {\"a\":1}");
  EXPECT_EQ(Array("[{\"name\":\"add\",\"par"), "<0 add");
  EXPECT_EQ(Array("[{\"name\":\"ad"), "");
}

TEST(ToolCallParserTest, WithoutSyntaxAllIsContent) {
  EXPECT_EQ(Parse(ToolCallSyntax::kNone, "<tool_call>{"), "<tool_call>{");
}

// Pieces of calls, right and wrong, in random order.
std::string RandomText(std::mt19937& random) {
  static const std::vector<std::string> kPieces = {
      "<tool_call>",
      "</tool_call>",
      "{\"name\":\"add\",\"arguments\":{\"a\":\"<tool_call>\\\"}\"}}",
      "{",
      "}",
      "\"",
      "\\",
      " ",
      "\n",
      "<",
      "text",
      "<|python_tag|>",
      "[",
      "]",
      ";",
      ",",
      ":",
      "\"name\":\"add\"",
      "\"arguments\":{",
      "{\"name\":\"get_weather\",\"parameters\":{\"x\":[1]}}",
      "\"type\":\"function\"",
      "é"};
  std::string text;
  const int count = 1 + random() % 12;
  for (int i = 0; i < count; ++i) text += kPieces[random() % kPieces.size()];
  return text;
}

TEST(ToolCallParserTest, CutsDoNotMatter) {
  std::mt19937 random(1);
  int calls = 0;
  for (int round = 0; round < 30000; ++round) {
    const auto syntax = static_cast<ToolCallSyntax>(random() % 4);
    const std::string text = RandomText(random);
    const std::string whole = Parse(syntax, text);
    ToolCallParser parser(syntax, kNames);
    std::vector<ToolEvent> events;
    for (size_t begin = 0; begin < text.size();) {
      const size_t size = 1 + random() % 5;
      parser.Append(std::string_view(text).substr(begin, size), events);
      begin += size;
    }
    parser.Finish(events);
    ASSERT_EQ(Written(events), whole) << text;
    calls += parser.num_calls();
    const bool changed = whole != text;
    if (syntax == ToolCallSyntax::kJsonArray) continue;  // Begun calls are dropped.
    ASSERT_EQ(changed, parser.num_calls() > 0) << text;
  }
  EXPECT_GT(calls, 500);
}

TEST(ToolCallParserTest, AdversarialTextTakesLinearTime) {
  const std::string open = "<tool_call>{\"name\":\"add\",\"arguments\":{";
  std::vector<std::string> texts;
  for (const std::string unit :
       {"<", "<tool_call>", "<tool_call", "<tool_call>{", " ", "{", "\"", "\\", "<tool_call>{\"",
        "</tool_call>", "<tool_call>{\"name\":\"add\",\"arguments\":{}}", "[[", "{\"a\":"}) {
    std::string text;
    while (text.size() < 1'000'000) text += unit;
    texts.push_back(open + text);
    texts.push_back(text);
  }
  for (const std::string& text : texts) {
    for (const ToolCallSyntax syntax :
         {ToolCallSyntax::kHermes, ToolCallSyntax::kLlamaJson, ToolCallSyntax::kJsonArray}) {
      ToolCallParser parser(syntax, kNames);
      std::vector<ToolEvent> events;
      const double start = CpuMilliseconds();
      parser.Append(text, events);
      parser.Finish(events);
      EXPECT_LT(CpuMilliseconds() - start, 50 * kSlowdown) << text.substr(0, 60);
    }
  }
}

TEST(ToolCallParserTest, SyntaxIsChosenByOptionOrTokens) {
  EXPECT_EQ(*ChooseToolCallSyntax("hermes", nullptr), ToolCallSyntax::kHermes);
  EXPECT_EQ(*ChooseToolCallSyntax("llama3_json", nullptr), ToolCallSyntax::kLlamaJson);
  EXPECT_EQ(*ChooseToolCallSyntax("none", nullptr), ToolCallSyntax::kNone);
  EXPECT_EQ(*ChooseToolCallSyntax("auto", nullptr), ToolCallSyntax::kNone);
  EXPECT_THAT(ChooseToolCallSyntax("pythonic", nullptr).status().message(),
              testing::HasSubstr("'pythonic' is unknown; known: auto"));
  const auto with_token = [](const std::string& token) {
    nlohmann::json json = TinyTokenizerJson();
    if (!token.empty()) json["added_tokens"].push_back(TinyAddedToken(303, token, false));
    return *ChooseToolCallSyntax("auto", LoadTiny(json).get());
  };
  EXPECT_EQ(with_token(""), ToolCallSyntax::kNone);
  EXPECT_EQ(with_token("<tool_call>"), ToolCallSyntax::kHermes);
  EXPECT_EQ(with_token("<|python_tag|>"), ToolCallSyntax::kLlamaJson);
}

}  // namespace
}  // namespace regatta
