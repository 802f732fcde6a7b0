// The formats of JSON Schema strings that are enforced, as patterns.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace regatta::grammar {

// The pattern of `format`; nullopt for others than FormatNames. Each gives strings that every
// validator should take, not all that one may take: dates are of the years 1000 to 9999 and never
// February 29, e-mail addresses have no quoted parts, URIs name a host. Lengths (63 characters for
// a part of a host's name) are not counted.
std::optional<std::string> FormatPattern(std::string_view format);

// The names of the formats, for a message.
std::string FormatNames();

}  // namespace regatta::grammar
