// Numbers of JSON as states of an automaton, with limits compared digit by digit, exactly.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "router/grammar/nfa.h"

namespace regatta::grammar {

// A finite decimal number; no leading zeros in front ("0" at least), none behind.
struct Decimal {
  bool negative = false;
  std::string whole = "0";
  std::string fraction;

  bool is_zero() const { return whole == "0" && fraction.empty(); }
};

// Reads a number of JSON. INVALID_ARGUMENT when it has more than kMaxDecimalDigits digits before
// or behind the point.
inline constexpr size_t kMaxDecimalDigits = 40;
absl::StatusOr<Decimal> ParseDecimal(const std::string& number);

struct Limit {
  Decimal value;
  bool inclusive = true;
};

struct NumberLimits {
  std::optional<Limit> low;
  std::optional<Limit> high;
};

// Adds the numbers within `limits` between `from` and `to`. An integer has no fraction, no
// exponent and is not "-0". Other numbers may have an exponent of at most two digits, so that they
// stay within the range of a double; with limits they have none.
void WriteNumber(NfaBuilder& nfa, const NumberLimits& limits, bool integer, StateId from,
                 StateId to);

}  // namespace regatta::grammar
