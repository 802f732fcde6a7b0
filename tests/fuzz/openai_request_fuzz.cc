// Requests to every route of the OpenAI API, and what a model could answer: the client gets JSON of
// the API's shape, whatever both of them write.
//
// Input: a line "POST /v1/chat/completions", the body, and the model's text behind kNextPart.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "common/check.h"
#include "common/text/utf8.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/router/openai/api_fixture.h"

namespace regatta {
namespace {

// The fixture as an object that lives as long as the process.
class Api final : public ApiFixture {
 public:
  Api() { max_seq_len_ = 10'000; }

  bool Knows(const std::string& route) {
    if (handlers_.empty()) Send("GET", "/v1/models", "");
    return handlers_.count(route) > 0;
  }
  std::shared_ptr<FakeExchange> Ask(const std::string& method, const std::string& path,
                                    std::string_view body) {
    return Send(method, path, std::string(body));
  }
  // Every choice answers with `text`, in pieces of `piece` bytes.
  void Answer(FakeExchange& exchange, std::string_view text, size_t piece) {
    for (size_t index = 0; index < sink_.size(); ++index) {
      const GenerateRequest request = sink_.at(index).request;
      std::string_view rest = text;
      for (bool first = true; first || !rest.empty(); first = false) {
        const std::string_view part = rest.substr(0, piece);
        rest.remove_prefix(part.size());
        Push(exchange, index, Delta(request, part, first, /*last=*/rest.empty()));
      }
    }
    sink_.Forget();
  }

 private:
  void TestBody() override {}

  static void AddTop(const GenerateRequest& request,
                     google::protobuf::RepeatedPtrField<TopLogprobs>* tops) {
    if (request.sampling().top_logprobs() == 0) return;
    TopLogprobs* top = tops->Add();
    for (uint32_t i = 0; i < request.sampling().top_logprobs(); ++i) {
      top->add_token_ids(i * 13);
      top->add_logprobs(-1.5f - i);
    }
  }
  // One token for each byte of `text`, with all that the request asked for.
  TokenDelta Delta(const GenerateRequest& request, std::string_view text, bool first, bool last) {
    std::string valid;
    AppendUtf8Lossy(text, valid);
    std::vector<uint32_t> ids;
    for (const char c : text) ids.push_back(static_cast<uint8_t>(c));
    if (last) ids.push_back(301);
    TokenDelta delta = MakeDelta(valid, ids, last ? FINISH_REASON_STOP : FINISH_REASON_NONE);
    for (size_t i = 0; request.sampling().logprobs() && i < ids.size(); ++i) {
      delta.add_logprobs(-0.5f);
      AddTop(request, delta.mutable_top_logprobs());
    }
    const int prompt = request.token_ids().ids_size();
    for (int i = 1; first && request.prompt_logprobs() && i < prompt; ++i) {
      delta.mutable_prompt_logprobs()->add_logprobs(-0.25f);
      AddTop(request, delta.mutable_prompt_logprobs()->mutable_top_logprobs());
    }
    if (last) delta.mutable_usage()->set_output_tokens(text.size());
    return delta;
  }
};

// Log-probabilities of completions are columns of one length, with offsets in order.
void CheckColumns(const nlohmann::json& answer) {
  for (const auto& choice : answer.value("choices", nlohmann::json::array())) {
    const nlohmann::json logprobs = choice.value("logprobs", nlohmann::json());
    if (!logprobs.is_object() || !logprobs.contains("tokens")) continue;
    const size_t tokens = logprobs["tokens"].size();
    for (const auto& column : logprobs) CHECK_EQ(column.size(), tokens) << answer;
    const auto offsets = logprobs["text_offset"].get<std::vector<uint64_t>>();
    CHECK(std::is_sorted(offsets.begin(), offsets.end())) << answer;
  }
}

void CheckAnswer(const FakeExchange& exchange) {
  CHECK(exchange.complete()) << "no answer";
  CHECK(IsValidUtf8(exchange.body()));
  if (exchange.status() != 200) {
    CHECK(exchange.status() == 400 || exchange.status() == 404 || exchange.status() == 429)
        << exchange.status() << " " << exchange.body();
    CHECK(exchange.error().at("message").is_string()) << exchange.body();
  } else if (exchange.streaming()) {
    for (const auto& chunk : exchange.chunks()) {
      CHECK(chunk.is_object()) << exchange.body();
      CheckColumns(chunk);
    }
  } else {
    CHECK(exchange.json().is_object()) << exchange.body();
    CheckColumns(exchange.json());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Api& api = *new Api;
  FuzzInput input(data, size);
  const std::string route(input.Until("\n"));
  if (!api.Knows(route)) return 0;
  const size_t space = route.find(' ');
  const std::string_view body = input.Until(kNextPart);
  const auto exchange = api.Ask(route.substr(0, space), route.substr(space + 1), body);
  const std::string_view text = input.Rest();
  api.Answer(*exchange, text.substr(0, 1000), 1 + SeedOf(text) % 16);
  exchange->Run();
  CheckAnswer(*exchange);
  return 0;
}

}  // namespace regatta
