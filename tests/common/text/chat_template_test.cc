// Where a model's chat template comes from, and what it is given. What templates render:
// tests/common/jinja/golden_test.cc.
#include "common/text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace regatta {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

const Json kHello = Json::parse(R"([{"role": "user", "content": "Hello"}])");

// A model's directory, removed at the end.
class ModelDir {
 public:
  ModelDir() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::string(testing::TempDir()) + "/chat_template_" + info->name() + "_" +
            std::to_string(::getpid());
    std::filesystem::create_directories(path_);
  }
  ~ModelDir() { std::filesystem::remove_all(path_); }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ + "/" + name) << text;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string Rendered(const std::string& dir, const ChatInput& input) {
  const auto chat = ChatTemplate::Load(dir);
  if (!chat.ok()) return chat.status().ToString();
  const auto text = (*chat)->Render(input);
  return text.ok() ? *text : text.status().ToString();
}

TEST(ChatTemplateTest, FileComesBeforeConfigWhichStillNamesTheTokens) {
  const ModelDir dir;
  dir.Write("tokenizer_config.json",
            R"({"chat_template": "config{{ bos_token }}", "bos_token": {"content": "<b>"},
                "eos_token": "<e>", "pad_token": null})");
  EXPECT_EQ(Rendered(dir.path(), {.messages = kHello}), "config<b>");
  dir.Write("chat_template.jinja", "{{ bos_token ~ eos_token ~ (pad_token is defined) }}");
  EXPECT_EQ(Rendered(dir.path(), {.messages = kHello}), "<b><e>False");
}

TEST(ChatTemplateTest, NamedTemplatesAreChosenByTools) {
  const ModelDir dir;
  dir.Write("tokenizer_config.json",
            R"({"chat_template": [{"name": "default", "template": "plain"},
                                  {"name": "tool_use", "template": "{{ tools|length }} tools"}]})");
  const Json tools = Json::parse(R"([{"type": "function", "function": {"name": "f"}}])");
  EXPECT_EQ(Rendered(dir.path(), {.messages = kHello}), "plain");
  EXPECT_EQ(Rendered(dir.path(), {.messages = kHello, .tools = &tools}), "1 tools");
}

TEST(ChatTemplateTest, WhatIsWrongIsNamed) {
  const ModelDir dir;
  EXPECT_EQ(ChatTemplate::Load(dir.path()).status().code(), absl::StatusCode::kNotFound);
  dir.Write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "x"}]})");
  EXPECT_THAT(Rendered(dir.path(), {.messages = kHello}), HasSubstr("default"));
  dir.Write("tokenizer_config.json", "[");
  EXPECT_THAT(Rendered(dir.path(), {.messages = kHello}), HasSubstr("tokenizer_config.json"));
  dir.Write("tokenizer_config.json", "{}");
  dir.Write("chat_template.jinja", "a\n {% if %}");
  EXPECT_THAT(Rendered(dir.path(), {.messages = kHello}), HasSubstr("chat_template.jinja: line 2"));
  dir.Write("chat_template.jinja", "{{ raise_exception('no ' ~ messages[0].role) }}");
  EXPECT_THAT(Rendered(dir.path(), {.messages = kHello}), HasSubstr("line 1, column 19: no user"));
}

TEST(ChatTemplateTest, VariablesDoNotReplaceTheConversation) {
  const auto chat =
      ChatTemplate::FromText("{{ messages[0].content }}{{ x }}{{ tools is none }}", "<s>", "</s>");
  ASSERT_TRUE(chat.ok()) << chat.status();
  const Json variables =
      Json::parse(R"({"messages": [{"content": "forged"}], "tools": 1, "x": 2})");
  EXPECT_EQ(*(*chat)->Render({.messages = kHello, .variables = &variables}), "Hello2True");
}

TEST(ChatTemplateTest, MessagesThatAreNoneAreRefused) {
  const auto chat = ChatTemplate::FromText("{{ messages }}", "<s>", "</s>");
  ASSERT_TRUE(chat.ok()) << chat.status();
  for (const char* text : {"{}", "null", "[1]", "[[]]"}) {
    EXPECT_EQ((*chat)->Render({.messages = Json::parse(text)}).status().code(),
              absl::StatusCode::kInvalidArgument)
        << text;
  }
  const Json none = Json::array();
  EXPECT_FALSE((*chat)->Render({.messages = none, .continue_final_message = true}).ok());
}

TEST(ChatTemplateTest, LimitsAreThoseOfTheInterface) {
  const auto endless = ChatTemplate::FromText(
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "", "");
  ASSERT_TRUE(endless.ok()) << endless.status();
  EXPECT_EQ((*endless)->Render({.messages = kHello}).status().code(),
            absl::StatusCode::kResourceExhausted);
  const auto large = ChatTemplate::FromText(
      "{% for a in range(3) %}{{ 'x' * (30 * 1024 * 1024) }}{% endfor %}", "", "");
  ASSERT_TRUE(large.ok()) << large.status();
  EXPECT_EQ((*large)->Render({.messages = kHello}).status().code(),
            absl::StatusCode::kResourceExhausted);
  // 2 ** 24 times 2 ** 40 bytes: the product does not fit 64 bits.
  const auto vast = ChatTemplate::FromText("{% set x = 'x' * 2 ** 24 %}{{ x * 2 ** 40 }}", "", "");
  ASSERT_TRUE(vast.ok()) << vast.status();
  EXPECT_EQ((*vast)->Render({.messages = kHello}).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(ChatTemplateTest, ShippedModelsHaveTemplates) {
  for (const char* name : {"regatta-dense", "regatta-moe"}) {
    const std::string text =
        Rendered(std::string(REGATTA_SOURCE_DIR) + "/tests/models/" + name, {.messages = kHello});
    EXPECT_THAT(text, HasSubstr("Hello")) << name;
    EXPECT_THAT(text, HasSubstr("assistant")) << name;
  }
}

}  // namespace
}  // namespace regatta
