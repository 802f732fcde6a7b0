// Messages of a conversation as templates want them, from messages as the OpenAI API has them.
#pragma once

#include <cstddef>

#include "absl/status/statusor.h"
#include "router/openai/request_fields.h"

namespace regatta {

inline constexpr size_t kMaxMessages = 4096;
inline constexpr size_t kMaxContentParts = 1024;  // of one message

// Reads and checks `messages` (required); errors go to `fields`. In the result content is text
// (text parts joined by line feeds, as vLLM does; "" where an assistant only called tools),
// arguments of calls are objects instead of JSON in a string, and the role developer is system, the
// name by which templates know it. Parts other than text are refused: nothing is ever fetched.
OrderedJson ReadMessages(RequestFields& fields);

}  // namespace regatta
