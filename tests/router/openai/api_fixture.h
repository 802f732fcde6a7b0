// ApiFixture: the OpenAI API over a fake server and a fake cluster, with a tiny tokenizer.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "router/openai/routes.h"
#include "tests/common/text/tiny_tokenizer.h"
#include "tests/router/openai/fake_exchange.h"
#include "tests/router/openai/fake_sink.h"

namespace regatta {

class ApiFixture : public testing::Test {
 protected:
  ApiFixture() {
    model_.name = "tiny";
    model_.vocab_size = 303;
    context_.model_names = {"tiny", "alias/of-tiny"};
    context_.tokenizer = tokenizer_.get();
    context_.max_seq_len = [this] { return max_seq_len_; };
    context_.retry_after_s = [] { return 7.2; };
    context_.fingerprint = "fp_test";
    context_.created_s = 1234;
    context_.inline_body_bytes = 1 << 30;  // Answers come before Send returns.
    context_.tool_syntax = ToolCallSyntax::kHermes;
    // "role:content|" of every message, the names of tools and variables before them.
    context_.render_chat = [](const ChatInput& input) -> absl::StatusOr<std::string> {
      std::string text;
      if (input.tools != nullptr) {
        for (const auto& tool : *input.tools) {
          text += "[" + tool.at("function").at("name").get<std::string>() + "]";
        }
      }
      if (input.variables != nullptr) text += input.variables->dump();
      for (const auto& message : input.messages) {
        if (message.at("content") == "refuse") return absl::InvalidArgumentError("raised: no");
        text += message.at("role").get<std::string>() + ":" +
                message.at("content").get<std::string>() + "|";
        if (message.contains("tool_calls")) text += message.at("tool_calls").dump();
      }
      if (input.add_generation_prompt) text += "assistant:";
      return text;
    };
  }

  // Sends a request; the routes are made at the first.
  std::shared_ptr<FakeExchange> Send(const std::string& method, const std::string& path,
                                     std::string body) {
    if (handlers_.empty()) {
      AddOpenAiRoutes([this](const std::string& m, const std::string& p,
                             HttpHandler handler) { handlers_[m + " " + p] = std::move(handler); },
                      context_);
    }
    HttpRequest request;
    request.method = method;
    request.path = path;
    request.headers = {{"content-type", "application/json"}};
    request.body = std::move(body);
    request.id = "req-1";
    auto exchange = std::make_shared<FakeExchange>(std::move(request));
    const bool model = method == "GET" && path.rfind("/v1/models/", 0) == 0;
    handlers_.at(method + " " + (model ? "/v1/models/{id}" : path))(exchange);
    return exchange;
  }
  std::shared_ptr<FakeExchange> Post(const std::string& path, const nlohmann::json& body) {
    return Send("POST", path, body.dump());
  }
  // A request that all is well with, and `changes` on top (RFC 7386).
  std::shared_ptr<FakeExchange> Chat(const nlohmann::json& changes = {}) {
    nlohmann::json body = {{"model", "tiny"},
                           {"messages", {{{"role", "user"}, {"content", "hello"}}}}};
    if (!changes.is_null()) body.update(changes);
    return Post("/v1/chat/completions", body);
  }
  std::shared_ptr<FakeExchange> Complete(const nlohmann::json& changes = {}) {
    nlohmann::json body = {{"model", "tiny"}, {"prompt", "hello"}};
    if (!changes.is_null()) body.update(changes);
    return Post("/v1/completions", body);
  }
  // Pushes a delta to request `index` of the cluster and lets the connection's thread run.
  void Push(FakeExchange& exchange, size_t index, TokenDelta delta) {
    sink_.Push(index, std::move(delta));
    exchange.Run();
  }
  // The last delta: of `prompt` tokens `cached` were in the cache.
  TokenDelta LastDelta(const std::string& text, const std::vector<uint32_t>& ids,
                       FinishReason reason = FINISH_REASON_STOP, uint32_t cached = 0) {
    TokenDelta delta = MakeDelta(text, ids, reason);
    delta.mutable_usage()->set_cached_tokens(cached);
    return delta;
  }
  GenerateRequest LastRequest() { return sink_.at(sink_.size() - 1).request; }

  std::unique_ptr<Tokenizer> tokenizer_ = LoadTiny();
  uint32_t max_seq_len_ = 100;
  ModelSpec model_;
  FakeSink sink_;
  OpenAiContext context_{.model = model_, .sink = sink_};
  std::map<std::string, HttpHandler> handlers_;
};

}  // namespace regatta
