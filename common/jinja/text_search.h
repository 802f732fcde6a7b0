// Searching for texts in texts, in linear time whatever both are: clients may choose them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/jinja/runtime.h"

namespace regatta::jinja {

// Where `wanted` first stands in `text`; npos when nowhere.
size_t FindText(std::string_view text, std::string_view wanted);

// Where `wanted`, which is not empty, stands in `text`, not overlapping, counted from the left or
// from the right: the first `most` places (negative: all), in the order of the text. Pays for the
// search and for each place.
enum class Side { kLeft, kRight };
absl::StatusOr<std::vector<size_t>> FindPlaces(std::string_view text, std::string_view wanted,
                                               int64_t most, Side from, Runtime& runtime);

}  // namespace regatta::jinja
