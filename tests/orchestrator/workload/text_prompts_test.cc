// Text files and chat data into data sets, and prompts into ids, with the bundled tokenizers.
#include "orchestrator/workload/text_prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "common/text/tokenizer.h"
#include "orchestrator/workload/prompt_tokens.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

const std::string kModel = REGATTA_SOURCE_DIR "/tests/models/regatta-dense";

absl::StatusOr<std::vector<DatasetEntry>> Read(const std::string& text,
                                               const TextPromptOptions& options = {},
                                               const Tokenizer* tokenizer = nullptr) {
  std::istringstream in(text);
  return ReadTextPrompts(in, "p.txt", options, tokenizer);
}

TEST(TextPromptsTest, PlainLines) {
  const auto entries = Read("first\n\nsecond one\n");
  ASSERT_TRUE(entries.ok()) << entries.status();
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ((*entries)[1].prompt, "second one");
  EXPECT_EQ((*entries)[1].task_id, "1");
  EXPECT_EQ((*entries)[1].output_tokens, 128u);
}

TEST(TextPromptsTest, JsonLinesPickTheModelsPrompt) {
  TextPromptOptions options;
  options.model_name = "b";
  const auto entries = Read(
      "{\"id\": 9, \"prompt\": {\"a\": \"A\", \"b\": \"B\"}, \"answer\": \"yes\"}\n"
      "{\"prompt\": \"plain\", \"output_tokens\": 7}\n",
      options);
  ASSERT_TRUE(entries.ok()) << entries.status();
  EXPECT_EQ((*entries)[0].prompt, "B");
  EXPECT_EQ((*entries)[0].task_id, "9");
  EXPECT_EQ((*entries)[0].answer, "yes");
  EXPECT_EQ((*entries)[1].output_tokens, 7u);
  EXPECT_FALSE((*entries)[1].has_answer);
}

TEST(TextPromptsTest, BadLinesAreNamed) {
  const auto message = [](const char* text) { return std::string(Read(text).status().message()); };
  EXPECT_THAT(message("ok\n{\"prompt\": 3}"), HasSubstr("p.txt:2: 'prompt' is neither"));
  EXPECT_THAT(message("{broken"), HasSubstr("p.txt:1: not valid JSON"));
  EXPECT_THAT(message("{\"prompt\": {\"a\": \"A\"}}"), HasSubstr("no text for the model ''"));
  EXPECT_THAT(message("{\"prompt\": \"x\", \"output_tokens\": -1}"), HasSubstr("whole number"));
  EXPECT_THAT(message("\n"), HasSubstr("no prompt is left"));
}

class WithTokenizerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto tokenizer = Tokenizer::Load(kModel);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    tokenizer_ = *std::move(tokenizer);
  }
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(WithTokenizerTest, AnswersSetTheLengthAndLongPromptsAreLeftOut) {
  TextPromptOptions options;
  const std::string text =
      "{\"prompt\": \"What is 1 + 1?\", \"answer\": \"2\"}\n" + std::string(4000, 'x') + "\n";
  const auto entries = Read(text, options, tokenizer_.get());
  ASSERT_TRUE(entries.ok()) << entries.status();
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ((*entries)[0].output_tokens, tokenizer_->Encode("2", false).size() + 1);
  options.max_input_tokens = 100;
  EXPECT_EQ(Read(text, options, tokenizer_.get())->size(), 1u);
  options.output_tokens = 5;
  EXPECT_EQ(Read(text, options, tokenizer_.get())->at(0).output_tokens, 5u);
}

TEST_F(WithTokenizerTest, TheBeginTokenComesOnce) {
  const auto begin = tokenizer_->TokenId("<|begin_of_text|>");
  ASSERT_TRUE(begin.has_value());
  const auto written = EncodePrompt(*tokenizer_, "<|begin_of_text|>hello");
  EXPECT_EQ(std::count(written.begin(), written.end(), static_cast<uint32_t>(*begin)), 1);
  EXPECT_EQ(written[0], static_cast<uint32_t>(*begin));
}

TEST_F(WithTokenizerTest, PromptsBecomeIds) {
  Dataset dataset;
  DatasetEntry entry;
  entry.prompt = "What is 26 + 938?";
  dataset.entries = {entry};
  ASSERT_TRUE(TokenizePrompts(kModel, dataset).ok());
  EXPECT_EQ(dataset.entries[0].prompt, "");
  EXPECT_EQ(dataset.entries[0].input_ids, EncodePrompt(*tokenizer_, entry.prompt));
}

TEST_F(WithTokenizerTest, RandomTokensAreOrdinaryOnes) {
  const auto ids = LoadOrdinaryTokens(kModel, "");
  ASSERT_TRUE(ids.ok()) << ids.status();
  EXPECT_GT(ids->size(), 200u);
  EXPECT_TRUE(std::is_sorted(ids->begin(), ids->end()));
  for (uint32_t id : *ids) {
    EXPECT_FALSE(tokenizer_->IsSpecial(id)) << id;
    EXPECT_LT(id, static_cast<uint32_t>(tokenizer_->vocab_size()));
  }
  EXPECT_EQ(LoadOrdinaryTokens("/nonexistent", "").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace regatta
