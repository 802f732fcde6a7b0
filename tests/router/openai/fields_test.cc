// Every field at its limits and beyond, with wrong types, and with null; names that nobody knows.
#include <gmock/gmock.h>

#include "router/openai/chat_messages.h"
#include "router/openai/response_format.h"
#include "router/openai/sampling_fields.h"
#include "router/openai/tools.h"
#include "tests/router/openai/api_fixture.h"

namespace regatta {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

class FieldsTest : public ApiFixture {
 protected:
  // Whether a chat request with `field` = `value` is taken.
  void Takes(const std::string& field, const json& value, const json& beside = {}) {
    json changes = beside.is_null() ? json::object() : beside;
    changes[field] = value;
    const auto exchange = Chat(changes);
    EXPECT_EQ(exchange->status(), 0u) << changes.dump().substr(0, 200) << exchange->body();
  }
  // That it is refused by name.
  std::string Refuses(const std::string& field, const json& value, const json& beside = {}) {
    json changes = beside.is_null() ? json::object() : beside;
    changes[field] = value;
    const auto exchange = Chat(changes);
    EXPECT_EQ(exchange->status(), 400u) << changes.dump().substr(0, 200);
    if (exchange->status() != 400) return "";
    EXPECT_EQ(exchange->error()["type"], "invalid_request_error");
    const std::string message = exchange->error()["message"];
    EXPECT_THAT(message, StartsWith(field));
    EXPECT_THAT(exchange->error()["param"].get<std::string>(), StartsWith(field));
    return message;
  }
  void RefusesWrongTypes(const std::string& field) {
    for (const json& value : {json("x"), json(json::array()), json(json::object()), json(true)}) {
      Refuses(field, value);
    }
  }
  SamplingParams LastSampling() { return LastRequest().sampling(); }
};

TEST_F(FieldsTest, NumbersHaveRanges) {
  struct Range {
    const char* field;
    double min, max;
    bool above;  // min itself is refused
  };
  for (const Range& range :
       {Range{"temperature", 0, 2, false}, Range{"top_p", 0, 1, true}, Range{"min_p", 0, 1, false},
        Range{"presence_penalty", -2, 2, false}, Range{"frequency_penalty", -2, 2, false},
        Range{"repetition_penalty", 0, 10, true}}) {
    Takes(range.field, range.max);
    Takes(range.field, range.min + 0.001);
    Takes(range.field, nullptr);
    if (range.above) {
      Refuses(range.field, range.min);
    } else {
      Takes(range.field, range.min);
    }
    EXPECT_THAT(Refuses(range.field, range.max + 0.001), HasSubstr("expected a number"));
    Refuses(range.field, range.min - 0.001);
    Refuses(range.field, 1e308);
    Refuses(range.field, -1e308);
    Refuses(range.field, UINT64_MAX);
    RefusesWrongTypes(range.field);
  }
}

TEST_F(FieldsTest, WholeNumbersHaveRanges) {
  struct Range {
    const char* field;
    int64_t min, max;
    json beside;
  };
  max_seq_len_ = UINT32_MAX;
  const json streamed = {{"stream", true}};  // whole answers of so many tokens are refused
  const json logprobs = {{"logprobs", true}, {"max_tokens", 9}};
  for (const Range& range :
       {Range{"n", 1, kMaxChoices, streamed}, Range{"top_k", -1, INT32_MAX, streamed},
        Range{"max_tokens", 1, INT32_MAX, streamed},
        Range{"max_completion_tokens", 1, INT32_MAX, streamed},
        Range{"min_tokens", 0, INT32_MAX, streamed}, Range{"top_logprobs", 0, 20, logprobs},
        Range{"priority", -(1 << 20), 1 << 20, streamed}}) {
    Takes(range.field, range.min, range.beside);
    Takes(range.field, range.max, range.beside);
    Takes(range.field, range.max - 1, range.beside);
    Takes(range.field, nullptr, range.beside);
    EXPECT_THAT(Refuses(range.field, range.min - 1, range.beside),
                HasSubstr("expected a whole number from"));
    Refuses(range.field, range.max + 1, range.beside);
    Refuses(range.field, 1.0, range.beside);
    Refuses(range.field, 1e30, range.beside);
    Refuses(range.field, UINT64_MAX, range.beside);
    RefusesWrongTypes(range.field);
  }
}

TEST_F(FieldsTest, SeedsAreAnyNumberOf64Bits) {
  for (const json& seed : {json(0), json(-1), json(INT64_MIN), json(INT64_MAX), json(UINT64_MAX)}) {
    Takes("seed", seed);
    EXPECT_EQ(LastSampling().seed(), seed.get<uint64_t>());
  }
  Takes("seed", uint64_t{1} << 63);
  Takes("seed", nullptr);
  RefusesWrongTypes("seed");
  EXPECT_THAT(Refuses("seed", 1.0), HasSubstr("from -9223372036854775808 to 18446744073709551615"));
  Chat();
  for (const char* seed : {"18446744073709551616", "-9223372036854775809", "1e3"}) {
    const auto exchange = Send("POST", "/v1/completions",
                               std::string(R"({"model":"tiny","prompt":"x","seed":)") + seed + "}");
    EXPECT_EQ(exchange->status(), 400u) << seed;
    EXPECT_EQ(exchange->error()["param"], "seed");
  }
}

TEST_F(FieldsTest, SwitchesAreTrueOrFalse) {
  for (const char* field :
       {"stream", "logprobs", "ignore_eos", "skip_special_tokens", "include_stop_str_in_output",
        "add_generation_prompt", "parallel_tool_calls", "return_token_ids"}) {
    Takes(field, true);
    Takes(field, false);
    Takes(field, nullptr);
    for (const json& value : {json(1), json("true"), json(json::array())}) Refuses(field, value);
  }
}

TEST_F(FieldsTest, SamplingReachesTheCluster) {
  Chat({{"temperature", 0.5},
        {"top_p", 0.25},
        {"top_k", 7},
        {"min_p", 0.125},
        {"repetition_penalty", 1.5},
        {"presence_penalty", -1},
        {"frequency_penalty", 2},
        {"seed", 9},
        {"min_tokens", 3},
        {"max_tokens", 4},
        {"ignore_eos", true},
        {"stop_token_ids", {5, 302}},
        {"skip_special_tokens", false},
        {"include_stop_str_in_output", true},
        {"priority", 3},
        {"logit_bias", {{"5", -100}, {"302", 100}}}});
  const GenerateRequest request = LastRequest();
  const SamplingParams sampling = request.sampling();
  EXPECT_EQ(sampling.temperature(), 0.5f);
  EXPECT_EQ(sampling.top_p(), 0.25f);
  EXPECT_EQ(sampling.top_k(), 7u);
  EXPECT_EQ(sampling.min_p(), 0.125f);
  EXPECT_EQ(sampling.repetition_penalty(), 1.5f);
  EXPECT_EQ(sampling.presence_penalty(), -1.0f);
  EXPECT_EQ(sampling.frequency_penalty(), 2.0f);
  EXPECT_EQ(sampling.seed(), 9u);
  EXPECT_EQ(sampling.min_tokens(), 3u);
  EXPECT_THAT(sampling.bias_token(), testing::ElementsAre(302, 5));
  EXPECT_THAT(sampling.bias(), testing::ElementsAre(100, -100));
  EXPECT_TRUE(request.ignore_eos());
  EXPECT_THAT(request.stop_token_ids(), testing::ElementsAre(5, 302));
  EXPECT_FALSE(request.skip_special_tokens());
  EXPECT_TRUE(request.include_stop_in_output());
  EXPECT_EQ(request.priority(), -3);  // Lower runs first, as in vLLM.
}

TEST_F(FieldsTest, TheLeastNumbersAreNotZero) {
  for (const double least : {1e-320, 1e-46, 1e-40}) {
    Takes("top_p", least);
    EXPECT_GT(LastSampling().top_p(), 0);
    Takes("repetition_penalty", least);
    EXPECT_GT(LastSampling().repetition_penalty(), 0);
  }
}

TEST_F(FieldsTest, DefaultsAreTheModelsThenTheApis) {
  Chat();
  EXPECT_EQ(LastSampling().temperature(), 1.0f);
  EXPECT_EQ(LastSampling().top_p(), 1.0f);
  EXPECT_EQ(LastSampling().top_k(), 0u);
  EXPECT_EQ(LastRequest().max_tokens(), 0u);
  EXPECT_TRUE(LastRequest().skip_special_tokens());
  handlers_.clear();
  context_.defaults = *ParseGenerationDefaults(
      R"({"temperature":0.6,"top_p":0.9,"top_k":20,"repetition_penalty":1.05,"do_sample":false})");
  Chat();
  EXPECT_EQ(LastSampling().temperature(), 0.6f);
  EXPECT_EQ(LastSampling().top_p(), 0.9f);
  EXPECT_EQ(LastSampling().top_k(), 20u);
  EXPECT_EQ(LastSampling().repetition_penalty(), 1.05f);
  Chat({{"temperature", 0}, {"top_k", -1}});
  EXPECT_EQ(LastSampling().temperature(), 0.0f);
  EXPECT_EQ(LastSampling().top_k(), 0u);
}

TEST_F(FieldsTest, GenerationConfigIsChecked) {
  EXPECT_EQ(ParseGenerationDefaults("")->temperature, 1.0f);
  EXPECT_EQ(ParseGenerationDefaults(R"({"top_k":null})")->top_k, 0u);
  EXPECT_THAT(ParseGenerationDefaults(R"({"top_p":"x"})").status().message(),
              HasSubstr("generation_config.json: top_p is \"x\""));
  EXPECT_FALSE(ParseGenerationDefaults("[").ok());
  EXPECT_EQ(LoadGenerationDefaults("/nonexistent")->top_p, 1.0f);
  const auto dense =
      LoadGenerationDefaults(std::string(REGATTA_SOURCE_DIR) + "/tests/models/regatta-dense");
  EXPECT_EQ(dense->temperature, 1.0f);
}

TEST_F(FieldsTest, StopsAreStringsOfSomeLength) {
  Takes("stop", "x");
  Takes("stop", json::array());
  Takes("stop", nullptr);
  Takes("stop", std::string(256, 'x'));
  Takes("stop", std::vector<std::string>(15, "x"));
  Takes("stop", std::vector<std::string>(16, "x"));
  EXPECT_EQ(LastRequest().stop_size(), 16);
  EXPECT_THAT(Refuses("stop", std::vector<std::string>(17, "x")), HasSubstr("17 elements"));
  EXPECT_THAT(Refuses("stop", std::string(257, 'x')), HasSubstr("257 bytes"));
  Refuses("stop", "");
  Refuses("stop", 1);
  EXPECT_THAT(Refuses("stop", {1}), HasSubstr("holds 1; expected strings"));
  Refuses("stop", {{"a", 1}});
  Takes("stop_token_ids", std::vector<int>(127, 1));
  Takes("stop_token_ids", std::vector<int>(128, 302));
  Refuses("stop_token_ids", std::vector<int>(129, 1));
  for (const json& id : {json(303), json(-1), json(1.0), json("1"), json(UINT64_MAX)}) {
    Refuses("stop_token_ids", json::array({id}));
  }
}

TEST_F(FieldsTest, LogitBiasIsAMapOfTokens) {
  model_.vocab_size = 5000;
  const auto biases = [](int count) {
    json map = json::object();
    for (int i = 0; i < count; ++i) map[std::to_string(i)] = 1.5;
    return map;
  };
  Takes("logit_bias", json::object());
  Takes("logit_bias", biases(1023));
  Takes("logit_bias", biases(1024));
  EXPECT_THAT(Refuses("logit_bias", biases(1025)), HasSubstr("1025 entries; at most 1024"));
  for (const char* key : {"5000", "-1", "+1", "1.0", "", "x", " 1", "99999999999", "0x1"}) {
    EXPECT_THAT(Refuses("logit_bias", {{key, 1}}), HasSubstr("expected token ids of 0 to 4999"));
  }
  Takes("logit_bias", {{"4999", -100}});
  for (const json& bias : {json(100.5), json(-101), json("1"), json(nullptr), json(1e308)}) {
    Refuses("logit_bias", {{"1", bias}});
  }
  Refuses("logit_bias", {1, 2});
  EXPECT_THAT(Refuses("logit_bias", {{"5", 1}, {"05", 2}}),
              HasSubstr("logit_bias: of token 5 is given twice"));
  const auto doubled = Send("POST", "/v1/completions",
                            R"({"model":"tiny","prompt":"x","logit_bias":{"5":1,"5":1}})");
  EXPECT_EQ(doubled->status(), 400u);
  EXPECT_EQ(doubled->error()["param"], "logit_bias");
  EXPECT_THAT(doubled->body(), HasSubstr("the key \\\"5\\\" is given twice"));
}

TEST_F(FieldsTest, StreamOptionsNeedAStream) {
  EXPECT_THAT(Refuses("stream_options", {{"include_usage", true}}), HasSubstr("without stream"));
  const json stream = {{"stream", true}};
  Takes("stream_options", {{"include_usage", false}}, stream);
  Takes("stream_options", {{"include_usage", nullptr}, {"include_obfuscation", false}}, stream);
  Refuses("stream_options", {{"include_usage", 1}}, stream);
  Refuses("stream_options", {{"continuous_usage_stats", true}}, stream);
  EXPECT_THAT(Refuses("stream_options", {{"include_usge", true}}, stream),
              HasSubstr("stream_options.include_usge: is not a known field; did you mean "
                        "include_usage?"));
}

TEST_F(FieldsTest, HarmlessFieldsAreTakenWhereTheyAskForNothing) {
  Takes("user", "me");
  Takes("store", false);
  Takes("metadata", {{"a", "b"}});
  Takes("service_tier", "auto");
  Takes("service_tier", "default");
  Takes("modalities", {"text"});
  Refuses("store", true);
  Refuses("service_tier", "flex");
  Refuses("modalities", {"audio"});
  Refuses("user", 1);
  Refuses("user", std::string(1025, 'x'));
}

TEST_F(FieldsTest, UnknownFieldsAreRefusedWithTheNearestName) {
  EXPECT_THAT(Refuses("max_token", 5),
              HasSubstr("max_token: is not a known field; did you mean max_tokens?"));
  EXPECT_THAT(Refuses("temprature", 0), HasSubstr("did you mean temperature?"));
  EXPECT_THAT(Refuses("zzz", 0), HasSubstr("zzz: is not a known field"));
  const json odd = Chat({{"a: \"b", 0}})->error();
  EXPECT_EQ(odd["param"], R"(["a: \"b"])");
  EXPECT_EQ(odd["message"], R"(["a: \"b"]: is not a known field)");
  EXPECT_EQ(Chat({{std::string(5000, 'x'), 1}})->status(), 400u);
  for (const char* field : {"functions", "function_call", "chat_template", "best_of", "audio",
                            "guided_json", "reasoning_effort", "use_beam_search"}) {
    EXPECT_THAT(Refuses(field, "x"), HasSubstr("is not supported"));
    Takes(field, nullptr);
  }
}

TEST_F(FieldsTest, BodiesMustBeObjects) {
  for (const char* body : {"[]", "3", "\"x\"", "null"}) {
    const auto exchange = Send("POST", "/v1/chat/completions", body);
    EXPECT_EQ(exchange->status(), 400u);
    EXPECT_THAT(exchange->error()["message"].get<std::string>(), HasSubstr("expected an object"));
  }
  const auto broken = Send("POST", "/v1/completions", "{\"model\":");
  EXPECT_EQ(broken->status(), 400u);
  EXPECT_EQ(broken->error()["param"], "body");
}

TEST_F(FieldsTest, ModelsMustBeServed) {
  EXPECT_THAT(Refuses("model", nullptr), HasSubstr("'tiny' is served"));
  Refuses("model", 3);
  Takes("model", "alias/of-tiny");
  const auto exchange = Chat({{"model", "gpt-4"}});
  EXPECT_EQ(exchange->status(), 404u);
  EXPECT_EQ(exchange->error()["code"], "model_not_found");
  EXPECT_EQ(exchange->error()["type"], "invalid_request_error");
}

TEST_F(FieldsTest, ContextIsLimited) {
  const uint32_t prompt = 5 + 5 + 11;  // "user:", "|assistant:" and what is below, in bytes
  const auto with = [&](uint32_t room, const json& max_tokens) {
    max_seq_len_ = prompt + room;
    return Chat(
        {{"messages", {{{"role", "user"}, {"content", "xxxxx"}}}}, {"max_tokens", max_tokens}});
  };
  EXPECT_EQ(with(1, nullptr)->status(), 0u);
  EXPECT_EQ(LastRequest().token_ids().ids_size(), static_cast<int>(prompt));
  EXPECT_EQ(with(9, 8)->status(), 0u);
  EXPECT_EQ(with(8, 8)->status(), 0u);
  const auto exchange = with(7, 8);
  EXPECT_EQ(exchange->status(), 400u);
  EXPECT_EQ(exchange->error()["code"], "context_length_exceeded");
  EXPECT_EQ(exchange->error()["param"], "messages");
  EXPECT_THAT(exchange->error()["message"].get<std::string>(),
              HasSubstr("maximum context length is 28 tokens; the prompt has 21 and 8 more"));
  EXPECT_EQ(with(0, nullptr)->error()["code"], "context_length_exceeded");
}

TEST_F(FieldsTest, TokenLimitsMustAgree) {
  Chat({{"max_tokens", 3}, {"max_completion_tokens", 3}});
  EXPECT_EQ(LastRequest().max_tokens(), 3u);
  Chat({{"max_completion_tokens", 4}});
  EXPECT_EQ(LastRequest().max_tokens(), 4u);
  Refuses("max_completion_tokens", 4, {{"max_tokens", 3}});
  Takes("min_tokens", 3, {{"max_tokens", 3}});
  Refuses("min_tokens", 4, {{"max_tokens", 3}});
  Refuses("top_logprobs", 1);
}

TEST_F(FieldsTest, MessagesAreChecked) {
  const auto refuses = [this](const json& message) {
    return Refuses("messages", json::array({message}));
  };
  max_seq_len_ = 1 << 20;
  EXPECT_THAT(Refuses("messages", nullptr), HasSubstr("is missing"));
  Refuses("messages", json::array());
  Refuses("messages", "hello");
  refuses("hello");
  EXPECT_THAT(refuses({{"role", "robot"}, {"content", "x"}}),
              HasSubstr("messages[0].role: is 'robot'; expected system, developer"));
  refuses({{"content", "x"}});
  EXPECT_THAT(refuses({{"role", "user"}}), HasSubstr("messages[0].content: is missing"));
  refuses({{"role", "user"}, {"content", nullptr}});
  refuses({{"role", "assistant"}});
  refuses({{"role", "assistant"}, {"refusal", nullptr}});
  Takes("messages", {{{"role", "assistant"}, {"refusal", "no"}}});  // As OpenAI's own answers.
  refuses({{"role", "user"}, {"content", 3}});
  refuses({{"role", "user"}, {"content", json::array()}});
  EXPECT_THAT(refuses({{"role", "user"}, {"content", "x"}, {"tool_calls", json::array()}}),
              HasSubstr("messages[0].tool_calls: is not a known field"));
  const json hello = {{"role", "user"}, {"content", "x"}};
  Takes("messages", std::vector<json>(kMaxMessages, hello));
  Refuses("messages", std::vector<json>(kMaxMessages + 1, hello));
  const json part = {{"type", "text"}, {"text", "x"}};
  Takes("messages", {{{"role", "user"}, {"content", std::vector<json>(kMaxContentParts, part)}}});
  refuses({{"role", "user"}, {"content", std::vector<json>(kMaxContentParts + 1, part)}});
}

TEST_F(FieldsTest, NothingIsFetched) {
  for (const char* type : {"image_url", "input_audio", "video_url", "file", ""}) {
    const json part = {{"type", type}, {type, {{"url", "http://169.254.169.254/"}}}};
    EXPECT_THAT(Refuses("messages", json::array({{{"role", "user"}, {"content", {part}}}})),
                HasSubstr("messages[0].content[0].type: '" + std::string(type)));
  }
}

TEST_F(FieldsTest, EarlierCallsAreChecked) {
  const auto refuses = [this](const json& call) {
    return Refuses("messages", json::array({{{"role", "assistant"}, {"tool_calls", {call}}}}));
  };
  EXPECT_THAT(refuses({{"id", "1"}, {"type", "function"}}), HasSubstr("function: is missing"));
  refuses({{"id", "1"}, {"type", "custom"}, {"function", {{"name", "f"}}}});
  refuses({{"function", {{"name", ""}, {"arguments", "{}"}}}});
  for (const char* arguments : {"{", "[]", "3", "{\"a\":1,\"a\":2}"}) {
    EXPECT_THAT(refuses({{"function", {{"name", "f"}, {"arguments", arguments}}}}),
                HasSubstr("messages[0].tool_calls[0].function.arguments: expected a JSON object"));
  }
}

TEST_F(FieldsTest, TemplatesAreTheModels) {
  Takes("chat_template_kwargs", {{"a", 1}, {"b", "x"}, {"c", true}, {"d", nullptr}});
  EXPECT_THAT(Refuses("chat_template_kwargs", {{"a", {1}}}), HasSubstr("'a', which is no string"));
  EXPECT_THAT(Refuses("chat_template_kwargs", {{"messages", 1}}), HasSubstr("not the caller's"));
  Refuses("continue_final_message", true);
  Refuses("continue_final_message", true, {{"add_generation_prompt", true}});
  EXPECT_THAT(Refuses("messages", {{{"role", "user"}, {"content", "refuse"}}}),
              HasSubstr("messages: raised: no"));
  handlers_.clear();
  context_.render_chat = nullptr;
  EXPECT_THAT(Refuses("messages", {{{"role", "user"}, {"content", "x"}}}),
              HasSubstr("tiny has no chat template; use /v1/completions"));
}

TEST_F(FieldsTest, ToolsAreChecked) {
  const auto tool = [](const json& function) {
    return json::array({{{"type", "function"}, {"function", function}}});
  };
  const auto named = [](int count) {
    json tools = json::array();
    for (int i = 0; i < count; ++i) {
      tools.push_back({{"type", "function"}, {"function", {{"name", "f" + std::to_string(i)}}}});
    }
    return tools;
  };
  max_seq_len_ = 1 << 20;
  Takes("tools", json::array());
  Takes("tools", named(kMaxTools));
  Refuses("tools", named(kMaxTools + 1));
  Takes("tools", tool({{"name", std::string(64, 'x')}, {"strict", true}}));
  for (const char* name : {"", "a b", "é", "a.b"}) Refuses("tools", tool({{"name", name}}));
  Refuses("tools", tool({{"name", std::string(65, 'x')}}));
  Refuses("tools", tool({{"name", "f"}, {"parameters", "x"}}));
  EXPECT_THAT(Refuses("tools", tool({{"name", "f"}, {"parameter", 1}})),
              HasSubstr("tools[0].function.parameter: is not a known field; did you mean "
                        "parameters?"));
  json doubled = named(1);
  doubled.push_back(doubled[0]);
  EXPECT_THAT(Refuses("tools", doubled), HasSubstr("'f0' is given twice"));
  Refuses("tool_choice", "auto");
  Takes("tool_choice", "none");
  const json beside = {{"tools", named(2)}};
  for (const char* choice : {"auto", "none", "required"}) Takes("tool_choice", choice, beside);
  Refuses("tool_choice", "any", beside);
  Refuses("tool_choice", 1, beside);
  EXPECT_THAT(Refuses("tool_choice", {{"type", "function"}, {"function", {{"name", "g"}}}}, beside),
              HasSubstr("'g' is none of the tools"));
}

TEST_F(FieldsTest, ToolsNeedASyntaxOrASchema) {
  context_.tool_syntax = ToolCallSyntax::kNone;
  const json tools = {{{"type", "function"}, {"function", {{"name", "f"}}}}};
  EXPECT_THAT(Refuses("tools", tools), HasSubstr("not known how this model writes calls"));
  Takes("tools", tools, {{"tool_choice", "required"}});
}

TEST_F(FieldsTest, ResponseFormatsBecomeConstraints) {
  const auto schema = [](const json& schema, const std::string& name = "n") {
    return json{{"type", "json_schema"},
                {"json_schema", {{"name", name}, {"schema", schema}, {"strict", true}}}};
  };
  Takes("response_format", {{"type", "text"}});
  EXPECT_FALSE(LastRequest().has_constraint());
  Takes("response_format", {{"type", "json_object"}});
  EXPECT_TRUE(LastRequest().constraint().json_object());
  Takes("response_format", schema({{"type", "object"}, {"a", 1}}));
  EXPECT_EQ(LastRequest().constraint().json_schema(), R"({"a":1,"type":"object"})");
  Refuses("response_format", {{"type", "grammar"}});
  Refuses("response_format", {{"type", "json_schema"}});
  Refuses("response_format", {{"type", "text"}, {"json_schema", json::object()}});
  Refuses("response_format", schema("x"));
  Refuses("response_format", schema(json::object(), "a b"));
  Refuses("response_format", "json_object");
  const size_t around = json({{"d", ""}}).dump().size();
  Takes("response_format", schema({{"d", std::string(kMaxSchemaBytes - around, 'x')}}));
  EXPECT_THAT(
      Refuses("response_format", schema({{"d", std::string(kMaxSchemaBytes - around + 1, 'x')}})),
      HasSubstr("65537 bytes; at most 65536"));
  EXPECT_THAT(Refuses("response_format", {{"type", "json_object"}},
                      {{"tools", {{{"type", "function"}, {"function", {{"name", "f"}}}}}}}),
              HasSubstr("no room for calls of tools"));
}

TEST_F(FieldsTest, OnlyJsonIsRead) {
  Chat();  // Makes the routes.
  for (const auto& [type, status] : {std::pair{"application/json; charset=utf-8", 0u},
                                     {"Application/JSON", 0u},
                                     {"application/json ;charset=utf-8", 0u},
                                     {"application/jsonx", 400u},
                                     {"application/json-patch+json", 400u},
                                     {"text/plain", 400u},
                                     {"application/x-www-form-urlencoded", 400u}}) {
    HttpRequest request;
    request.headers = {{"content-type", type}};
    request.body = R"({"model":"tiny","prompt":"x"})";
    const auto exchange = std::make_shared<FakeExchange>(request);
    handlers_.at("POST /v1/completions")(exchange);
    EXPECT_EQ(exchange->status(), status) << type;
  }
}

}  // namespace
}  // namespace regatta
