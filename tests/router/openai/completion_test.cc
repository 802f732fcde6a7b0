// /v1/completions from request to answer: prompts of all shapes, echo and log-probabilities as
// evaluation harnesses read them, streams.
#include <gmock/gmock.h>

#include "router/openai/answer_limits.h"
#include "router/openai/completion_request.h"
#include "router/openai/sampling_fields.h"
#include "tests/router/openai/api_fixture.h"

namespace regatta {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class CompletionTest : public ApiFixture {
 protected:
  std::vector<uint32_t> PromptOf(size_t index) {
    const GenerateRequest request = sink_.at(index).request;
    return {request.token_ids().ids().begin(), request.token_ids().ids().end()};
  }
  std::string ErrorOf(const json& changes) {
    const auto exchange = Complete(changes);
    EXPECT_EQ(exchange->status(), 400u) << changes;
    return exchange->status() == 400 ? exchange->error()["message"].get<std::string>() : "";
  }
};

TEST_F(CompletionTest, WholeAnswerIsTheOpenAiObject) {
  const auto exchange = Complete();
  EXPECT_THAT(PromptOf(0), ElementsAre(300, 259));  // As the tokenizer says: with <|bos|>.
  EXPECT_EQ(LastRequest().max_tokens(), 16u);
  Push(*exchange, 0, MakeDelta(" wor", {1, 2}));
  Push(*exchange, 0, LastDelta("ld", {3}, FINISH_REASON_LENGTH, 1));
  json answer = exchange->json();
  EXPECT_THAT(answer["id"].get<std::string>(), StartsWith("cmpl-"));
  answer.erase("id");
  answer.erase("created");
  EXPECT_EQ(answer, json::parse(R"({"object":"text_completion","model":"tiny",
      "system_fingerprint":"fp_test",
      "choices":[{"index":0,"text":" world","logprobs":null,"finish_reason":"length"}],
      "usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5,
               "prompt_tokens_details":{"cached_tokens":1}}})"));
}

TEST_F(CompletionTest, StreamsHaveAChunkForEveryToken) {
  const auto exchange = Complete({{"stream", true}, {"stream_options", {{"include_usage", true}}}});
  Push(*exchange, 0, MakeDelta("a", {1}));
  Push(*exchange, 0, MakeDelta("", {1}));
  Push(*exchange, 0, LastDelta("b", {2}));
  const std::vector<json> chunks = exchange->chunks();
  ASSERT_EQ(chunks.size(), 4u);
  EXPECT_EQ(chunks[0]["choices"], json::parse(R"([{"index":0,"text":"a","logprobs":null,
      "finish_reason":null}])"));
  EXPECT_EQ(chunks[0]["object"], "text_completion");
  EXPECT_EQ(chunks[1]["choices"][0]["text"], "") << "half a character";
  EXPECT_EQ(chunks[2]["choices"][0]["text"], "b");
  EXPECT_EQ(chunks[2]["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(chunks[3]["choices"], json::array());
  EXPECT_EQ(chunks[3]["usage"]["completion_tokens"], 3);
}

TEST_F(CompletionTest, PromptsHaveFourShapes) {
  Complete({{"prompt", {5, 6}}});
  EXPECT_THAT(PromptOf(0), ElementsAre(5, 6));
  Complete({{"prompt", {"he", "ll"}}});
  EXPECT_THAT(PromptOf(1), ElementsAre(300, 256));
  EXPECT_THAT(PromptOf(2), ElementsAre(300, 257));
  Complete({{"prompt", {{5}, {6, 7}}}});
  EXPECT_THAT(PromptOf(3), ElementsAre(5));
  EXPECT_THAT(PromptOf(4), ElementsAre(6, 7));
  Complete({{"prompt", "he<|eos|>"}, {"add_special_tokens", false}});
  EXPECT_THAT(PromptOf(5), ElementsAre(256, 301));
}

TEST_F(CompletionTest, WrongPromptsAreNamed) {
  EXPECT_THAT(ErrorOf({{"prompt", nullptr}}), HasSubstr("prompt: is missing"));
  EXPECT_THAT(ErrorOf({{"prompt", json::array()}}), HasSubstr("prompt: has no tokens"));
  EXPECT_THAT(ErrorOf({{"prompt", {json::array()}}}), HasSubstr("prompt[0]: has no tokens"));
  EXPECT_THAT(ErrorOf({{"prompt", {1, "a"}}}), HasSubstr("prompt[1]: is \"a\""));
  EXPECT_THAT(ErrorOf({{"prompt", {"a", 1}}}), HasSubstr("prompt[1]: is 1"));
  EXPECT_THAT(ErrorOf({{"prompt", {{1}, {{2}}}}}), HasSubstr("prompt[1][0]: is an array of 1"));
  EXPECT_THAT(ErrorOf({{"prompt", {302, 303}}}),
              HasSubstr("prompt[1]: is 303; expected a token id of 0 to 302"));
  EXPECT_THAT(ErrorOf({{"prompt", {-1}}}), HasSubstr("prompt[0]: is -1"));
  EXPECT_THAT(ErrorOf({{"prompt", {9223372036854775808u}}}), HasSubstr("9223372036854775808"));
  EXPECT_THAT(ErrorOf({{"prompt", {1.5}}}), HasSubstr("prompt[0]: is 1.5"));
  EXPECT_THAT(ErrorOf({{"prompt", json::array({json::array({"a", 1})})}}),
              HasSubstr("prompt[0][0]: is \"a\""));
  EXPECT_THAT(ErrorOf({{"prompt", true}}), HasSubstr("prompt: is true"));
  EXPECT_THAT(ErrorOf({{"prompt", {true}}}), HasSubstr("prompt[0]: is true"));
  EXPECT_EQ(sink_.size(), 0u);
}

TEST_F(CompletionTest, PromptsTimesChoicesAreLimited) {
  const auto prompts = [](size_t count) { return json(std::vector<std::string>(count, "x")); };
  EXPECT_EQ(Complete({{"prompt", prompts(kMaxPrompts / 64)}, {"n", 64}})->status(), 0u);
  EXPECT_EQ(sink_.size(), kMaxPrompts);
  EXPECT_THAT(ErrorOf({{"prompt", prompts(kMaxPrompts / 64 + 1)}, {"n", 64}}),
              HasSubstr("17 prompts times n 64 are over the limit of 1024"));
  EXPECT_EQ(Complete({{"prompt", prompts(kMaxPrompts - 1)}})->status(), 0u);
  EXPECT_THAT(ErrorOf({{"prompt", prompts(kMaxPrompts + 1)}}), HasSubstr("1025 prompts"));
}

TEST_F(CompletionTest, ChoicesOfManyPromptsAreNumberedByPrompt) {
  const auto exchange =
      Complete({{"prompt", {{5}, {6, 7}}}, {"n", 2}, {"seed", 3}, {"echo", true}});
  ASSERT_EQ(sink_.size(), 4u);
  EXPECT_EQ(sink_.at(3).request.sampling().seed(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    Push(*exchange, i, LastDelta(std::string(1, 'a' + i), {1}, FINISH_REASON_STOP, i + 1));
  }
  const json answer = exchange->json();
  EXPECT_EQ(answer["choices"][0]["text"],
            "\x05"
            "a");
  EXPECT_EQ(answer["choices"][3]["text"],
            "\x06\x07"
            "d");
  EXPECT_EQ(answer["choices"][3]["index"], 3);
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 3);
  EXPECT_EQ(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 1 + 3);
}

PromptLogprobs LogprobsOfPrompt() {
  PromptLogprobs logprobs;
  for (const auto& [top, value] : {std::pair{256u, -1.0f}, {257u, -2.0f}}) {
    logprobs.add_logprobs(value);
    TopLogprobs& row = *logprobs.add_top_logprobs();
    row.add_token_ids(top);
    row.add_logprobs(-0.5f);
  }
  return logprobs;
}

// As lm-eval asks: log-likelihood of a prompt, with one token that it throws away.
TEST_F(CompletionTest, EchoWithLogprobsHasTheColumnsOfThePrompt) {
  const auto exchange = Complete({{"prompt", {300, 256, 0xC3}},
                                  {"echo", true},
                                  {"max_tokens", 1},
                                  {"logprobs", 1},
                                  {"temperature", 0}});
  EXPECT_TRUE(LastRequest().prompt_logprobs());
  EXPECT_EQ(LastRequest().sampling().top_logprobs(), 1u);
  TokenDelta delta = LastDelta("!", {'!'}, FINISH_REASON_LENGTH);
  *delta.mutable_prompt_logprobs() = LogprobsOfPrompt();
  delta.add_logprobs(-0.25f);
  delta.add_top_logprobs()->add_token_ids('!');
  delta.mutable_top_logprobs(0)->add_logprobs(-0.25f);
  Push(*exchange, 0, delta);
  const json choice = exchange->json()["choices"][0];
  EXPECT_EQ(choice["logprobs"], json::parse(R"({
      "tokens":["<|bos|>","he","bytes:\\xc3","!"],
      "token_logprobs":[null,-1.0,-2.0,-0.25],
      "top_logprobs":[null,{"he":-0.5},{"ll":-0.5,"bytes:\\xc3":-2.0},{"!":-0.25}],
      "text_offset":[0,0,2,3]})"));
  EXPECT_EQ(choice["text"], "he\uFFFD!");
}

// A delta of one token and its log-probability.
TokenDelta OneToken(const std::string& text, uint32_t id,
                    FinishReason reason = FINISH_REASON_NONE) {
  TokenDelta delta = MakeDelta(text, {id}, reason);
  delta.add_logprobs(-1);
  return delta;
}

TEST_F(CompletionTest, OffsetsCountTheCharactersThatAreShown) {
  // Special tokens are hidden in the output, and shown where the prompt writes them.
  const auto special = Complete({{"prompt", "he<|eos|>ll"}, {"echo", true}, {"logprobs", 0}});
  EXPECT_THAT(PromptOf(0), ElementsAre(300, 256, 301, 257));
  Push(*special, 0, OneToken("he", 256));
  Push(*special, 0, OneToken("", 300));
  Push(*special, 0, OneToken("ll", 257, FINISH_REASON_LENGTH));
  json choice = special->json()["choices"][0];
  EXPECT_EQ(choice["text"], "he<|eos|>llhell");
  EXPECT_EQ(choice["logprobs"]["text_offset"], json({0, 0, 2, 9, 11, 13, 13}));
  // In a prompt of tokens they are hidden too; half characters end with the prompt.
  const auto ids = Complete({{"prompt", {256, 301, 257, 0xC3}}, {"echo", true}, {"logprobs", 0}});
  Push(*ids, 1, OneToken("\uFFFD", 0xA9));
  Push(*ids, 1, OneToken("", 0xE2));
  Push(*ids, 1, OneToken("\uFFFDx", 'x', FINISH_REASON_LENGTH));
  choice = ids->json()["choices"][0];
  EXPECT_EQ(choice["text"], "hell\uFFFD\uFFFD\uFFFDx");
  EXPECT_EQ(choice["logprobs"]["text_offset"], json({0, 2, 2, 4, 5, 6, 7}));
}

TEST_F(CompletionTest, EchoedTextIsThatOfItsTokens) {
  const auto echoed = [this](const std::string& style, const std::string& prompt) {
    const auto tokenizer =
        *Tokenizer::Load(REGATTA_SOURCE_DIR "/tests/common/text/fixtures/" + style + ".json");
    handlers_.clear();
    context_.tokenizer = tokenizer.get();
    model_.vocab_size = tokenizer->vocab_size();
    const auto exchange =
        Complete({{"prompt", prompt}, {"echo", true}, {"logprobs", 0}, {"max_tokens", 0}});
    Push(*exchange, sink_.size() - 1, OneToken("", 0, FINISH_REASON_LENGTH));
    return exchange->json()["choices"][0];
  };
  // A dropped space stays.
  const json dropped = echoed("metaspace_always", " the the");
  EXPECT_EQ(dropped["text"], " the the");
  EXPECT_EQ(dropped["logprobs"]["text_offset"].size(), 3u);
  EXPECT_EQ(dropped["logprobs"]["text_offset"], json({0, 0, 4}));
  // So it does where it is a token of its own.
  const json apart = echoed("mistral_style", " 7");
  EXPECT_EQ(apart["text"], " 7");
  EXPECT_EQ(apart["logprobs"]["tokens"], json({"<s>", " ", "7"}));
  EXPECT_EQ(apart["logprobs"]["text_offset"], json({0, 0, 1}));
  // Composed characters are shown composed.
  const json composed = echoed("qwen2_style", "e\u0301\u0020!");
  EXPECT_EQ(composed["text"], "\u00E9 !");
  EXPECT_EQ(composed["logprobs"]["text_offset"].back(), json(1));
}

TEST_F(CompletionTest, OutputGoesOnWithTheTextOfThePrompt) {
  Complete({{"prompt", {"he", ""}}});
  EXPECT_TRUE(sink_.at(0).request.continue_text());
  EXPECT_FALSE(sink_.at(1).request.continue_text());  // Only <|bos|>, which is hidden.
  Complete({{"prompt", ""}, {"skip_special_tokens", false}});
  EXPECT_TRUE(LastRequest().continue_text());
  Chat();
  EXPECT_FALSE(LastRequest().continue_text());
}

TEST_F(CompletionTest, OffsetsThatAreNotCertainAreAwaited) {
  const auto tokenizer =
      *Tokenizer::Load(REGATTA_SOURCE_DIR "/tests/common/text/fixtures/llama2_style.json");
  context_.tokenizer = tokenizer.get();
  model_.vocab_size = tokenizer->vocab_size();
  const auto exchange = Complete({{"logprobs", 0}, {"stream", true}});
  const auto id = [&](const char* token) { return *tokenizer->TokenId(token); };
  Push(*exchange, 0, OneToken("", id("<0xE2>")));
  Push(*exchange, 0, OneToken("", id("<0x82>")));
  Push(*exchange, 0, OneToken("\uFFFD\uFFFD the", id("\u2581the")));
  Push(*exchange, 0, OneToken("", id("<0xE2>")));
  Push(*exchange, 0, LastDelta("\uFFFD", {}, FINISH_REASON_LENGTH));
  const std::vector<json> chunks = exchange->chunks();
  ASSERT_EQ(chunks.size(), 5u);
  for (const size_t i : {0, 1, 3}) EXPECT_EQ(chunks[i]["choices"][0]["logprobs"], nullptr);
  const json run = chunks[2]["choices"][0]["logprobs"];
  EXPECT_EQ(run["tokens"], json({"bytes:\\xe2", "bytes:\\x82", " the"}));
  EXPECT_EQ(run["text_offset"], json({0, 1, 2}));
  EXPECT_EQ(chunks[4]["choices"][0]["logprobs"]["text_offset"], json({6}));
}

TEST_F(CompletionTest, VolumeOfLogprobsIsLimited) {
  max_seq_len_ = 1 << 30;
  const auto prompt = [](size_t tokens) { return json(std::vector<int>(tokens, 5)); };
  const size_t most = kMaxEchoedLogprobs / 8;
  const json echo = {{"echo", true}, {"logprobs", 7}, {"max_tokens", 1}, {"stream", true}};
  json changes = echo;
  changes["prompt"] = prompt(most);
  EXPECT_EQ(Complete(changes)->status(), 0u);
  changes["prompt"] = prompt(most + 1);
  EXPECT_THAT(ErrorOf(changes), HasSubstr("logprobs: 8 at each of 32769 tokens of a prompt"));
  const json whole = {{"logprobs", 0}, {"n", 2}};
  changes = whole;
  changes["max_tokens"] = kMaxWholeLogprobs / 2;
  EXPECT_EQ(Complete(changes)->status(), 0u);
  changes["max_tokens"] = kMaxWholeLogprobs / 2 + 1;
  EXPECT_THAT(ErrorOf(changes), HasSubstr("set max_tokens, or stream"));
  changes["stream"] = true;
  EXPECT_EQ(Complete(changes)->status(), 0u);
  EXPECT_EQ(Chat({{"logprobs", true}})->status(), 400u);  // Up to a context of 2^30 tokens.
  EXPECT_EQ(Chat({{"logprobs", true}, {"max_tokens", 9}})->status(), 0u);
}

TEST_F(CompletionTest, TokensOfAllChoicesAreLimited) {
  max_seq_len_ = 1 << 30;
  const size_t most = kMaxRequestTokens / 64;  // of one of 64 choices
  const auto status = [&](size_t prompt, size_t output, bool stream) {
    const auto exchange = Complete({{"prompt", std::vector<int>(prompt, 5)},
                                    {"n", 64},
                                    {"max_tokens", output},
                                    {"stream", stream}});
    return exchange->status();
  };
  EXPECT_EQ(status(9, most - 10, false), 0u);
  EXPECT_EQ(status(9, most - 9, false), 0u);
  EXPECT_EQ(status(9, most - 8, false), 400u);
  EXPECT_EQ(status(9, most - 8, true), 0u) << "a stream's output goes as it comes";
  EXPECT_EQ(status(most - 1, 9, true), 0u);
  EXPECT_EQ(status(most, 9, true), 0u);
  EXPECT_EQ(status(most + 1, 9, true), 400u);
  const json prompt = std::vector<int>(most / 2 + 1, 5);
  EXPECT_THAT(ErrorOf({{"prompt", {prompt, prompt}}, {"n", 64}, {"stream", true}}),
              HasSubstr("n: all choices together have up to 8388736 tokens, their prompts "
                        "included; at most 8388608"));
}

TEST_F(CompletionTest, EchoedBytesAreLimited) {
  max_seq_len_ = 1 << 30;
  const size_t most = kMaxEchoedBytes / 64;  // of one of 64 choices
  const auto echo = [&](const json& prompt) {
    return json{{"prompt", prompt}, {"n", 64}, {"echo", true}, {"stream", true}};
  };
  const auto text = [](size_t bytes) {
    std::string hello;
    while (hello.size() + 5 <= bytes) hello += "hello";
    return json(hello + std::string(bytes - hello.size(), 'x'));
  };
  EXPECT_EQ(Complete(echo(text(most - 1)))->status(), 0u);
  EXPECT_EQ(Complete(echo(text(most)))->status(), 0u);
  EXPECT_THAT(ErrorOf(echo(text(most + 1))),
              HasSubstr("echo: 16777280 bytes of all choices' prompts are over the limit of "));
  EXPECT_THAT(ErrorOf(echo({text(most - 1), "xx"})), HasSubstr("echo: 16777280 bytes"));
  // "hello" is one token of five bytes.
  EXPECT_EQ(Complete(echo(std::vector<int>(most / 5, 259)))->status(), 0u);
  EXPECT_THAT(ErrorOf(echo(std::vector<int>(most / 5 + 1, 259))), HasSubstr("echo: 16777"));
}

TEST_F(CompletionTest, SchemasOfAllChoicesAreLimited) {
  const auto status = [&](size_t schema_bytes, size_t prompts) {
    json schema = {{"description", ""}};
    schema["description"] = std::string(schema_bytes - schema.dump().size(), 'x');
    return Complete({{"prompt", std::vector<std::string>(prompts, "x")},
                     {"response_format",
                      {{"type", "json_schema"},
                       {"json_schema", {{"name", "s"}, {"schema", std::move(schema)}}}}}})
        ->status();
  };
  const size_t bytes = kMaxSchemasBytes / 512;
  EXPECT_EQ(status(bytes - 1, 512), 0u);
  EXPECT_EQ(LastRequest().constraint().json_schema().size(), bytes - 1);
  EXPECT_EQ(status(bytes, 512), 0u);
  EXPECT_EQ(status(bytes + 1, 512), 400u);
  EXPECT_EQ(status(bytes, 513), 400u);
}

TEST_F(CompletionTest, MaxTokensZeroDropsTheOutput) {
  for (const bool stream : {false, true}) {
    const auto exchange = Complete({{"prompt", {300, 256, 257}},
                                    {"echo", true},
                                    {"max_tokens", 0},
                                    {"logprobs", 0},
                                    {"stream", stream}});
    const size_t index = sink_.size() - 1;
    EXPECT_EQ(LastRequest().max_tokens(), 1u);
    EXPECT_EQ(LastRequest().sampling().top_logprobs(), 0u);
    TokenDelta delta = LastDelta("?", {'?'});
    delta.mutable_prompt_logprobs()->add_logprobs(-1);
    delta.mutable_prompt_logprobs()->add_logprobs(-2);
    delta.add_logprobs(-3);
    Push(*exchange, index, delta);
    const json answer = stream ? exchange->chunks()[0] : exchange->json();
    const json choice = answer["choices"][0];
    EXPECT_EQ(choice["text"], "hell");
    EXPECT_EQ(choice["finish_reason"], "length");
    EXPECT_EQ(choice["logprobs"]["token_logprobs"], json({nullptr, -1.0, -2.0}));
    EXPECT_EQ(choice["logprobs"]["top_logprobs"][1], json({{"he", -1.0}}));
    if (!stream) {
      EXPECT_EQ(answer["usage"]["completion_tokens"], 0);
    }
  }
}

TEST_F(CompletionTest, OutputLogprobsAreStreamedInStep) {
  const auto exchange = Complete({{"logprobs", 0}, {"stream", true}});
  EXPECT_FALSE(LastRequest().prompt_logprobs());
  for (const auto& [text, id] : {std::pair{"", 0xC3u}, {"é", 0xA9u}, {"a", uint32_t{'a'}}}) {
    TokenDelta delta = MakeDelta(text, {id}, id == 'a' ? FINISH_REASON_STOP : FINISH_REASON_NONE);
    delta.add_logprobs(-1);
    Push(*exchange, 0, delta);
  }
  const std::vector<json> chunks = exchange->chunks();
  ASSERT_EQ(chunks.size(), 3u);
  EXPECT_EQ(chunks[0]["choices"][0]["text"], "");
  EXPECT_EQ(chunks[0]["choices"][0]["logprobs"]["tokens"], json({"bytes:\\xc3"}));
  EXPECT_EQ(chunks[1]["choices"][0]["logprobs"]["text_offset"], json({0}));
  EXPECT_EQ(chunks[2]["choices"][0]["logprobs"]["text_offset"], json({1}));
}

TEST_F(CompletionTest, TokenIdsAreReturnedOnRequest) {
  const auto exchange = Complete({{"return_token_ids", true}});
  Push(*exchange, 0, MakeDelta("a", {1, 2}));
  Push(*exchange, 0, LastDelta("b", {3}));
  EXPECT_EQ(exchange->json()["choices"][0]["token_ids"], json({1, 2, 3}));
  EXPECT_EQ(exchange->json()["choices"][0]["prompt_token_ids"], json({300, 259}));
}

TEST_F(CompletionTest, BestOfMustBeN) {
  EXPECT_EQ(Complete({{"best_of", 2}, {"n", 2}})->status(), 0u);
  EXPECT_EQ(Complete({{"best_of", 1}})->status(), 0u);
  EXPECT_THAT(ErrorOf({{"best_of", 2}}), HasSubstr("best_of: is 2; only n (1) is supported"));
}

TEST_F(CompletionTest, NoSuffixIsNoneOrEmpty) {
  EXPECT_EQ(Complete({{"suffix", nullptr}})->status(), 0u);
  EXPECT_EQ(Complete({{"suffix", ""}})->status(), 0u);
  EXPECT_THAT(ErrorOf({{"suffix", "x"}}), HasSubstr("suffix: is not supported"));
  EXPECT_THAT(ErrorOf({{"suffix", 1}}), HasSubstr("suffix: is 1; expected a string"));
}

TEST_F(CompletionTest, ModelsWithoutTokenizerWriteNoText) {
  context_.tokenizer = nullptr;
  EXPECT_THAT(ErrorOf({{"prompt", {1}}}), HasSubstr("no tokenizer.json"));
  EXPECT_EQ(Chat()->status(), 400u);
}

}  // namespace
}  // namespace regatta
