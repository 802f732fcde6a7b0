// /v1/chat/completions from request to answer: whole and streamed, several choices, log-
// probabilities, tools, failures.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>

#include "absl/strings/match.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "router/openai/answer_limits.h"
#include "tests/router/openai/api_fixture.h"

namespace regatta {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class ChatTest : public ApiFixture {
 protected:
  static json Tool(const std::string& name, const json& parameters = {{"type", "object"}}) {
    return {{"type", "function"}, {"function", {{"name", name}, {"parameters", parameters}}}};
  }
  std::string PromptText() {
    const GenerateRequest request = LastRequest();
    const auto& ids = request.token_ids().ids();
    return tokenizer_->Decode(std::vector<int32_t>(ids.begin(), ids.end()), false);
  }
};

TEST_F(ChatTest, WholeAnswerIsTheOpenAiObject) {
  const auto exchange = Chat({{"max_tokens", 5}, {"temperature", 0}});
  EXPECT_EQ(sink_.size(), 1u);
  const GenerateRequest request = LastRequest();
  EXPECT_EQ(request.request_id(), "req-1");
  EXPECT_EQ(request.max_tokens(), 5u);
  EXPECT_TRUE(request.return_text());
  EXPECT_FALSE(request.return_token_ids());
  EXPECT_EQ(PromptText(), "user:hello|assistant:");  // No <|bos|>: the template's business.
  const size_t prompt_tokens = request.token_ids().ids_size();
  Push(*exchange, 0, MakeDelta("say \"hi\"", {1, 2}));
  EXPECT_EQ(exchange->status(), 0u);
  Push(*exchange, 0, LastDelta("\n", {3}, FINISH_REASON_STOP, 4));
  ASSERT_EQ(exchange->status(), 200u);
  EXPECT_EQ(exchange->header("content-type"), "application/json");
  json answer = exchange->json();
  EXPECT_THAT(answer["id"].get<std::string>(), StartsWith("chatcmpl-"));
  EXPECT_GT(answer["created"], 1'600'000'000);
  answer.erase("id");
  answer.erase("created");
  EXPECT_EQ(answer, json::parse(R"({"object":"chat.completion","model":"tiny",
      "system_fingerprint":"fp_test","choices":[{"index":0,"message":{"role":"assistant",
      "content":"say \"hi\"\n","refusal":null},"logprobs":null,"finish_reason":"stop"}],
      "usage":{"prompt_tokens":)" +
                                std::to_string(prompt_tokens) +
                                R"(,"completion_tokens":3,"total_tokens":)" +
                                std::to_string(prompt_tokens + 3) +
                                R"(,"prompt_tokens_details":{"cached_tokens":4}}})"));
  EXPECT_FALSE(exchange->watched());
}

TEST_F(ChatTest, StreamBeginsWithTheRoleAndEndsWithUsage) {
  const auto exchange = Chat({{"stream", true}, {"stream_options", {{"include_usage", true}}}});
  EXPECT_EQ(exchange->status(), 0u);  // An early failure still has its HTTP status.
  Push(*exchange, 0, MakeDelta("a\"", {1}));
  EXPECT_TRUE(exchange->streaming());
  Push(*exchange, 0, MakeDelta("", {2}));  // Half a character: a token, and no text yet.
  Push(*exchange, 0, LastDelta("b", {3, 4}, FINISH_REASON_LENGTH, 2));
  ASSERT_TRUE(exchange->complete());
  const std::vector<json> chunks = exchange->chunks();
  ASSERT_EQ(chunks.size(), 6u);
  for (const json& chunk : chunks) {
    EXPECT_EQ(chunk["id"], chunks[0]["id"]);
    EXPECT_EQ(chunk["object"], "chat.completion.chunk");
    EXPECT_EQ(chunk["system_fingerprint"], "fp_test");
  }
  EXPECT_EQ(chunks[0]["choices"], json::parse(R"([{"index":0,"delta":{"role":"assistant",
      "content":""},"logprobs":null,"finish_reason":null}])"));
  EXPECT_EQ(chunks[1]["choices"], json::parse(R"([{"index":0,"delta":{"content":"a\""},
      "logprobs":null,"finish_reason":null}])"));
  EXPECT_EQ(chunks[2]["choices"][0]["delta"], json({{"content", ""}}));
  EXPECT_EQ(chunks[3]["choices"][0]["delta"], json({{"content", "b"}}));
  EXPECT_EQ(chunks[4]["choices"], json::parse(R"([{"index":0,"delta":{},"logprobs":null,
      "finish_reason":"length"}])"));
  EXPECT_EQ(chunks[4]["usage"], nullptr);
  EXPECT_TRUE(chunks[4].contains("usage"));
  EXPECT_EQ(chunks[5]["choices"], json::array());
  EXPECT_EQ(chunks[5]["usage"]["completion_tokens"], 4);
  EXPECT_EQ(chunks[5]["usage"]["prompt_tokens_details"]["cached_tokens"], 2);
}

TEST_F(ChatTest, WithoutAskingThereIsNoUsage) {
  const auto exchange = Chat({{"stream", true}, {"stream_options", nullptr}});
  Push(*exchange, 0, LastDelta("a", {1}));
  for (const json& chunk : exchange->chunks()) EXPECT_FALSE(chunk.contains("usage"));
}

TEST_F(ChatTest, ContinuousUsageIsInEveryChunk) {
  const auto exchange =
      Chat({{"stream", true},
            {"stream_options", {{"include_usage", true}, {"continuous_usage_stats", true}}}});
  Push(*exchange, 0, MakeDelta("a", {1}));
  Push(*exchange, 0, LastDelta("b", {2}));
  const std::vector<json> chunks = exchange->chunks();
  EXPECT_EQ(chunks[1]["usage"]["completion_tokens"], 1);
  EXPECT_EQ(chunks[2]["usage"]["completion_tokens"], 2);
}

TEST_F(ChatTest, OneStepIsOneWrite) {
  const auto exchange = Chat({{"stream", true}, {"n", 3}});
  for (size_t i = 0; i < 3; ++i) {
    const auto to = sink_.at(i);
    to.stream->Push(to.tag, MakeDelta("x", {1}));
  }
  sink_.at(0).stream->Flush();
  sink_.at(0).stream->Flush();
  EXPECT_EQ(exchange->posts(), 1);
  EXPECT_EQ(exchange->body(), "");  // Nothing is written on the cluster's thread.
  exchange->Run();
  EXPECT_EQ(exchange->sends(), 1);
  EXPECT_EQ(exchange->chunks(false).size(), 6u);
}

TEST_F(ChatTest, ChoicesHaveSeedsOfTheirOwnAndOnePrompt) {
  const auto exchange = Chat({{"n", 3}, {"seed", -1}});
  ASSERT_EQ(sink_.size(), 3u);
  EXPECT_EQ(sink_.at(0).request.sampling().seed(), UINT64_MAX);
  EXPECT_EQ(sink_.at(1).request.sampling().seed(), 0u);
  EXPECT_EQ(sink_.at(2).request.sampling().seed(), 1u);
  EXPECT_EQ(sink_.at(2).request.request_id(), "req-1-2");
  Push(*exchange, 2, LastDelta("c", {1}, FINISH_REASON_STOP, 9));
  Push(*exchange, 0, LastDelta("a", {1, 2}, FINISH_REASON_STOP, 3));
  EXPECT_EQ(exchange->status(), 0u);
  Push(*exchange, 1, LastDelta("b", {1}, FINISH_REASON_LENGTH, 9));
  const json answer = exchange->json();
  EXPECT_EQ(answer["choices"][0]["message"]["content"], "a");
  EXPECT_EQ(answer["choices"][1]["finish_reason"], "length");
  EXPECT_EQ(answer["choices"][2]["message"]["content"], "c");
  EXPECT_EQ(answer["choices"][2]["index"], 2);
  EXPECT_EQ(answer["usage"]["prompt_tokens"], sink_.at(0).request.token_ids().ids_size());
  EXPECT_EQ(answer["usage"]["completion_tokens"], 4);
  EXPECT_EQ(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 3);
}

TEST_F(ChatTest, WithoutSeedChoicesDiffer) {
  Chat({{"n", 2}});
  EXPECT_NE(sink_.at(0).request.sampling().seed(), sink_.at(1).request.sampling().seed());
  Chat();
  EXPECT_NE(sink_.at(0).request.sampling().seed(), sink_.at(2).request.sampling().seed());
}

TokenDelta WithLogprobs(TokenDelta delta) {
  for (int i = 0; i < delta.token_ids_size(); ++i) {
    delta.add_logprobs(-0.5f * (i + 1));
    TopLogprobs& top = *delta.add_top_logprobs();
    top.add_token_ids(259);
    top.add_logprobs(-0.25f);
    top.add_token_ids(0xC3);
    top.add_logprobs(-INFINITY);
  }
  return delta;
}

TEST_F(ChatTest, LogprobsNameTokensAndBytes) {
  const auto exchange = Chat({{"logprobs", true}, {"top_logprobs", 2}});
  EXPECT_TRUE(LastRequest().return_token_ids());
  EXPECT_EQ(LastRequest().sampling().top_logprobs(), 2u);
  Push(*exchange, 0, WithLogprobs(MakeDelta("h", {'h', 0xC3})));
  TokenDelta last = LastDelta("", {301});
  last.add_logprobs(-1);
  Push(*exchange, 0, last);
  EXPECT_EQ(exchange->json()["choices"][0]["logprobs"], json::parse(R"({"refusal":null,"content":[
      {"token":"h","logprob":-0.5,"bytes":[104],"top_logprobs":[
         {"token":"hello","logprob":-0.25,"bytes":[104,101,108,108,111]},
         {"token":"\ufffd","logprob":-9999.0,"bytes":[195]}]},
      {"token":"\ufffd","logprob":-1.0,"bytes":[195],"top_logprobs":[
         {"token":"hello","logprob":-0.25,"bytes":[104,101,108,108,111]},
         {"token":"\ufffd","logprob":-9999.0,"bytes":[195]}]},
      {"token":"<|eos|>","logprob":-1.0,"bytes":[60,124,101,111,115,124,62],"top_logprobs":[]}]})"));
}

TEST_F(ChatTest, StreamedLogprobsComeWithTheirTokens) {
  const auto exchange = Chat({{"stream", true}, {"logprobs", true}, {"return_token_ids", true}});
  TokenDelta held = MakeDelta("", {0xC3});
  held.add_logprobs(-1);
  Push(*exchange, 0, held);
  TokenDelta last = LastDelta("é", {0xA9});
  last.add_logprobs(-2);
  Push(*exchange, 0, last);
  const std::vector<json> chunks = exchange->chunks();
  ASSERT_EQ(chunks.size(), 4u);
  EXPECT_EQ(chunks[0]["prompt_token_ids"].size(), LastRequest().token_ids().ids_size());
  EXPECT_EQ(chunks[1]["choices"][0]["delta"]["content"], "");
  EXPECT_EQ(chunks[1]["choices"][0]["logprobs"]["content"][0]["logprob"], -1.0);
  EXPECT_EQ(chunks[1]["choices"][0]["token_ids"], json({0xC3}));
  EXPECT_EQ(chunks[2]["choices"][0]["delta"]["content"], "é");
  EXPECT_EQ(chunks[2]["choices"][0]["logprobs"]["content"][0]["logprob"], -2.0);
  EXPECT_EQ(chunks[3]["choices"][0]["logprobs"], nullptr);
}

TEST_F(ChatTest, ToolCallsAreStreamedAsTheyAreWritten) {
  const auto exchange = Chat({{"stream", true}, {"tools", {Tool("add"), Tool("get")}}});
  EXPECT_EQ(PromptText(), "[add][get]user:hello|assistant:");
  for (const char* text : {"Let me see.", "\n<tool_", "call>{\"name\": \"add\", \"argu",
                           "ments\": {\"a\":", " 1}}", "</tool_call>"}) {
    Push(*exchange, 0, MakeDelta(text, {1}));
  }
  Push(*exchange, 0, LastDelta("\n", {1}));
  std::vector<json> deltas;
  for (const json& chunk : exchange->chunks()) deltas.push_back(chunk["choices"][0]["delta"]);
  // Tokens that say nothing yet are events too.
  EXPECT_EQ(std::count(deltas.begin(), deltas.end() - 1, json::object()), 3);
  deltas.erase(std::remove(deltas.begin(), deltas.end(), json::object()), deltas.end());
  ASSERT_EQ(deltas.size(), 5u);
  EXPECT_EQ(deltas[1], json({{"content", "Let me see."}}));
  const json call = deltas[2]["tool_calls"][0];
  EXPECT_EQ(call["index"], 0);
  EXPECT_THAT(call["id"].get<std::string>(), StartsWith("call_"));
  EXPECT_EQ(call["type"], "function");
  EXPECT_EQ(call["function"], json({{"name", "add"}, {"arguments", ""}}));
  EXPECT_EQ(deltas[3],
            json::parse(R"({"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]})"));
  EXPECT_EQ(deltas[4]["tool_calls"][0]["function"]["arguments"], " 1}");
  EXPECT_EQ(exchange->chunks().back()["choices"][0]["finish_reason"], "tool_calls");
}

TEST_F(ChatTest, WholeAnswersHoldToolCalls) {
  const auto exchange = Chat({{"tools", {Tool("add")}}, {"tool_choice", "auto"}});
  Push(*exchange, 0,
       LastDelta("<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":1}}</tool_call>"
                 "<tool_call>{\"name\":\"add\",\"arguments\":{}}</tool_call>",
                 {1}));
  const json choice = exchange->json()["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  EXPECT_EQ(choice["message"]["content"], nullptr);
  ASSERT_EQ(choice["message"]["tool_calls"].size(), 2u);
  EXPECT_EQ(choice["message"]["tool_calls"][0]["function"],
            json({{"name", "add"}, {"arguments", "{\"a\":1}"}}));
  EXPECT_NE(choice["message"]["tool_calls"][0]["id"], choice["message"]["tool_calls"][1]["id"]);
}

TEST_F(ChatTest, ParallelCallsCanBeSwitchedOff) {
  const auto exchange = Chat({{"tools", {Tool("add")}}, {"parallel_tool_calls", false}});
  Push(*exchange, 0,
       LastDelta("<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":1}}</tool_call>"
                 "<tool_call>{\"name\":\"add\",\"arguments\":{}}</tool_call>",
                 {1}));
  EXPECT_EQ(exchange->json()["choices"][0]["message"]["tool_calls"].size(), 1u);
}

TEST_F(ChatTest, SpecialTagsOfCallsAreKept) {
  Chat({{"tools", {Tool("add")}}});
  EXPECT_TRUE(LastRequest().skip_special_tokens());
  handlers_.clear();
  json special = TinyTokenizerJson();
  special["added_tokens"].push_back(TinyAddedToken(303, "<tool_call>", /*special=*/true));
  const auto tokenizer = LoadTiny(special);
  context_.tokenizer = tokenizer.get();
  Chat({{"tools", {Tool("add")}}});
  EXPECT_FALSE(LastRequest().skip_special_tokens());
  Chat();
  EXPECT_TRUE(LastRequest().skip_special_tokens());
}

TEST_F(ChatTest, ToolChoiceNoneHidesTools) {
  const auto exchange = Chat({{"tools", {Tool("add")}}, {"tool_choice", "none"}});
  EXPECT_EQ(PromptText(), "user:hello|assistant:");
  const std::string text = "<tool_call>{\"name\":\"add\",\"arguments\":{}}</tool_call>";
  Push(*exchange, 0, LastDelta(text, {1}));
  EXPECT_EQ(exchange->json()["choices"][0]["message"]["content"], text);
}

TEST_F(ChatTest, NamedToolsAreForcedByTheirSchema) {
  const json schema = {{"type", "object"}, {"properties", {{"a", {{"type", "integer"}}}}}};
  const auto exchange =
      Chat({{"tools", {Tool("get"), Tool("add", schema)}},
            {"tool_choice", {{"type", "function"}, {"function", {{"name", "add"}}}}}});
  EXPECT_EQ(json::parse(LastRequest().constraint().json_schema()), schema);
  Push(*exchange, 0, MakeDelta("{\"a\"", {1}));
  Push(*exchange, 0, LastDelta(":1}", {1}));
  const json message = exchange->json()["choices"][0]["message"];
  EXPECT_EQ(message["tool_calls"][0]["function"],
            json({{"name", "add"}, {"arguments", "{\"a\":1}"}}));
  EXPECT_EQ(message["content"], nullptr);
}

TEST_F(ChatTest, ReferencesStayWithinTheParametersOfTheirTool) {
  const json tree = json::parse(R"({"type":"object","definitions":{"A":{"type":"integer"}},
      "properties":{"self":{"$ref":"#"},"a":{"anyOf":[{"$ref":"#/definitions/A"}]},
                    "const":{"$ref":"#/definitions/A"},"$ref":{"type":"string"},
                    "fixed":{"const":{"$ref":"#"}},"elsewhere":{"$ref":"x.json"}}})");
  Chat({{"tools", {Tool("get"), Tool("grow", tree)}}, {"tool_choice", "required"}});
  const json schema = json::parse(LastRequest().constraint().json_schema());
  const std::string root = "#/items/anyOf/1/properties/parameters";
  json moved = tree;
  moved["properties"]["self"]["$ref"] = root;
  moved["properties"]["a"]["anyOf"][0]["$ref"] = root + "/definitions/A";
  moved["properties"]["const"]["$ref"] = root + "/definitions/A";
  EXPECT_EQ(schema["items"]["anyOf"][1]["properties"]["parameters"], moved);
}

TEST_F(ChatTest, RequiredToolsAreForcedAsAnArray) {
  const json with_defs = {{"type", "object"},
                          {"properties", {{"p", {{"$ref", "#/$defs/P"}}}}},
                          {"$defs", {{"P", {{"type", "integer"}}}}}};
  const auto exchange = Chat({{"tools", {Tool("get"), Tool("add", with_defs)}},
                              {"tool_choice", "required"},
                              {"parallel_tool_calls", false}});
  const json schema = json::parse(LastRequest().constraint().json_schema());
  EXPECT_EQ(schema["type"], "array");
  EXPECT_EQ(schema["minItems"], 1);
  EXPECT_EQ(schema["maxItems"], 1);
  EXPECT_EQ(schema["items"]["anyOf"][1]["properties"]["name"], json({{"const", "add"}}));
  const json& parameters = schema["items"]["anyOf"][1]["properties"]["parameters"];
  EXPECT_EQ(parameters["properties"]["p"]["$ref"], "#/items/anyOf/1/properties/parameters/$defs/P");
  EXPECT_EQ(schema[json::json_pointer("/items/anyOf/1/properties/parameters/$defs/P")]["type"],
            "integer");
  Push(*exchange, 0, LastDelta("[{\"name\":\"add\",\"parameters\":{\"p\":1}}]", {1}));
  EXPECT_EQ(exchange->json()["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"],
            "{\"p\":1}");
  EXPECT_EQ(exchange->json()["choices"][0]["finish_reason"], "tool_calls");
}

// The end of a whole answer and of a stream that max_tokens cuts after `text`: message and reason.
TEST_F(ChatTest, ForcedCallsThatAreCutAreIncompleteCalls) {
  const json named = {{"type", "function"}, {"function", {{"name", "add"}}}};
  struct Case {
    json choice;
    std::string text;
    json arguments;  // null: no call yet
  };
  for (const Case& cut :
       {Case{"required", "[{\"name\":\"add\",\"parameters\":{\"a\":\"}", "{\"a\":\"}"},
        Case{"required", "[{\"name\":\"add\",\"parameters\":{\"a\":1}", "{\"a\":1}"},
        Case{"required", "[{\"name\":\"add\",\"para", ""},
        Case{"required", "[{\"name\":\"add\"", ""}, Case{"required", "[{\"name\":\"ad", nullptr},
        Case{"required", " [", nullptr}, Case{"required", "", nullptr},
        Case{named, "{\"a\":", "{\"a\":"}, Case{named, "", ""}}) {
    SCOPED_TRACE(cut.text);
    const json tools = {Tool("add"), Tool("get")};
    const auto whole = Chat({{"tools", tools}, {"tool_choice", cut.choice}});
    Push(*whole, sink_.size() - 1, LastDelta(cut.text, {1}, FINISH_REASON_LENGTH));
    const json answer = whole->json()["choices"][0];
    EXPECT_EQ(answer["finish_reason"], "length");
    const auto stream = Chat({{"tools", tools}, {"tool_choice", cut.choice}, {"stream", true}});
    for (const char c : cut.text) {
      Push(*stream, sink_.size() - 1, MakeDelta(std::string(1, c), {1}));
    }
    Push(*stream, sink_.size() - 1, LastDelta("", {1}, FINISH_REASON_LENGTH));
    std::string content, name, arguments;
    for (const json& chunk : stream->chunks()) {
      const json delta = chunk["choices"][0]["delta"];
      content += delta.value("content", "");
      if (!delta.contains("tool_calls")) continue;
      name += delta["tool_calls"][0]["function"].value("name", "");
      arguments += delta["tool_calls"][0]["function"]["arguments"].get<std::string>();
    }
    EXPECT_EQ(stream->chunks().back()["choices"][0]["finish_reason"], "length");
    EXPECT_EQ(content, "");
    if (cut.arguments == nullptr) {
      EXPECT_EQ(answer["message"]["content"], "");
      EXPECT_FALSE(answer["message"].contains("tool_calls"));
      EXPECT_EQ(name, "");
      continue;
    }
    EXPECT_EQ(answer["message"]["content"], nullptr);
    ASSERT_EQ(answer["message"]["tool_calls"].size(), 1u);
    EXPECT_EQ(answer["message"]["tool_calls"][0]["function"],
              json({{"name", "add"}, {"arguments", cut.arguments}}));
    EXPECT_EQ(name, "add");
    EXPECT_EQ(arguments, cut.arguments);
  }
}

TEST_F(ChatTest, ForcedArgumentsAreObjects) {
  const json open = {{"properties", {{"a", {{"type", "integer"}}}}}};
  Chat({{"tools", {Tool("add", open), Tool("get", json::object())}}, {"tool_choice", "required"}});
  const json calls = json::parse(LastRequest().constraint().json_schema())["items"]["anyOf"];
  for (const json& call : calls) {
    EXPECT_EQ(call["properties"]["parameters"]["type"], "object");
  }
  const json named = {{"type", "function"}, {"function", {{"name", "add"}}}};
  const json list = {Tool("get"), Tool("add", {{"type", "array"}})};
  for (const json& choice : {json("required"), named}) {
    const auto refused = Chat({{"tools", list}, {"tool_choice", choice}});
    EXPECT_EQ(refused->status(), 400u);
    EXPECT_EQ(refused->error()["param"], "tools[1].function.parameters.type");
    EXPECT_THAT(refused->body(), HasSubstr("is \\\"array\\\"; expected \\\"object\\\""));
  }
  EXPECT_EQ(Chat({{"tools", list}})->status(), 0u);  // Only shown to the model.
}

TEST_F(ChatTest, MessagesReachTheTemplateAsItWantsThem) {
  max_seq_len_ = 1000;
  Chat({{"messages",
         {{{"role", "developer"}, {"content", "d"}, {"name", nullptr}},
          {{"role", "user"},
           {"content", {{{"type", "text"}, {"text", "a"}}, {{"type", "text"}, {"text", "b"}}}}},
          {{"role", "assistant"},
           {"content", nullptr},
           {"refusal", nullptr},
           {"annotations", json::array()},
           {"tool_calls",
            {{{"id", "c1"},
              {"type", "function"},
              {"function", {{"name", "add"}, {"arguments", "{\"z\":1,\"a\":2}"}}}}}}},
          {{"role", "tool"}, {"content", "3"}, {"tool_call_id", "c1"}}}}});
  EXPECT_EQ(PromptText(),
            "system:d|user:a\nb|assistant:|[{\"id\":\"c1\",\"type\":\"function\",\"function\":"
            "{\"name\":\"add\",\"arguments\":{\"z\":1,\"a\":2}}}]tool:3|assistant:");
}

TEST_F(ChatTest, TemplateSwitchesAndVariablesArePassedOn) {
  Chat({{"chat_template_kwargs", {{"enable_thinking", false}}}, {"add_generation_prompt", false}});
  EXPECT_EQ(PromptText(), "{\"enable_thinking\":false}user:hello|");
  EXPECT_FALSE(LastRequest().continue_text());
  Chat({{"messages", {{{"role", "assistant"}, {"content", "x"}}}},
        {"continue_final_message", true}});
  EXPECT_EQ(PromptText(), "assistant:x|");
  EXPECT_TRUE(LastRequest().continue_text());
}

TEST_F(ChatTest, EarlyFailuresHaveTheirHttpStatus) {
  const auto status_of = [this](const absl::Status& status, bool stream) {
    const auto exchange = Chat({{"stream", stream}});
    sink_.Fail(sink_.size() - 1, status);
    exchange->Run();
    EXPECT_TRUE(exchange->complete());
    EXPECT_FALSE(exchange->streaming());
    return exchange;
  };
  for (const bool stream : {false, true}) {
    EXPECT_EQ(status_of(absl::DeadlineExceededError("x"), stream)->status(), 503u);
    EXPECT_EQ(status_of(absl::UnavailableError("10.0.0.1:9 is dead"), stream)->status(), 503u);
    EXPECT_EQ(status_of(absl::InternalError("/a/path"), stream)->status(), 500u);
    EXPECT_EQ(status_of(absl::InvalidArgumentError("schema"), stream)->status(), 400u);
  }
  const auto hidden = status_of(absl::UnavailableError("10.0.0.1:9 is dead"), false);
  EXPECT_FALSE(absl::StrContains(hidden->body(), "10.0.0.1"));
  EXPECT_EQ(hidden->header("retry-after"), "8");  // 7.2, up.
}

TEST_F(ChatTest, FullQueuesAre429WithRetryAfter) {
  sink_.capacity = 2;
  const auto exchange = Chat({{"n", 3}, {"stream", true}});
  exchange->Run();
  EXPECT_EQ(exchange->status(), 429u);
  EXPECT_EQ(exchange->header("retry-after"), "8");
  EXPECT_EQ(exchange->header("x-llm-d-request-dropped-reason"), "rejected-saturated");
  EXPECT_EQ(exchange->error()["type"], "rate_limit_error");
  EXPECT_EQ(exchange->error()["code"], "rate_limit_exceeded");
  EXPECT_TRUE(sink_.at(0).cancelled);
  EXPECT_TRUE(sink_.at(1).cancelled);
}

TEST_F(ChatTest, BeforeAnythingServesItIs503) {
  max_seq_len_ = 0;
  sink_.capacity = 0;
  sink_.refusal = absl::UnavailableError("the cluster has not started");
  const auto exchange = Chat();
  exchange->Run();
  EXPECT_EQ(exchange->status(), 503u);
  EXPECT_EQ(exchange->error()["code"], "service_unavailable");
}

TEST_F(ChatTest, LateFailuresAreAnErrorEventAndTheEnd) {
  const auto exchange = Chat({{"stream", true}, {"n", 2}});
  Push(*exchange, 0, MakeDelta("a", {1}));
  sink_.at(0).stream->Push(0, MakeDelta("b", {1}));
  sink_.Fail(1, absl::InternalError("secret"));
  exchange->Run();
  ASSERT_TRUE(exchange->complete());
  const std::vector<json> chunks = exchange->chunks(/*done=*/false);
  EXPECT_EQ(chunks[chunks.size() - 2]["choices"][0]["delta"]["content"], "b");
  EXPECT_EQ(chunks.back()["error"]["type"], "server_error");
  EXPECT_FALSE(absl::StrContains(exchange->body(), "secret"));
  EXPECT_TRUE(sink_.at(0).cancelled);
  Push(*exchange, 0, MakeDelta("c", {1}));  // Too late: nothing happens.
}

TEST_F(ChatTest, CancelledAndFailedOutputsAreErrors) {
  const auto cancelled = Chat();
  Push(*cancelled, 0, LastDelta("", {}, FINISH_REASON_CANCELLED));
  EXPECT_EQ(cancelled->status(), 503u);
  const auto failed = Chat();
  TokenDelta delta = LastDelta("", {}, FINISH_REASON_ERROR);
  delta.set_error("constraint");
  Push(*failed, 1, delta);
  EXPECT_EQ(failed->status(), 500u);
}

TEST_F(ChatTest, ADisconnectCancelsAllChoices) {
  const auto exchange = Chat({{"stream", true}, {"n", 2}});
  Push(*exchange, 0, MakeDelta("a", {1}));
  exchange->Leave();
  EXPECT_TRUE(sink_.at(0).cancelled);
  EXPECT_TRUE(sink_.at(1).cancelled);
  const int posts = exchange->posts();
  Push(*exchange, 0, MakeDelta("b", {1}));
  Push(*exchange, 1, LastDelta("", {}, FINISH_REASON_CANCELLED));
  EXPECT_EQ(exchange->posts(), posts);
}

TEST_F(ChatTest, SlowReadersAreCancelled) {
  const auto exchange = Chat({{"stream", true}});
  exchange->SlowDown();
  Push(*exchange, 0, MakeDelta("a", {1}));
  EXPECT_TRUE(sink_.at(0).cancelled);
}

TEST_F(ChatTest, AThreadThatStandsStillIsNotFedForever) {
  const auto exchange = Chat({{"stream", true}});
  const auto to = sink_.at(0);
  for (int i = 0; i < 3000; ++i) to.stream->Push(0, MakeDelta("a", {1}));
  EXPECT_TRUE(sink_.at(0).cancelled);
  to.stream->Flush();
  exchange->Run();
  EXPECT_EQ(exchange->chunks(false).back()["error"]["code"], "internal_error");
}

TEST_F(ChatTest, NothingOutlivesARequest) {
  std::weak_ptr<FakeExchange> weak;
  {
    const auto exchange = Chat({{"stream", true}});
    weak = exchange;
    Push(*exchange, 0, LastDelta("a", {1}));
  }
  sink_.Forget();
  EXPECT_TRUE(weak.expired());
  {
    const auto exchange = Chat({{"stream", true}});
    weak = exchange;
    exchange->Leave();
  }
  EXPECT_TRUE(weak.expired());  // Although the cluster has not let go yet.
}

TEST_F(ChatTest, LongRequestsAreReadElsewhere) {
  context_.inline_body_bytes = 1000;
  max_seq_len_ = 100000;
  const auto exchange =
      Chat({{"messages", {{{"role", "user"}, {"content", std::string(5000, 'x')}}}}});
  for (int i = 0; i < 2000 && sink_.size() == 0; ++i) absl::SleepFor(absl::Milliseconds(5));
  ASSERT_EQ(sink_.size(), 1u);
  Push(*exchange, 0, LastDelta("a", {1}));
  EXPECT_EQ(exchange->status(), 200u);
}

TEST_F(ChatTest, TextsThatCannotFitAreRefusedUnread) {
  max_seq_len_ = 100;
  const auto exchange =
      Chat({{"messages", {{{"role", "user"}, {"content", std::string(1 << 20, 'x')}}}}});
  EXPECT_EQ(exchange->status(), 400u);
  EXPECT_THAT(exchange->body(), HasSubstr("context_length_exceeded"));
  EXPECT_THAT(exchange->body(), HasSubstr("maximum context length is 100 tokens; a text of 10"));
}

TEST_F(ChatTest, TokensOfAllChoicesAreLimited) {
  max_seq_len_ = kMaxRequestTokens / 64;
  EXPECT_EQ(Chat({{"n", 64}})->status(), 0u) << "all that the context allows";
  max_seq_len_ *= 2;
  const uint32_t most = kMaxRequestTokens / 64 - sink_.at(0).request.token_ids().ids_size();
  EXPECT_EQ(Chat({{"n", 64}, {"max_tokens", most - 1}})->status(), 0u);
  EXPECT_EQ(Chat({{"n", 64}, {"max_tokens", most}})->status(), 0u);
  EXPECT_EQ(Chat({{"n", 64}, {"max_tokens", most + 1}})->status(), 400u);
  EXPECT_EQ(Chat({{"n", 64}, {"max_tokens", most + 1}, {"stream", true}})->status(), 0u);
  EXPECT_THAT(Chat({{"n", 64}})->body(), HasSubstr("at most 8388608: set max_tokens, or stream"));
}

TEST_F(ChatTest, HugeRequestsDelayNoOthers) {
  context_.inline_body_bytes = 1000;
  max_seq_len_ = 1 << 20;
  std::atomic<int> huge = 0;
  absl::Notification entered, go_on;
  context_.render_chat = [&](const ChatInput& input) -> absl::StatusOr<std::string> {
    if (input.messages[0].at("content").get_ref<const std::string&>().size() < (100 << 10)) {
      return "x";
    }
    if (++huge == 1) entered.Notify();
    go_on.WaitForNotificationWithTimeout(absl::Seconds(20));
    return "x";
  };
  const auto chat = [this](size_t bytes) {
    return Chat({{"messages", {{{"role", "user"}, {"content", std::string(bytes, 'x')}}}}});
  };
  std::vector<std::shared_ptr<FakeExchange>> exchanges;
  for (int i = 0; i < 8; ++i) exchanges.push_back(chat(1 << 20));
  ASSERT_TRUE(entered.WaitForNotificationWithTimeout(absl::Seconds(20)));
  const auto small = chat(18 << 10);
  for (int i = 0; i < 2000 && sink_.size() == 0; ++i) absl::SleepFor(absl::Milliseconds(5));
  EXPECT_EQ(sink_.size(), 1u);
  EXPECT_EQ(huge.load(), 1) << "one at a time";
  go_on.Notify();
  for (int i = 0; i < 2000 && sink_.size() < 9; ++i) absl::SleepFor(absl::Milliseconds(5));
  EXPECT_EQ(sink_.size(), 9u);
}

TEST_F(ChatTest, LongRequestsOfClientsThatLeftAreNotRead) {
  context_.inline_body_bytes = 10;
  context_.long_prompt_threads = 1;
  std::atomic<int> rendered = 0;
  absl::Notification entered, go_on;
  context_.render_chat = [&](const ChatInput&) -> absl::StatusOr<std::string> {
    if (++rendered == 1) {
      entered.Notify();
      go_on.WaitForNotificationWithTimeout(absl::Seconds(20));
    }
    return "x";
  };
  const auto running = Chat();
  ASSERT_TRUE(entered.WaitForNotificationWithTimeout(absl::Seconds(20)));
  Chat()->Leave();
  const auto last = Chat();
  go_on.Notify();
  for (int i = 0; i < 2000 && sink_.size() < 2; ++i) absl::SleepFor(absl::Milliseconds(5));
  EXPECT_EQ(sink_.size(), 2u);
  EXPECT_EQ(rendered.load(), 2);
}

TEST_F(ChatTest, TooManyLongRequestsAreRefused) {
  context_.inline_body_bytes = 10;
  context_.long_prompt_threads = 1;
  context_.max_waiting_long_prompts = 1;
  absl::Notification entered, go_on;
  context_.render_chat = [&](const ChatInput&) -> absl::StatusOr<std::string> {
    if (!entered.HasBeenNotified()) entered.Notify();
    go_on.WaitForNotificationWithTimeout(absl::Seconds(20));
    return "x";
  };
  const auto running = Chat();
  ASSERT_TRUE(entered.WaitForNotificationWithTimeout(absl::Seconds(20)));
  const auto waiting = Chat();
  const auto refused = Chat();
  EXPECT_EQ(refused->status(), 429u);
  EXPECT_EQ(refused->header("retry-after"), "8");
  go_on.Notify();
  for (int i = 0; i < 2000 && sink_.size() < 2; ++i) absl::SleepFor(absl::Milliseconds(5));
  EXPECT_EQ(sink_.size(), 2u);
}

}  // namespace
}  // namespace regatta
