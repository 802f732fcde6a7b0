// JSON written by hand: what a stream's events need, without a document in between.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace regatta {

// Appends `text` (well-formed UTF-8) as the inside of a JSON string.
void AppendEscaped(std::string_view text, std::string& out);

// Appends `text` in quotes.
void AppendJsonString(std::string_view text, std::string& out);

// Appends the name of a member to a path of fields: ".name", without the dot where the path is
// empty; `["a: b"]` where it is not of letters, digits, '_', '-' and '$' alone.
void AppendPathName(std::string_view name, std::string& path);

void AppendJsonNumber(uint64_t value, std::string& out);

// The shortest text that reads back as `value`; what JSON cannot say (-inf, NaN) as -9999.0, the
// log-probability that vLLM writes for "impossible".
void AppendJsonFloat(float value, std::string& out);

}  // namespace regatta
