// Numbers by automaton; see number_states.h.
#include "router/grammar/number_states.h"

#include <algorithm>
#include <charconv>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

namespace regatta::grammar {
namespace {

// Digit `index` of a fraction, which goes on in zeros.
char DigitAt(const std::string& digits, size_t index) {
  return index < digits.size() ? digits[index] : '0';
}

// The numbers without sign between two limits. A state knows how many digits came, and whether
// they are all those of the lower, or of the upper limit so far: only then does that limit bear on
// the next digit.
class Magnitudes {
 public:
  // `high` without value: unlimited.
  Magnitudes(NfaBuilder& nfa, Limit low, std::optional<Limit> high, bool integer, StateId to)
      : nfa_(nfa), low_(std::move(low)), integer_(integer), to_(to), has_high_(high.has_value()) {
    if (high) high_ = *std::move(high);
    last_ = std::max(low_.value.fraction.size(), high_.value.fraction.size()) + 1;
  }

  void Write(StateId from) {
    const size_t low_digits = low_.value.whole.size(), high_digits = high_.value.whole.size();
    for (size_t length = low_digits; length <= (has_high_ ? high_digits : low_digits); ++length) {
      const Tight tight = {length == low_digits, has_high_ && length == high_digits};
      WriteWhole(from, length, 0, tight);
    }
    if (!has_high_) WriteLonger(from, low_digits);
  }

 private:
  // Equal so far to the lower, to the upper limit.
  struct Tight {
    bool low;
    bool high;
  };

  // More than `digits` digits in front of the point.
  void WriteLonger(StateId from, size_t digits) {
    StateId state = nfa_.AddState();
    nfa_.AddRange(from, '1', '9', state);
    for (size_t i = 0; i < digits; ++i) {
      const StateId next = nfa_.AddState();
      nfa_.AddRange(state, '0', '9', next);
      state = next;
    }
    nfa_.AddRange(state, '0', '9', state);
    nfa_.AddEpsilon(state, Point({false, false}));
  }

  // Digit `index` and the rest of `length` in front of the point.
  void WriteWhole(StateId state, size_t length, size_t index, Tight tight) {
    const char smallest = index == 0 && length > 1 ? '1' : '0';
    WriteDigits(state, DigitAt(low_.value.whole, index), DigitAt(high_.value.whole, index),
                smallest, tight, [&](Tight next) {
                  if (index + 1 == length) return Point(next);
                  const StateId following = nfa_.AddState();
                  WriteWhole(following, length, index + 1, next);
                  return following;
                });
  }

  // The state after the digits in front of the point.
  StateId Point(Tight tight) {
    const StateId state = nfa_.AddState();
    if (MayEnd(0, tight)) nfa_.AddEpsilon(state, to_);
    if (!integer_) nfa_.AddByte(state, '.', Fraction(0, tight));
    return state;
  }

  // The state before digit `index` of the fraction; beyond last_ all are alike.
  StateId Fraction(size_t index, Tight tight) {
    const size_t key = index * 4 + (tight.low ? 2 : 0) + (tight.high ? 1 : 0);
    if (auto found = fractions_.find(key); found != fractions_.end()) return found->second;
    const StateId state = nfa_.AddState();
    fractions_[key] = state;
    if (index > 0 && MayEnd(index, tight)) nfa_.AddEpsilon(state, to_);
    WriteDigits(state, DigitAt(low_.value.fraction, index), DigitAt(high_.value.fraction, index),
                '0', tight, [&](Tight next) { return Fraction(std::min(index + 1, last_), next); });
    return state;
  }

  template <typename Next>
  void WriteDigits(StateId state, char low, char high, char smallest, Tight tight, Next next) {
    StateId targets[2][2] = {{kNone, kNone}, {kNone, kNone}};
    for (char digit = smallest; digit <= '9'; ++digit) {
      if ((tight.low && digit < low) || (tight.high && digit > high)) continue;
      const Tight then = {tight.low && digit == low, tight.high && digit == high};
      StateId& target = targets[then.low][then.high];
      if (target == kNone) target = next(then);
      nfa_.AddByte(state, static_cast<uint8_t>(digit), target);
    }
  }

  // True when the number may end before digit `index` of the fraction.
  bool MayEnd(size_t index, Tight tight) const {
    const bool equals_low = index >= low_.value.fraction.size();
    const bool equals_high = index >= high_.value.fraction.size();
    if (tight.low && !(equals_low && low_.inclusive)) return false;
    return !tight.high || !equals_high || high_.inclusive;
  }

  NfaBuilder& nfa_;
  const Limit low_;
  Limit high_;
  const bool integer_;
  const StateId to_;
  const bool has_high_;
  size_t last_ = 0;
  absl::flat_hash_map<size_t, StateId> fractions_;
};

void WriteUnlimited(NfaBuilder& nfa, bool integer, StateId from, StateId to) {
  const StateId minus = nfa.AddState(), zero = nfa.AddState(), whole = nfa.AddState();
  nfa.AddByte(from, '-', minus);
  nfa.AddByte(from, '0', zero);
  nfa.AddRange(from, '1', '9', whole);
  nfa.AddRange(minus, '1', '9', whole);
  nfa.AddRange(whole, '0', '9', whole);
  nfa.AddEpsilon(zero, to);
  nfa.AddEpsilon(whole, to);
  if (integer) return;
  nfa.AddByte(minus, '0', zero);
  const StateId point = nfa.AddState(), fraction = nfa.AddState();
  const StateId exponent = nfa.AddState(), sign = nfa.AddState(), tens = nfa.AddState();
  for (StateId state : {zero, whole}) nfa.AddByte(state, '.', point);
  nfa.AddRange(point, '0', '9', fraction);
  nfa.AddRange(fraction, '0', '9', fraction);
  nfa.AddEpsilon(fraction, to);
  for (StateId state : {zero, whole, fraction}) {
    nfa.AddByte(state, 'e', exponent);
    nfa.AddByte(state, 'E', exponent);
  }
  nfa.AddByte(exponent, '+', sign);
  nfa.AddByte(exponent, '-', sign);
  for (StateId state : {exponent, sign}) nfa.AddRange(state, '0', '9', tens);
  nfa.AddRange(tens, '0', '9', to);
  nfa.AddEpsilon(tens, to);
}

}  // namespace

absl::StatusOr<Decimal> ParseDecimal(const std::string& number) {
  std::string_view text = number;
  const absl::Status too_long = absl::InvalidArgumentError(absl::StrCat(
      number, " has more than ", kMaxDecimalDigits, " digits before or behind the point"));
  Decimal result;
  result.negative = !text.empty() && text[0] == '-';
  if (result.negative) text.remove_prefix(1);
  int exponent = 0;
  if (const size_t e = text.find_first_of("eE"); e != std::string_view::npos) {
    std::string_view digits = text.substr(e + 1);
    if (!digits.empty() && digits[0] == '+') digits.remove_prefix(1);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
    if (error != std::errc() || std::abs(exponent) > 1000) return too_long;
    text = text.substr(0, e);
  }
  const size_t point = std::min(text.find('.'), text.size());
  std::string whole(text.substr(0, point));
  std::string fraction(point < text.size() ? text.substr(point + 1) : std::string_view());
  for (; exponent > 0; --exponent) {
    whole += DigitAt(fraction, 0);
    fraction.erase(0, 1);
  }
  for (; exponent < 0; ++exponent) {
    fraction.insert(fraction.begin(), whole.empty() ? '0' : whole.back());
    if (!whole.empty()) whole.pop_back();
  }
  whole.erase(0, whole.find_first_not_of('0'));
  fraction.erase(fraction.find_last_not_of('0') + 1);
  if (whole.size() > kMaxDecimalDigits || fraction.size() > kMaxDecimalDigits) return too_long;
  result.whole = whole.empty() ? "0" : whole;
  result.fraction = fraction;
  if (result.is_zero()) result.negative = false;
  return result;
}

void WriteNumber(NfaBuilder& nfa, const NumberLimits& limits, bool integer, StateId from,
                 StateId to) {
  const auto& [low, high] = limits;
  if (!low && !high) return WriteUnlimited(nfa, integer, from, to);
  auto magnitude = [](Limit limit) {
    limit.value.negative = false;
    return limit;
  };
  const Limit zero = {Decimal(), true}, above_zero = {Decimal(), false};
  if (!high || !high->value.negative) {
    const bool low_is_above = low && !low->value.negative;
    Magnitudes(nfa, low_is_above ? *low : zero, high, integer, to).Write(from);
  }
  if (!low || low->value.negative) {
    const StateId minus = nfa.AddState();
    nfa.AddByte(from, '-', minus);
    const bool high_is_below = high && high->value.negative;
    std::optional<Limit> largest;
    if (low) largest = magnitude(*low);
    Magnitudes(nfa, high_is_below ? magnitude(*high) : above_zero, largest, integer, to)
        .Write(minus);
  }
}

}  // namespace regatta::grammar
