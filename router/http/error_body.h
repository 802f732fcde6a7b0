// The error object of the OpenAI API, which everything that answers over HTTP uses.
#pragma once

#include <string>
#include <string_view>

namespace regatta {

// {"error": {"message", "type", "param", "code"}}; empty `param` and `code` are null. Ill-formed
// UTF-8, as of a client's bytes quoted in `message`, becomes U+FFFD.
std::string ErrorBody(std::string_view message, std::string_view type, std::string_view param,
                      std::string_view code);

}  // namespace regatta
