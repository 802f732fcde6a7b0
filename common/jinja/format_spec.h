// One formatted value: width, alignment, sign, precision and type, as str.format and % have them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/jinja/runtime.h"
#include "common/jinja/value.h"

namespace regatta::jinja {

struct FormatSpec {
  std::string fill = " ";  // one code point
  char align = '\0';       // '<', '>', '^', '=' (between sign and digits), or the type's own
  char sign = '-';         // '+' and ' ': before numbers that are not negative
  bool alternate = false;  // 0x, 0o, 0b
  char grouping = '\0';    // ',' or '_' between thousands
  int64_t width = 0;
  int64_t precision = -1;  // none
  char type = '\0';        // none
};

inline constexpr int64_t kMaxPrecision = 300;

// "[[fill]align][sign][#][0][width][grouping][.precision][type]"
absl::StatusOr<FormatSpec> ParseFormatSpec(std::string_view text);

// Appends. Errors: the type does not fit the value, or the runtime's limits.
absl::Status FormatText(std::string_view text, const FormatSpec& spec, Runtime& runtime,
                        std::string& out);
absl::Status FormatNumber(const Value& number, const FormatSpec& spec, Runtime& runtime,
                          std::string& out);

}  // namespace regatta::jinja
