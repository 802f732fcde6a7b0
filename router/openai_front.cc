// The OpenAI API of a router; see openai_front.h.
#include "router/openai_front.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "common/text/chat_template.h"
#include "common/version.h"
#include "router/retry_after.h"

namespace regatta {
namespace {

// Null for models without a chat template, which complete text only.
absl::StatusOr<std::shared_ptr<const ChatTemplate>> LoadChatTemplate(const std::string& model_dir) {
  absl::StatusOr<std::unique_ptr<ChatTemplate>> loaded = ChatTemplate::Load(model_dir);
  if (absl::IsNotFound(loaded.status())) return nullptr;
  RETURN_IF_ERROR(loaded.status());
  return *std::move(loaded);
}

}  // namespace

absl::StatusOr<OpenAiContext> MakeOpenAiContext(const RouterOptions& options, const ModelSpec& spec,
                                                const Tokenizer* tokenizer,
                                                Coordinator& coordinator) {
  OpenAiContext api{.model_names = options.served_model_names, .model = spec, .sink = coordinator};
  if (api.model_names.empty()) api.model_names = {spec.name};
  api.tokenizer = tokenizer;
  ASSIGN_OR_RETURN(api.defaults, LoadGenerationDefaults(options.model_dir));
  ASSIGN_OR_RETURN(api.tool_syntax, ChooseToolCallSyntax(options.tool_call_syntax, tokenizer));
  ASSIGN_OR_RETURN(const std::shared_ptr<const ChatTemplate> chat,
                   LoadChatTemplate(options.model_dir));
  if (chat != nullptr) api.render_chat = [chat](const ChatInput& in) { return chat->Render(in); };
  api.max_seq_len = [&coordinator] { return coordinator.max_seq_len(); };
  const auto retry = std::make_shared<RetryAfterWatch>(
      [&coordinator](auto reply) { coordinator.State(std::move(reply)); });
  api.retry_after_s = [retry] { return retry->Seconds(); };
  api.log = options.http.log;
  api.fingerprint = absl::StrCat("fp_", std::string(BuildCommit()).substr(0, 10));
  api.created_s = absl::ToUnixSeconds(absl::Now());
  return api;
}

}  // namespace regatta
