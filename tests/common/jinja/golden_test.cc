// What transformers makes of conversations and jinja2 of thousands of small templates
// (make_golden.py) is what our engine makes; where they fail, ours does.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/jinja/template.h"
#include "common/text/chat_template.h"

namespace regatta {
namespace {

using nlohmann::ordered_json;

// JINJA_CASES: another folder of make_golden.py's.
std::string FolderName() {
  const char* other = std::getenv("JINJA_CASES");
  return other != nullptr ? std::string(other) + "/"
                          : std::string(REGATTA_SOURCE_DIR) + "/tests/common/jinja/";
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

const ordered_json& Golden() {
  static const ordered_json golden = ordered_json::parse(ReadFile(FolderName() + "golden.json"));
  return golden;
}

// `want` is null where jinja2 fails.
void ExpectText(const absl::StatusOr<std::string>& got, const ordered_json& want,
                const std::string& what) {
  if (want.is_null()) {
    EXPECT_FALSE(got.ok()) << what << "\nmakes: " << (got.ok() ? *got : "");
  } else {
    ASSERT_TRUE(got.ok()) << what << "\n" << got.status();
    EXPECT_EQ(*got, want.get<std::string>()) << what;
  }
}

TEST(JinjaGoldenTest, ChatTemplatesOfEveryFamily) {
  std::map<std::string, std::unique_ptr<ChatTemplate>> templates;
  for (const ordered_json& chat : Golden()["chats"]) {
    const std::string file = chat["template"];
    auto& one = templates[file];
    if (one == nullptr) {
      auto made =
          ChatTemplate::FromText(ReadFile(FolderName() + "templates/" + file), "<s>", "</s>");
      ASSERT_TRUE(made.ok()) << file << ": " << made.status();
      one = *std::move(made);
    }
    ordered_json settings = chat["settings"];
    ChatInput input{.messages = Golden()["conversations"][chat["conversation"].get<std::string>()]};
    input.add_generation_prompt = settings.value("add_generation_prompt", true);
    input.continue_final_message = settings.value("continue_final_message", false);
    settings.erase("add_generation_prompt");
    settings.erase("continue_final_message");
    ordered_json tools;
    if (settings.contains("tools")) {
      tools = settings["tools"];
      input.tools = &tools;
      settings.erase("tools");
    }
    input.variables = &settings;
    ExpectText(one->Render(input), chat["text"],
               file + " of " + chat["conversation"].get<std::string>() + " " + settings.dump());
  }
  EXPECT_GE(templates.size(), 12u);
}

TEST(JinjaGoldenTest, SmallTemplates) {
  const auto variables = jinja::FromJson(Golden()["variables"]);
  ASSERT_TRUE(variables.ok());
  for (const ordered_json& one : Golden()["expressions"]) {
    const std::string source = one["source"];
    const auto parsed = jinja::Template::Parse(source);
    if (!parsed.ok()) {
      EXPECT_TRUE(one["text"].is_null()) << source << "\n" << parsed.status();
      continue;
    }
    ExpectText(parsed->Render(variables->dict(), {1'000'000, 1 << 20}, 0), one["text"], source);
  }
  EXPECT_GT(Golden()["expressions"].size(), 2000u);
}

}  // namespace
}  // namespace regatta
