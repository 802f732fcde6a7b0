// Text, stop strings, finish reasons and usage of one request.
#include "router/output_processor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/text/tiny_tokenizer.h"

namespace regatta {
namespace {

// Tokens of the tiny tokenizer are bytes.
SequenceEvent Event(const std::string& bytes, uint32_t num_outputs,
                    FinishReason finish = FINISH_REASON_NONE) {
  SequenceEvent event;
  for (const char c : bytes) event.tokens.push_back(static_cast<uint8_t>(c));
  event.num_outputs = num_outputs;
  event.finish = finish;
  return event;
}

class OutputProcessorTest : public testing::Test {
 protected:
  OutputProcessor Make(std::vector<std::string> stops, bool include_stop = false,
                       uint32_t min_tokens = 0) {
    OutputOptions options;
    options.return_text = true;
    options.return_token_ids = true;
    options.include_stop = include_stop;
    options.stops = std::move(stops);
    options.min_tokens = min_tokens;
    options.prompt_tokens = 7;
    options.arrived_ns = 100;
    return OutputProcessor(std::move(options), tokenizer_.get());
  }
  std::unique_ptr<Tokenizer> tokenizer_ = LoadTiny();
};

TEST_F(OutputProcessorTest, StopStringAcrossTokensEndsTheRequest) {
  OutputProcessor output = Make({"end"});
  EXPECT_EQ(output.Process(Event("a", 1), 200).text(), "a");
  EXPECT_EQ(output.Process(Event("e", 2), 300).text(), "");
  const TokenDelta held = output.Process(Event("n", 3), 400);
  EXPECT_EQ(held.text(), "");
  EXPECT_EQ(held.count(), 1);
  EXPECT_FALSE(output.finished());
  const TokenDelta last = output.Process(Event("d", 4), 500);
  EXPECT_TRUE(output.finished());
  EXPECT_EQ(last.text(), "");
  EXPECT_EQ(last.finish_reason(), FINISH_REASON_STOP);
  EXPECT_EQ(last.usage().output_tokens(), 4);
  EXPECT_EQ(last.usage().prompt_tokens(), 7);
  EXPECT_EQ(last.times().arrived_ns(), 100);
  EXPECT_EQ(last.times().first_token_ns(), 200);
  EXPECT_EQ(last.times().last_token_ns(), 500);
}

// Where the tokenizer writes a space before every text, what continues one keeps it.
TEST_F(OutputProcessorTest, TextThatGoesOnKeepsItsSpace) {
  const auto tokenizer =
      *Tokenizer::Load(REGATTA_SOURCE_DIR "/tests/common/text/fixtures/mistral_style.json");
  SequenceEvent event;
  event.tokens = {static_cast<uint32_t>(*tokenizer->TokenId("\u2581the"))};
  event.num_outputs = 1;
  for (const bool continues : {false, true}) {
    OutputOptions options;
    options.return_text = true;
    options.continue_text = continues;
    OutputProcessor output(options, tokenizer.get());
    EXPECT_EQ(output.Process(event, 1).text(), continues ? " the" : "the");
  }
}

TEST_F(OutputProcessorTest, HeldTextAppearsWhenItIsNoStop) {
  OutputProcessor output = Make({"end"}, true);
  EXPECT_EQ(output.Process(Event("en", 2), 1).text(), "");
  EXPECT_EQ(output.Process(Event("t", 3), 2).text(), "ent");
  EXPECT_EQ(output.Process(Event("xen", 6), 3).text(), "x");
  EXPECT_EQ(output.Process(Event("d!", 8), 4).text(), "end");
  EXPECT_TRUE(output.finished());
}

TEST_F(OutputProcessorTest, HeldTextAppearsAtTheEnd) {
  OutputProcessor output = Make({"end"});
  const TokenDelta last = output.Process(Event("xen", 3, FINISH_REASON_LENGTH), 1);
  EXPECT_EQ(last.text(), "xen");
  EXPECT_EQ(last.finish_reason(), FINISH_REASON_LENGTH);
  OutputProcessor cancelled = Make({"end"});
  cancelled.Process(Event("xe", 2), 1);
  EXPECT_EQ(cancelled.End(FINISH_REASON_CANCELLED, 2).text(), "e");
}

TEST_F(OutputProcessorTest, StopStringsCountOnlyFromMinTokensOn) {
  OutputProcessor output = Make({"b"}, false, 3);
  EXPECT_EQ(output.Process(Event("b", 1), 1).text(), "b");
  EXPECT_EQ(output.Process(Event("b", 2), 1).text(), "b");
  EXPECT_EQ(output.Process(Event("b", 3), 1).text(), "");
  EXPECT_TRUE(output.finished());
}

TEST_F(OutputProcessorTest, TheTokenThatStopsIsCountedAndNotShown) {
  OutputProcessor output = Make({});
  const TokenDelta last = output.Process(Event("ab", 2, FINISH_REASON_STOP), 1);
  EXPECT_EQ(last.text(), "a");
  EXPECT_EQ(last.count(), 2);
  EXPECT_EQ(last.token_ids_size(), 2);
  OutputProcessor shown = Make({}, true);
  EXPECT_EQ(shown.Process(Event("ab", 2, FINISH_REASON_STOP), 1).text(), "ab");
}

TEST_F(OutputProcessorTest, CharactersAreWhole) {
  OutputProcessor output = Make({"\xC3\xA9nd"});
  EXPECT_EQ(output.Process(Event("\xC3", 1), 1).text(), "");
  EXPECT_EQ(output.Process(Event("\xA9", 2), 1).text(), "");  // May begin the stop string.
  EXPECT_EQ(output.Process(Event("x", 3), 1).text(), "\xC3\xA9x");
}

TEST_F(OutputProcessorTest, SpecialTokensAreShownWhenAskedFor) {
  for (const bool skip : {true, false}) {
    OutputOptions options;
    options.return_text = true;
    options.skip_special_tokens = skip;
    OutputProcessor output(std::move(options), tokenizer_.get());
    SequenceEvent event = Event("a", 2);
    event.tokens.push_back(301);
    EXPECT_EQ(output.Process(event, 1).text(), skip ? "a" : "a<|eos|>");
  }
}

TEST_F(OutputProcessorTest, PreemptionsAddUpOverMoves) {
  OutputProcessor output = Make({});
  output.Moved();  // Not started: nothing to recompute.
  output.Scheduled(150);
  SequenceEvent event = Event("a", 1);
  event.cached_tokens = 4;
  event.preemptions = 2;
  output.Process(event, 200);
  output.Moved();
  output.Scheduled(250);
  event = Event("b", 2, FINISH_REASON_LENGTH);
  event.cached_tokens = 0;
  event.preemptions = 1;
  const TokenDelta last = output.Process(event, 300);
  EXPECT_EQ(last.usage().preemptions(), 4);  // 2, the move, 1
  EXPECT_EQ(last.usage().cached_tokens(), 4);
  EXPECT_EQ(last.times().scheduled_ns(), 150);
}

TEST(OutputProcessorWithoutTextTest, CountsAndIds) {
  OutputOptions options;
  OutputProcessor output(options, nullptr);
  SequenceEvent event = Event("abc", 3);
  Logprobs logprobs;
  logprobs.set_sampled(-0.5f);
  event.logprobs = {logprobs, logprobs, logprobs};
  const TokenDelta delta = output.Process(event, 1);
  EXPECT_EQ(delta.count(), 3);
  EXPECT_EQ(delta.token_ids_size(), 0);
  EXPECT_EQ(delta.logprobs_size(), 3);
  EXPECT_EQ(delta.top_logprobs_size(), 0);
  EXPECT_TRUE(delta.text().empty());
}

TEST(OutputProcessorWithoutTextTest, PromptLogprobsAreCutIntoPlaces) {
  OutputProcessor output(OutputOptions(), nullptr);
  SequenceEvent event = Event("a", 1);
  event.prompt_logprobs = std::make_unique<Logprobs>();
  for (const uint32_t place : {1, 2, 3}) {
    event.prompt_logprobs->add_prompt(-0.5f * place);
    for (const uint32_t rank : {0, 1}) {
      event.prompt_logprobs->add_prompt_top_token(10 * place + rank);
      event.prompt_logprobs->add_prompt_top_logprob(-1.0f * rank);
    }
  }
  const TokenDelta delta = output.Process(event, 1);
  EXPECT_THAT(delta.prompt_logprobs().logprobs(), testing::ElementsAre(-0.5f, -1.0f, -1.5f));
  ASSERT_EQ(delta.prompt_logprobs().top_logprobs_size(), 3);
  EXPECT_THAT(delta.prompt_logprobs().top_logprobs(2).token_ids(), testing::ElementsAre(30, 31));
  EXPECT_THAT(delta.prompt_logprobs().top_logprobs(2).logprobs(), testing::ElementsAre(0, -1));
  EXPECT_FALSE(output.Process(Event("b", 2), 2).has_prompt_logprobs());
}

TEST(OutputProcessorWithoutTextTest, TopLogprobsOfEachToken) {
  OutputProcessor output(OutputOptions(), nullptr);
  SequenceEvent event = Event("ab", 2);
  for (const uint32_t token : event.tokens) {
    Logprobs& logprobs = event.logprobs.emplace_back();
    logprobs.set_sampled(-0.5f);
    logprobs.add_top_token(token);
    logprobs.add_top_token(3);
    logprobs.add_top_logprob(-0.5f);
    logprobs.add_top_logprob(-2.0f);
  }
  const TokenDelta delta = output.Process(event, 1);
  ASSERT_EQ(delta.top_logprobs_size(), 2);
  EXPECT_THAT(delta.top_logprobs(1).token_ids(), testing::ElementsAre('b', 3));
  EXPECT_THAT(delta.top_logprobs(1).logprobs(), testing::ElementsAre(-0.5f, -2.0f));
}

}  // namespace
}  // namespace regatta
