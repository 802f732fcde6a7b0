// Requests changed at random, in values and in bytes: each is taken, or refused in the API's shape.
#include <gmock/gmock.h>

#include <random>

#include "tests/router/openai/api_fixture.h"

namespace regatta {
namespace {

using nlohmann::json;

const std::vector<std::string>& Seeds() {
  static const std::vector<std::string> seeds = {
      R"({"model":"tiny","messages":[{"role":"system","content":"s"},{"role":"user","content":[
         {"type":"text","text":"hello"}]},{"role":"assistant","content":null,"tool_calls":[
         {"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
         {"role":"tool","content":"x","tool_call_id":"c"}],"tools":[{"type":"function",
         "function":{"name":"f","parameters":{"type":"object","$defs":{"a":{}}},"strict":true}}],
         "tool_choice":"required","parallel_tool_calls":false,"stream":true,
         "stream_options":{"include_usage":true},"logprobs":true,"top_logprobs":2,"n":2})",
      R"({"model":"tiny","prompt":["hello","x"],"max_tokens":3,"echo":true,"logprobs":1,
         "stop":["a","b"],"logit_bias":{"5":1},"seed":1,"temperature":0.5,"top_k":3})",
      R"({"model":"tiny","messages":[{"role":"user","content":"x"}],"response_format":{
         "type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}},
         "tool_choice":"none","chat_template_kwargs":{"a":true},"min_tokens":1,"metadata":{}})",
      R"({"model":"tiny","tokens":[1,2,302]})",
  };
  return seeds;
}

// Every value within `value`, itself included.
void Collect(json& value, std::vector<json*>& all) {
  all.push_back(&value);
  if (value.is_structured()) {
    for (json& child : value) Collect(child, all);
  }
}

std::string MutateValue(const std::string& seed, std::mt19937& random) {
  static const std::vector<json> kValues = {nullptr,
                                            true,
                                            0,
                                            -1,
                                            1.5,
                                            1e308,
                                            UINT64_MAX,
                                            INT64_MIN,
                                            "",
                                            "x",
                                            "auto",
                                            "{}",
                                            json::array(),
                                            json::object(),
                                            json::array({1}),
                                            json::array({nullptr}),
                                            json::array({json::array()}),
                                            {{"type", "function"}},
                                            {{"name", 1}},
                                            {{"$defs", 3}}};
  json body = json::parse(seed);
  const int changes = 1 + random() % 3;
  for (int i = 0; i < changes; ++i) {
    std::vector<json*> all;
    Collect(body, all);
    *all[random() % all.size()] = kValues[random() % kValues.size()];
  }
  return body.dump();
}

std::string MutateBytes(std::string body, std::mt19937& random) {
  static const std::string kBytes = std::string("\"\\{}[],:0-eE.nt \x80\xC3\xED\xFF") + '\0';
  const int changes = 1 + random() % 4;
  for (int i = 0; i < changes && !body.empty(); ++i) {
    const size_t at = random() % body.size();
    switch (random() % 4) {
      case 0:
        body[at] = kBytes[random() % kBytes.size()];
        break;
      case 1:
        body.insert(at, 1, kBytes[random() % kBytes.size()]);
        break;
      case 2:
        body.erase(at, 1 + random() % 5);
        break;
      default:
        body.insert(at, body.substr(random() % body.size(), random() % 40));
    }
  }
  return body;
}

class MutationTest : public ApiFixture {};

TEST_F(MutationTest, EveryRequestIsTakenOrRefusedProperly) {
  std::mt19937 random(7);
  // The right path of every seed, and now and then a wrong one.
  const std::vector<std::string> paths = {"/v1/chat/completions", "/v1/completions",
                                          "/v1/chat/completions", "/detokenize", "/tokenize"};
  max_seq_len_ = 10000;
  int taken = 0;
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    const size_t which = random() % Seeds().size();
    const std::string& seed = Seeds()[which];
    const std::string& path = paths[random() % 4 > 0 ? which : random() % paths.size()];
    const bool bytes = random() % 2 == 0;
    const std::string body = bytes ? MutateBytes(seed, random) : MutateValue(seed, random);
    const auto exchange = Send("POST", path, body);
    if (exchange->status() == 0 || exchange->status() == 200) {
      ++taken;
      continue;
    }
    ++refused;
    ASSERT_TRUE(exchange->status() == 400 || exchange->status() == 404) << body;
    ASSERT_TRUE(exchange->error()["message"].is_string()) << body;
    ASSERT_EQ(exchange->error()["type"], "invalid_request_error") << body;
  }
  EXPECT_GT(taken, 500);
  EXPECT_GT(refused, 5000);
}

}  // namespace
}  // namespace regatta
