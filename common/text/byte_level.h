// The byte-level alphabet of GPT-2: every byte written as one printable character, so that
// vocabularies are text. Source: github.com/openai/gpt-2, src/encoder.py, bytes_to_unicode().
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace regatta {

// The bytes that `token` (UTF-8 text over the alphabet) stands for; nullopt when a character is
// outside the alphabet.
std::optional<std::string> BytesOfByteLevel(std::string_view token);

}  // namespace regatta
