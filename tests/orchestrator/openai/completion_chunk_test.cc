// Events and errors of vLLM, SGLang, TensorRT-LLM and OpenAI's own API, and what is none.
#include "orchestrator/openai/completion_chunk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nlohmann/json.hpp"
#include "orchestrator/openai/request_body.h"

namespace regatta {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

CompletionChunk Parse(const std::string& text) {
  const auto chunk = ParseCompletionChunk(text);
  EXPECT_TRUE(chunk.ok()) << chunk.status();
  return chunk.ok() ? *chunk : CompletionChunk();
}

TEST(CompletionChunkTest, TextOfEveryEndpoint) {
  EXPECT_EQ(Parse(R"({"choices":[{"text":"a"}]})").text, "a");
  EXPECT_EQ(Parse(R"({"choices":[{"delta":{"role":"assistant","content":"b"}}]})").text, "b");
  EXPECT_EQ(Parse(R"({"choices":[{"delta":{"reasoning_content":"c","content":null}}]})").text, "c");
  EXPECT_EQ(Parse(R"({"choices":[{"message":{"content":"whole"}}]})").text, "whole");
  EXPECT_EQ(Parse(R"({"choices":[{"delta":{}}]})").text, "");
}

TEST(CompletionChunkTest, EndAndUsage) {
  const auto finish = [](const std::string& reason) {
    return Parse(R"({"choices":[{"text":"","finish_reason":)" + reason + "}]}").finish;
  };
  EXPECT_EQ(finish("null"), FINISH_REASON_NONE);
  EXPECT_EQ(finish(R"("stop")"), FINISH_REASON_STOP);
  EXPECT_EQ(finish(R"("length")"), FINISH_REASON_LENGTH);
  EXPECT_EQ(finish(R"("tool_calls")"), FINISH_REASON_STOP);
  EXPECT_EQ(finish(R"("abort")"), FINISH_REASON_CANCELLED);
  const CompletionChunk last = Parse(
      R"({"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,
          "prompt_tokens_details":{"cached_tokens":2}}})");
  ASSERT_TRUE(last.usage.has_value());
  EXPECT_EQ(last.usage->prompt_tokens(), 7u);
  EXPECT_EQ(last.usage->output_tokens(), 3u);
  EXPECT_EQ(last.usage->cached_tokens(), 2u);
  EXPECT_FALSE(Parse(R"({"choices":[],"usage":null})").usage.has_value());
}

TEST(CompletionChunkTest, WhatIsNoEventIsQuoted) {
  for (const char* text : {"", "[]", "{", "7", "{}", R"({"choices":7})"}) {
    const auto chunk = ParseCompletionChunk(text);
    EXPECT_EQ(chunk.status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_THAT(std::string(ParseCompletionChunk("oops").status().message()), HasSubstr("oops"));
  const auto error = ParseCompletionChunk(R"({"error":{"message":"out of memory","code":500}})");
  EXPECT_THAT(std::string(error.status().message()), HasSubstr("out of memory"));
}

TEST(CompletionChunkTest, NoErrorIsNoError) {
  EXPECT_EQ(Parse(R"({"error":null,"choices":[{"text":"a"}]})").text, "a");
  EXPECT_EQ(ParseCompletionChunk(R"({"error":"busy"})").status().message(), "busy");
}

TEST(CompletionChunkTest, CountsAreNeverCutOff) {
  const auto usage =
      Parse(R"({"choices":[],"usage":{"completion_tokens":18446744073709551615}})").usage;
  ASSERT_TRUE(usage.has_value());
  EXPECT_EQ(usage->output_tokens(), 4294967295u);
}

TEST(CompletionChunkTest, AnswersOfErrorsSayWhatTheServerSaid) {
  const auto full = StatusOfAnswer(429, R"({"error":{"message":"queue is full"}})");
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(std::string(full.message()), "HTTP 429: queue is full");
  EXPECT_EQ(StatusOfAnswer(400, R"({"object":"error","message":"no"})").message(), "HTTP 400: no");
  EXPECT_EQ(StatusOfAnswer(404, R"({"detail":"Not Found"})").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(StatusOfAnswer(503, "<html>").message(), "HTTP 503: <html>");
  EXPECT_EQ(StatusOfAnswer(500, "").code(), absl::StatusCode::kInternal);
}

TEST(RequestBodyTest, WhatIsSetIsSaid) {
  GenerateRequest request;
  for (const uint32_t id : {5u, 6u}) request.mutable_token_ids()->add_ids(id);
  request.set_max_tokens(9);
  request.set_ignore_eos(true);
  request.add_stop_token_ids(2);
  const auto body = RequestBody(request, {Endpoint::kCompletions, "m", true});
  ASSERT_TRUE(body.ok());
  EXPECT_EQ(json::parse(*body), json::parse(R"({"model":"m","stream":true,"temperature":0.0,
      "stream_options":{"include_usage":true,"continuous_usage_stats":true},"prompt":[5,6],
      "max_tokens":9,"ignore_eos":true,"stop_token_ids":[2]})"));
  EXPECT_THAT(std::string(RequestBody(request, {Endpoint::kChat, "m", true}).status().message()),
              HasSubstr("--endpoint completions"));
  GenerateRequest chat;
  chat.set_text("hi");
  EXPECT_EQ(json::parse(*RequestBody(chat, {Endpoint::kChat, "m", false})),
            json::parse(R"({"model":"m","stream":true,"temperature":0.0,
      "stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]})"));
}

TEST(RequestBodyTest, UrlsMayHaveTheirVersion) {
  for (const char* url : {"http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"}) {
    EXPECT_EQ(ApiPath(*ParseHttpUrl(url), "/models"), "/v1/models") << url;
  }
  EXPECT_EQ(ApiPath(*ParseHttpUrl("http://h/proxy/v1"), "/models"), "/proxy/v1/models");
}

}  // namespace
}  // namespace regatta
