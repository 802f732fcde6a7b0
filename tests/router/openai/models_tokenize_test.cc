// The smaller endpoints: models, tokenize, detokenize; and the error object by itself.
#include <gmock/gmock.h>

#include <cmath>

#include "router/openai/answer_limits.h"
#include "router/openai/error.h"
#include "router/openai/json_text.h"
#include "tests/router/openai/api_fixture.h"

namespace regatta {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class EndpointsTest : public ApiFixture {};

TEST_F(EndpointsTest, ModelsAreListed) {
  const json list = Send("GET", "/v1/models", "")->json();
  EXPECT_EQ(list["object"], "list");
  ASSERT_EQ(list["data"].size(), 2u);
  EXPECT_EQ(list["data"][0], json::parse(R"({"id":"tiny","object":"model","created":1234,
      "owned_by":"regatta","root":"tiny","parent":null,"max_model_len":100})"));
  EXPECT_EQ(list["data"][1]["id"], "alias/of-tiny");
}

TEST_F(EndpointsTest, AnUnknownLengthIsAbsent) {
  max_seq_len_ = 0;
  EXPECT_FALSE(Send("GET", "/v1/models", "")->json()["data"][0].contains("max_model_len"));
}

TEST_F(EndpointsTest, OneModelIsShownOr404) {
  EXPECT_EQ(Send("GET", "/v1/models/alias/of-tiny", "")->json()["id"], "alias/of-tiny");
  const auto unknown = Send("GET", "/v1/models/gpt-4", "");
  EXPECT_EQ(unknown->status(), 404u);
  EXPECT_EQ(unknown->error()["code"], "model_not_found");
  EXPECT_EQ(unknown->error()["param"], "model");
}

TEST_F(EndpointsTest, TextIsTokenized) {
  EXPECT_EQ(Post("/tokenize", {{"model", "tiny"}, {"prompt", "hello w"}})->json(),
            json::parse(R"({"count":3,"max_model_len":100,"tokens":[300,259,260],
                            "token_strs":null})"));
  EXPECT_EQ(
      Post("/tokenize",
           {{"prompt", "hello\u00e9"}, {"add_special_tokens", false}, {"return_token_strs", true}})
          ->json()["token_strs"],
      json({"hello", "\uFFFD", "\uFFFD"}));
  EXPECT_EQ(Post("/tokenize",
                 {{"prompt", ""}, {"add_special_tokens", false}, {"return_token_strs", true}})
                ->json()["token_strs"],
            json::array());
}

TEST_F(EndpointsTest, MessagesAreTokenizedAsAChatWouldBe) {
  const json messages = {{{"role", "user"}, {"content", "hello"}}};
  const json tools = {{{"type", "function"}, {"function", {{"name", "f"}}}}};
  const auto exchange = Post("/tokenize", {{"messages", messages}, {"tools", tools}});
  Chat({{"tools", tools}});
  EXPECT_EQ(exchange->json()["count"], LastRequest().token_ids().ids_size());
  EXPECT_EQ(exchange->json()["tokens"][0], '[');
  const auto hidden =
      Post("/tokenize", {{"messages", messages}, {"tools", tools}, {"tool_choice", "none"}});
  EXPECT_NE(hidden->json()["tokens"][0], '[');
}

TEST_F(EndpointsTest, TokensAreDetokenized) {
  EXPECT_EQ(Post("/detokenize", {{"tokens", {300, 259, 260}}})->body(),
            R"({"prompt":"<|bos|>hello w"})");
  EXPECT_EQ(Post("/detokenize", {{"tokens", json::array()}})->json()["prompt"], "");
  EXPECT_EQ(Post("/detokenize", {{"tokens", {303}}})->status(), 400u);
  EXPECT_EQ(Post("/detokenize", {{"tokens", {-1}}})->error()["param"], "tokens[0]");
  EXPECT_EQ(Post("/detokenize", json::object())->status(), 400u);
}

TEST_F(EndpointsTest, AnswersOfTokenizeAreLimited) {
  const auto tokenize = [this](size_t tokens) {  // each "x " two, as spaces are tokens here
    std::string text;
    while (text.size() + 2 <= tokens) text += "x ";
    text.resize(tokens, 'x');
    return Post("/tokenize", {{"prompt", text}, {"add_special_tokens", false}});
  };
  EXPECT_EQ(tokenize(kMaxTokenizedTokens - 1)->json()["count"], kMaxTokenizedTokens - 1);
  EXPECT_EQ(tokenize(kMaxTokenizedTokens)->json()["count"], kMaxTokenizedTokens);
  const auto refused = tokenize(kMaxTokenizedTokens + 1);
  EXPECT_EQ(refused->status(), 400u);
  EXPECT_EQ(refused->error()["message"], "prompt: 1048577 tokens are over the limit of 1048576");
  const json message = {{"role", "user"}, {"content", std::string(kMaxTokenizedTokens, 'x')}};
  EXPECT_EQ(Post("/tokenize", {{"messages", {message}}})->error()["param"], "messages");
}

TEST_F(EndpointsTest, AnswersOfDetokenizeAreLimited) {
  const auto detokenize = [this](size_t bytes) {  // tokens of five bytes, then of one
    std::vector<int> tokens(bytes / 5, 259);
    tokens.resize(tokens.size() + bytes % 5, 'x');
    return Post("/detokenize", {{"tokens", tokens}});
  };
  EXPECT_EQ(detokenize(kMaxDetokenizedBytes - 1)->status(), 200u);
  EXPECT_EQ(detokenize(kMaxDetokenizedBytes)->body().size(),
            kMaxDetokenizedBytes + std::string(R"({"prompt":""})").size());
  const auto refused = detokenize(kMaxDetokenizedBytes + 1);
  EXPECT_EQ(refused->status(), 400u);
  EXPECT_EQ(refused->error()["message"],
            "tokens: 16777217 bytes of text are over the limit of 16777216");
}

TEST_F(EndpointsTest, TokenizeRefusesWhatItDoesNotKnow) {
  EXPECT_EQ(Post("/tokenize", {{"model", "x"}, {"prompt", "a"}})->status(), 404u);
  EXPECT_EQ(Post("/tokenize", json::object())->status(), 400u);
  EXPECT_EQ(Post("/tokenize", {{"prompt", "a"}, {"messages", json::array()}})->status(), 400u);
  EXPECT_THAT(
      Post("/tokenize", {{"promt", "a"}, {"messages", {{{"role", "user"}, {"content", "x"}}}}})
          ->body(),
      HasSubstr("did you mean prompt?"));
  context_.tokenizer = nullptr;
  handlers_.clear();
  EXPECT_EQ(Post("/tokenize", {{"prompt", "a"}})->status(), 400u);
  EXPECT_EQ(Post("/detokenize", {{"tokens", {1}}})->status(), 400u);
}

TEST(ErrorTest, EveryKindHasItsStatus) {
  EXPECT_EQ(HttpStatusOf(absl::InvalidArgumentError("")), 400u);
  EXPECT_EQ(HttpStatusOf(absl::UnauthenticatedError("")), 401u);
  EXPECT_EQ(HttpStatusOf(absl::PermissionDeniedError("")), 403u);
  EXPECT_EQ(HttpStatusOf(absl::NotFoundError("")), 404u);
  EXPECT_EQ(HttpStatusOf(absl::ResourceExhaustedError("")), 429u);
  EXPECT_EQ(HttpStatusOf(absl::InternalError("")), 500u);
  EXPECT_EQ(HttpStatusOf(absl::UnimplementedError("")), 501u);
  EXPECT_EQ(HttpStatusOf(absl::UnavailableError("")), 503u);
  EXPECT_EQ(HttpStatusOf(absl::DeadlineExceededError("")), 503u);
}

TEST(ErrorTest, TheObjectNamesTheField) {
  const auto error = [](const absl::Status& status) {
    return json::parse(ErrorJson(status))["error"];
  };
  EXPECT_EQ(error(absl::InvalidArgumentError("sampling.top_p: 3 is \"bad\"")),
            json::parse(R"({"message":"top_p: 3 is \"bad\"",
                "type":"invalid_request_error","param":"top_p","code":null})"));
  EXPECT_EQ(error(absl::InvalidArgumentError("no field here: x"))["param"], nullptr);
  EXPECT_EQ(error(absl::InvalidArgumentError(": x"))["param"], nullptr);
  EXPECT_EQ(error(absl::UnauthenticatedError("key"))["code"], "invalid_api_key");
  EXPECT_EQ(error(WithApiCode(absl::NotFoundError("x"), "c"))["code"], "c");
  // Cut within a character: still JSON.
  EXPECT_EQ(error(absl::InvalidArgumentError("\xE2\x82"))["message"], "\uFFFD");
}

class ErrorReplyTest : public ApiFixture {
 protected:
  // The answer to a request that fails with `status`, of x-request-id "r-1".
  std::shared_ptr<FakeExchange> Fails(const absl::Status& status) {
    HttpRequest request;
    request.path = "/v1/x";
    request.id = "r-1";
    const auto exchange = std::make_shared<FakeExchange>(std::move(request));
    ReplyError(*exchange, status, context_);
    return exchange;
  }
};

TEST_F(ErrorReplyTest, RetryAfterIsWholeSecondsWithinBounds) {
  const auto header = [this](const absl::Status& status, double seconds) {
    context_.retry_after_s = [seconds] { return seconds; };
    return Fails(status)->header("retry-after");
  };
  const absl::Status full = absl::ResourceExhaustedError("x");
  EXPECT_EQ(header(full, 0), "1");
  EXPECT_EQ(header(full, 1.01), "2");
  EXPECT_EQ(header(full, 1e9), "600");
  EXPECT_EQ(header(full, NAN), "1");
  EXPECT_EQ(header(absl::UnavailableError("x"), 3), "3");
  EXPECT_EQ(header(absl::InvalidArgumentError("x"), 3), "");
  context_.retry_after_s = nullptr;
  EXPECT_EQ(Fails(full)->header("retry-after"), "1");
}

TEST_F(ErrorReplyTest, WhatTheClientIsNotToldIsLogged) {
  std::vector<std::string> lines;
  context_.log = [&lines](const std::string& line) { lines.push_back(line); };
  Fails(absl::UnavailableError("10.0.0.1 is away"));
  EXPECT_THAT(lines, testing::IsEmpty());
  EXPECT_THAT(Fails(absl::InternalError("/a/path"))->body(), testing::Not(HasSubstr("/a/path")));
  EXPECT_THAT(lines, testing::ElementsAre("/v1/x failed, x-request-id r-1: INTERNAL: /a/path"));
}

TEST(JsonTextTest, TextIsEscapedAsJsonWants) {
  std::string every;
  for (int c = 0; c < 0x80; ++c) every.push_back(static_cast<char>(c));
  every += "é€😀\u2028";
  std::string out;
  AppendJsonString(every, out);
  EXPECT_EQ(out, json(every).dump());
}

TEST(JsonTextTest, FloatsReadBack) {
  for (const float value : {0.0f, -0.5f, -1e-30f, -12.345679f, 3e38f, -1.0f}) {
    std::string out;
    AppendJsonFloat(value, out);
    EXPECT_EQ(json::parse(out).get<float>(), value) << out;
  }
  std::string out;
  AppendJsonFloat(-INFINITY, out);
  EXPECT_EQ(out, "-9999.0");
}

}  // namespace
}  // namespace regatta
