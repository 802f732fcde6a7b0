// The OpenAI-compatible API as routes of an HTTP server: chat completions, completions, models, and
// vLLM's tokenize and detokenize.
#pragma once

#include <functional>
#include <string>

#include "router/http/exchange.h"
#include "router/openai/context.h"

namespace regatta {

// Adds one route. A last segment in braces stands for any non-empty rest.
using AddRoute =
    std::function<void(const std::string& method, const std::string& path, HttpHandler handler)>;

// What `context` refers to must outlive the server and every request that the cluster still holds.
void AddOpenAiRoutes(const AddRoute& add, OpenAiContext context);

}  // namespace regatta
