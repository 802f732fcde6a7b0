// The numbers that a flag or a key of a configuration takes, and how others are refused: with the
// same words wherever they come from.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace regatta {

struct NumberRange {
  double least = 0;
  double most = 0;  // included; below 2^53
  bool whole = false;

  // "1 to 65536".
  std::string Text() const;
  // "" when `text` is a number in the range, else "0 is outside 1 to 65536" or "'x' is no whole
  // number; expected 1 to 65536". NaN is no number.
  std::string Problem(absl::string_view text) const;
};

}  // namespace regatta
