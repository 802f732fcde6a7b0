// The OpenAI API's share of a token: events of streams, parsing of calls, reading of requests.
#include <benchmark/benchmark.h>

#include <string>

#include "router/openai/chat_answer.h"
#include "router/openai/chat_request.h"
#include "router/openai/completion_answer.h"
#include "tests/common/text/tiny_tokenizer.h"
#include "tests/router/openai/fake_sink.h"

namespace regatta {
namespace {

const Tokenizer& Tiny() {
  static const Tokenizer* const tokenizer = LoadTiny().release();
  return *tokenizer;
}

AnswerIdentity Identity() {
  return {.id = "chatcmpl-0123456789abcdef0123456789abcdef",
          .created_s = 1'700'000'000,
          .model = "meta-llama/Llama-3.1-70B-Instruct",
          .fingerprint = "fp_0123456789"};
}

// Time of one delta of one token; bytes are those of its event.
void RunWriter(benchmark::State& state, ResponseWriter& writer, const TokenDelta& delta) {
  std::string out;
  size_t bytes = 0;
  for (auto _ : state) {
    out.clear();
    writer.Take(0, delta, out);
    benchmark::DoNotOptimize(out.data());
    bytes += out.size();
  }
  state.SetBytesProcessed(static_cast<int64_t>(bytes));
}

void BM_ChatEvent(benchmark::State& state) {
  const auto writer = MakeChatStreamWriter(
      {.identity = Identity(), .tokenizer = Tiny(), .include_usage = state.range(0) != 0});
  RunWriter(state, *writer, MakeDelta(" \"token\"", {259}));
}
BENCHMARK(BM_ChatEvent)->Arg(0)->Arg(1)->ArgName("include_usage");

void BM_ChatEventWithTools(benchmark::State& state) {
  const auto writer = MakeChatStreamWriter(
      {.identity = Identity(),
       .tokenizer = Tiny(),
       .tools = {.syntax = ToolCallSyntax::kHermes, .names = {"get_weather"}, .forced = {}}});
  RunWriter(state, *writer, MakeDelta(" token", {259}));
}
BENCHMARK(BM_ChatEventWithTools);

void BM_ChatEventWithLogprobs(benchmark::State& state) {
  const auto writer =
      MakeChatStreamWriter({.identity = Identity(), .tokenizer = Tiny(), .logprobs = true});
  TokenDelta delta = MakeDelta(" token", {259});
  delta.add_logprobs(-0.1234f);
  TopLogprobs& top = *delta.add_top_logprobs();
  for (int i = 0; i < state.range(0); ++i) {
    top.add_token_ids(256 + i % 5);
    top.add_logprobs(-1.2345f * i);
  }
  RunWriter(state, *writer, delta);
}
BENCHMARK(BM_ChatEventWithLogprobs)->Arg(0)->Arg(5)->Arg(20)->ArgName("top");

void BM_CompletionEvent(benchmark::State& state) {
  const auto writer = MakeCompletionWriter(
      {.identity = Identity(), .tokenizer = Tiny(), .prompts = {{}}}, /*stream=*/true);
  RunWriter(state, *writer, MakeDelta(" token", {259}));
}
BENCHMARK(BM_CompletionEvent);

void BM_ToolText(benchmark::State& state) {
  const std::vector<std::string> names = {"add"};
  std::string text;
  while (text.size() < 1'000'000) {
    text +=
        "Some words before a call. <tool_call>{\"name\": \"add\", \"arguments\": {\"a\": \"one "
        "argument of some length\"}}</tool_call>\n";
  }
  for (auto _ : state) {
    ToolCallParser parser(ToolCallSyntax::kHermes, names);
    std::vector<ToolEvent> events;
    parser.Append(text, events);
    parser.Finish(events);
    benchmark::DoNotOptimize(events.data());
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}
BENCHMARK(BM_ToolText)->Unit(benchmark::kMillisecond);

// A chat request of so many bytes of text, read and tokenised.
void BM_ChatRequest(benchmark::State& state) {
  ModelSpec model;
  model.vocab_size = 303;
  FakeSink sink;
  OpenAiContext context{.model_names = {"tiny"}, .model = model, .sink = sink};
  context.tokenizer = &Tiny();
  context.max_seq_len = [] { return 1u << 30; };
  context.render_chat = [](const ChatInput& input) -> absl::StatusOr<std::string> {
    return input.messages[0].at("content").get<std::string>();
  };
  std::string text;
  while (text.size() < static_cast<size_t>(state.range(0))) text += "hello world, ";
  HttpRequest http;
  http.body = R"({"model":"tiny","messages":[{"role":"user","content":")" + text +
              R"("}],"temperature":0.7,"max_tokens":100,"stream":true})";
  for (auto _ : state) {
    auto prepared = PrepareChat(context, http);
    CHECK(prepared.ok());
    benchmark::DoNotOptimize(prepared);
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}
BENCHMARK(BM_ChatRequest)->Arg(100)->Arg(16 << 10)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace regatta
