// Numbers written in text, as Python reads them.
#pragma once

#include <optional>
#include <string_view>

#include "common/jinja/value.h"

namespace regatta::jinja {

// int(text, base), base 0 or 2 to 36. Nothing when Python refuses it or it has more than 128 bits.
std::optional<Integer> ParseInteger(std::string_view text, int base);
// float(text): decimal digits, "inf", "nan"; "_" between digits.
std::optional<double> ParseFloat(std::string_view text);
// int(value), without its fraction. Nothing for infinity, NaN and what has more than 127 bits.
std::optional<Integer> Truncate(double value);

}  // namespace regatta::jinja
