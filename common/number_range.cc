// See number_range.h.
#include "common/number_range.h"

#include <cmath>
#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace regatta {
namespace {

constexpr size_t kShown = 40;

// Whole numbers with all their digits, others as they are shortest.
std::string Digits(double value) {
  if (value == std::floor(value) && std::abs(value) < 0x1p53) {
    return absl::StrCat(static_cast<int64_t>(value));
  }
  return absl::StrCat(value);
}

}  // namespace

std::string NumberRange::Text() const { return absl::StrCat(Digits(least), " to ", Digits(most)); }

std::string NumberRange::Problem(absl::string_view text) const {
  double value = 0;
  int64_t integer = 0;
  const bool parsed = whole ? absl::SimpleAtoi(text, &integer) : absl::SimpleAtod(text, &value);
  if (whole) value = static_cast<double>(integer);
  if (parsed && value >= least && value <= most) return "";
  const std::string shown(text.substr(0, kShown));
  // Digits alone that are too many to be read are outside of any range, too.
  const bool digits = !text.empty() && text.find_first_not_of("-0123456789") == text.npos;
  if ((parsed && !std::isnan(value)) || digits) {
    return absl::StrCat(shown, " is outside ", Text());
  }
  return absl::StrCat("'", shown, "' is no ", whole ? "whole " : "", "number; expected ", Text());
}

}  // namespace regatta
