// Which path means what, and on which thread it is read.
#include "router/openai/routes.h"

#include <atomic>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/string_views.h"
#include "router/openai/chat_request.h"
#include "router/openai/completion_request.h"
#include "router/openai/error.h"
#include "router/openai/generation.h"
#include "router/openai/long_prompt_pool.h"
#include "router/openai/models.h"
#include "router/openai/tokenize.h"

namespace regatta {
namespace {

using ContextPtr = std::shared_ptr<const OpenAiContext>;
using Prepare = absl::StatusOr<PreparedRequest> (*)(const OpenAiContext&, const HttpRequest&);
using Answer = absl::StatusOr<std::string> (*)(const OpenAiContext&, const HttpRequest&);
using Work = std::function<void(const ContextPtr&, const std::shared_ptr<Exchange>&)>;

constexpr std::string_view kModelsPath = "/v1/models/";

absl::Status CheckContentType(const HttpRequest& request) {
  const std::string_view type = request.Header("content-type");
  const std::string_view media = type.substr(0, type.find_first_of("; \t"));
  if (type.empty() || absl::EqualsIgnoreCase(View(media), "application/json")) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("content-type: is '", View(type.substr(0, 64)), "'; expected application/json"));
}

void Generate(Prepare prepare, const ContextPtr& context,
              const std::shared_ptr<Exchange>& exchange) {
  absl::StatusOr<PreparedRequest> prepared = prepare(*context, exchange->request());
  if (!prepared.ok()) return ReplyError(*exchange, prepared.status(), *context);
  Generation::Start(context, exchange, *std::move(prepared));
}

void Reply(const absl::StatusOr<std::string>& json, const OpenAiContext& context,
           Exchange& exchange) {
  if (!json.ok()) return ReplyError(exchange, json.status(), context);
  exchange.Reply(200, JsonHeaders(), *json);
}

// A handler whose `work` takes time with the size of the body: in place, or on `pool`.
HttpHandler BySize(ContextPtr context, std::shared_ptr<LongPromptPool> pool, Work work) {
  return [context = std::move(context), pool = std::move(pool),
          work = std::move(work)](std::shared_ptr<Exchange> exchange) {
    if (const absl::Status status = CheckContentType(exchange->request()); !status.ok()) {
      return ReplyError(*exchange, status, *context);
    }
    if (exchange->request().body.size() <= context->inline_body_bytes) {
      return work(context, exchange);
    }
    const auto gone = std::make_shared<std::atomic<bool>>(false);
    exchange->OnGone([gone] { gone->store(true); });
    // Not the pool itself: its last user must not be one of its threads.
    LongPromptPool::Task task = [context, work, exchange, gone] {
      if (!gone->load()) work(context, exchange);
    };
    if (pool->TryRun(exchange->request().body.size(), std::move(task))) return;
    ReplyError(*exchange,
               absl::ResourceExhaustedError(absl::StrCat(context->max_waiting_long_prompts,
                                                         " long prompts are waiting already")),
               *context);
  };
}

Work Generating(Prepare prepare) {
  return [prepare](const ContextPtr& context, const std::shared_ptr<Exchange>& exchange) {
    Generate(prepare, context, exchange);
  };
}

Work Answering(Answer answer) {
  return [answer](const ContextPtr& context, const std::shared_ptr<Exchange>& exchange) {
    Reply(answer(*context, exchange->request()), *context, *exchange);
  };
}

}  // namespace

void AddOpenAiRoutes(const AddRoute& add, OpenAiContext given) {
  CHECK(!given.model_names.empty());
  const ContextPtr context = std::make_shared<const OpenAiContext>(std::move(given));
  const auto pool = std::make_shared<LongPromptPool>(
      context->long_prompt_threads, context->max_waiting_long_prompts, context->huge_body_bytes);
  add("POST", "/v1/chat/completions", BySize(context, pool, Generating(PrepareChat)));
  add("POST", "/v1/completions", BySize(context, pool, Generating(PrepareCompletion)));
  add("POST", "/tokenize", BySize(context, pool, Answering(TokenizeJson)));
  add("POST", "/detokenize", BySize(context, pool, Answering(DetokenizeJson)));
  add("GET", "/v1/models", [context](std::shared_ptr<Exchange> exchange) {
    Reply(ModelListJson(*context), *context, *exchange);
  });
  add("GET", absl::StrCat(View(kModelsPath), "{id}"),
      [context](std::shared_ptr<Exchange> exchange) {
        const std::string_view path = exchange->request().path;
        Reply(ModelJson(*context, path.substr(kModelsPath.size())), *context, *exchange);
      });
}

}  // namespace regatta
