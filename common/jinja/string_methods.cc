// Methods of str that make texts of a text; those that search and split: string_search.cc.
#include "common/jinja/string_methods.h"

#include <algorithm>

#include "common/jinja/errors.h"
#include "common/jinja/operators.h"
#include "common/jinja/string_search.h"
#include "common/jinja/text_search.h"
#include "common/status_macros.h"

namespace regatta::jinja {
namespace {

template <std::string (*Map)(std::string_view)>
absl::StatusOr<Value> Mapped(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  RETURN_IF_ERROR(Bound::Make("method", arguments, {}).status());
  RETURN_IF_ERROR(runtime.SpendText(3 * subject.string().size()));
  return Value(Map(subject.string()));
}

template <Ends Where>
absl::StatusOr<Value> Stripped(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  return StripText(runtime, subject.string(), Where, arguments);
}

template <Align Where>
absl::StatusOr<Value> Padded(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("center", arguments, {"width", "fillchar"}, 1));
  ASSIGN_OR_RETURN(const int64_t width, bound.Int(0, 0));
  ASSIGN_OR_RETURN(const std::string_view fill, bound.String(1, " "));
  if (CountCodePoints(fill) != 1) return Error("the fill character must be exactly one character");
  return PadText(subject.string(), width, Where, fill, runtime);
}

// Sign first, then zeros.
absl::StatusOr<Value> ZFill(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("zfill", arguments, {"width"}, 1));
  ASSIGN_OR_RETURN(const int64_t width, bound.Int(0, 0));
  const std::string_view text = subject.string();
  if (width <= 0) return subject;
  const bool has_sign = !text.empty() && (text[0] == '-' || text[0] == '+');
  ASSIGN_OR_RETURN(Value padded,
                   PadText(text.substr(has_sign), width - has_sign, Align::kRight, "0", runtime));
  if (!has_sign) return padded;
  return Value(Concat(text.substr(0, 1), padded.string()));
}

absl::StatusOr<Value> Replace(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound,
                   Bound::Make("replace", arguments, {"old", "new", "count"}, 2));
  ASSIGN_OR_RETURN(const std::string_view old, bound.String(0, ""));
  ASSIGN_OR_RETURN(const std::string_view replacement, bound.String(1, ""));
  ASSIGN_OR_RETURN(const int64_t count, bound.Int(2, -1));
  return ReplaceText(subject.string(), old, replacement, count, runtime);
}

absl::StatusOr<Value> Join(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("join", arguments, {"iterable"}, 1));
  ASSIGN_OR_RETURN(const Values items, Iterate(bound.At(0), runtime));
  std::string text;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].IsString()) {
      return Error("sequence item ", std::to_string(i), ": expected str instance, ",
                   items[i].TypeName(), " found");
    }
    RETURN_IF_ERROR(
        runtime.SpendAppend(text.size(), subject.string().size() + items[i].string().size()));
    if (i > 0) text += subject.string();
    text += items[i].string();
  }
  return Value(std::move(text));
}

template <bool Prefix>
absl::StatusOr<Value> Removed(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("removeprefix", arguments, {"affix"}, 1));
  ASSIGN_OR_RETURN(const std::string_view affix, bound.String(0, ""));
  std::string_view text = subject.string();
  RETURN_IF_ERROR(runtime.SpendText(text.size()));
  if (affix.empty() || affix.size() > text.size()) return subject;
  const size_t rest = text.size() - affix.size();
  if (Prefix && text.substr(0, affix.size()) == affix) return Value(text.substr(affix.size()));
  if (!Prefix && text.substr(rest) == affix) return Value(text.substr(0, rest));
  return subject;
}

bool IsAlnum(char32_t c) { return IsAlpha(c) || IsNumeric(c); }

// True when there are characters and all are of that kind.
template <bool (*Each)(char32_t)>
absl::StatusOr<Value> AllAre(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  RETURN_IF_ERROR(Bound::Make("method", arguments, {}).status());
  std::string_view rest = subject.string();
  RETURN_IF_ERROR(runtime.SpendText(rest.size()));
  if (rest.empty()) return Value(false);
  for (size_t length; !rest.empty(); rest.remove_prefix(length)) {
    if (!Each(DecodeFirst(rest, &length))) return Value(false);
  }
  return Value(true);
}

absl::StatusOr<Value> IsUpperText(Runtime& runtime, const Value& subject, const Arguments& args) {
  return FindTest("upper")(runtime, subject, args);
}
absl::StatusOr<Value> IsLowerText(Runtime& runtime, const Value& subject, const Arguments& args) {
  return FindTest("lower")(runtime, subject, args);
}

absl::StatusOr<Value> Format(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  return FormatBraces(subject.string(), arguments, runtime);
}

constexpr NamedBuiltin kMethods[] = {
    {"capitalize", Mapped<Capitalize>},
    {"center", Padded<Align::kCenter>},
    {"format", Format},
    {"isalnum", AllAre<IsAlnum>},
    {"isalpha", AllAre<IsAlpha>},
    {"isdigit", AllAre<IsDigit>},
    {"islower", IsLowerText},
    {"isnumeric", AllAre<IsNumeric>},
    {"isspace", AllAre<IsSpace>},
    {"isupper", IsUpperText},
    {"join", Join},
    {"ljust", Padded<Align::kLeft>},
    {"lower", Mapped<ToLower>},
    {"lstrip", Stripped<Ends::kLeft>},
    {"removeprefix", Removed<true>},
    {"removesuffix", Removed<false>},
    {"replace", Replace},
    {"rjust", Padded<Align::kRight>},
    {"rstrip", Stripped<Ends::kRight>},
    {"strip", Stripped<Ends::kBoth>},
    {"title", Mapped<ToTitle>},
    {"upper", Mapped<ToUpper>},
    {"zfill", ZFill},
};

}  // namespace

Builtin FindStringMethod(std::string_view name) {
  if (const Builtin found = FindIn(kMethods, name); found != nullptr) return found;
  return FindSearchMethod(name);
}

// Nothing stands before every character, and at the end.
absl::StatusOr<std::vector<size_t>> EmptyPlaces(std::string_view text, int64_t most,
                                                Runtime& runtime) {
  std::vector<size_t> places;
  for (size_t at = 0, length = 1; most < 0 || static_cast<int64_t>(places.size()) < most;
       at += length) {
    RETURN_IF_ERROR(runtime.Spend(1));
    places.push_back(at);
    if (at == text.size()) break;
    DecodeFirst(text.substr(at), &length);
  }
  return places;
}

absl::StatusOr<Value> ReplaceText(std::string_view text, std::string_view old,
                                  std::string_view replacement, int64_t count, Runtime& runtime) {
  ASSIGN_OR_RETURN(const auto places, old.empty()
                                          ? EmptyPlaces(text, count, runtime)
                                          : FindPlaces(text, old, count, Side::kLeft, runtime));
  std::string out;
  size_t done = 0;
  for (const size_t place : places) {
    RETURN_IF_ERROR(runtime.SpendAppend(out.size(), place - done + replacement.size()));
    out.append(text.substr(done, place - done)).append(replacement);
    done = place + old.size();
  }
  RETURN_IF_ERROR(runtime.SpendAppend(out.size(), text.size() - done));
  out.append(text.substr(done));
  return Value(std::move(out));
}

absl::StatusOr<Value> PadText(std::string_view text, int64_t width, Align align,
                              std::string_view fill, Runtime& runtime) {
  RETURN_IF_ERROR(runtime.SpendText(text.size()));
  const auto size = static_cast<int64_t>(CountCodePoints(text));
  if (width <= size) return Value(text);
  const int64_t missing = width - size;
  RETURN_IF_ERROR(runtime.SpendAppend(text.size(), static_cast<size_t>(missing)));
  RETURN_IF_ERROR(runtime.SpendAppend(text.size(), static_cast<size_t>(missing) * fill.size()));
  // CPython's: an odd rest goes to the left of a text of even length in an odd width.
  int64_t left = missing / 2 + (missing & width & 1);
  if (align != Align::kCenter) left = align == Align::kRight ? missing : 0;
  std::string out;
  for (int64_t i = 0; i < left; ++i) out += fill;
  out += text;
  for (int64_t i = left; i < missing; ++i) out += fill;
  return Value(std::move(out));
}

// Each is looked for at each place.
constexpr size_t kMaxStripped = 256;

absl::StatusOr<Value> StripText(Runtime& runtime, std::string_view text, Ends ends,
                                const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("strip", arguments, {"chars"}));
  RETURN_IF_ERROR(runtime.SpendText(text.size()));
  if (!bound.HasValue(0)) return Value(Strip(text, ends));
  ASSIGN_OR_RETURN(const std::string_view chars, bound.String(0, ""));
  if (chars.size() > kMaxStripped) {
    return Error("strip() takes at most ", std::to_string(kMaxStripped), " bytes to strip");
  }
  return Value(Strip(text, ends, &chars));
}

}  // namespace regatta::jinja
