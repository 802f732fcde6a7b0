// The OpenAI API of a router: the served model's files, names and cluster put together.
#pragma once

#include "absl/status/statusor.h"
#include "common/model_spec.h"
#include "common/text/tokenizer.h"
#include "router/cluster/coordinator.h"
#include "router/openai/context.h"
#include "router/options.h"

namespace regatta {

// What the API's routes need to serve `spec` on `coordinator`, as `options` name it. `tokenizer`
// may be null. All of them must outlive the context. INVALID_ARGUMENT names a file of the model
// that is wrong.
absl::StatusOr<OpenAiContext> MakeOpenAiContext(const RouterOptions& options, const ModelSpec& spec,
                                                const Tokenizer* tokenizer,
                                                Coordinator& coordinator);

}  // namespace regatta
