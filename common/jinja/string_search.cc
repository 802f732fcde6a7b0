// find, count, startswith, split, partition and their like; see string_search.h.
#include "common/jinja/string_search.h"

#include <algorithm>

#include "common/jinja/errors.h"
#include "common/jinja/operators.h"
#include "common/jinja/text_search.h"
#include "common/jinja/unicode.h"
#include "common/status_macros.h"

namespace regatta::jinja {
namespace {

constexpr size_t kNotFound = std::string_view::npos;

constexpr Side Direction(bool from_right) { return from_right ? Side::kRight : Side::kLeft; }

// Part of a text between `start` and `end` in code points, as str's methods take them.
struct Window {
  std::string_view text;
  size_t first = 0;    // code point where it begins
  bool exists = true;  // `start` is not behind the end: only then is nothing found in it
};

absl::StatusOr<Window> WindowOf(std::string_view text, const Bound& bound, Runtime& runtime) {
  RETURN_IF_ERROR(runtime.SpendText(text.size()));
  if (!bound.HasValue(1) && !bound.HasValue(2)) return Window{text};
  const CodePoints points(text);
  const auto size = static_cast<int64_t>(points.size());
  const auto clipped = [&](size_t i, int64_t fallback) -> absl::StatusOr<int64_t> {
    if (!bound.HasValue(i)) return fallback;
    ASSIGN_OR_RETURN(const int64_t place, bound.Int(i, fallback));
    return place < 0 ? std::max<int64_t>(0, place + size) : place;
  };
  ASSIGN_OR_RETURN(const int64_t start, clipped(1, 0));
  ASSIGN_OR_RETURN(int64_t end, clipped(2, size));
  end = std::min(end, size);
  if (start > end) return Window{"", static_cast<size_t>(std::min(start, size)), false};
  return Window{points.Range(start, end), static_cast<size_t>(start)};
}

// find, index, rfind, rindex.
template <bool FromRight, bool MustBeThere>
absl::StatusOr<Value> Find(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("find", arguments, {"sub", "start", "end"}, 1));
  ASSIGN_OR_RETURN(const std::string_view wanted, bound.String(0, ""));
  ASSIGN_OR_RETURN(const Window window, WindowOf(subject.string(), bound, runtime));
  size_t at = kNotFound;
  if (window.exists && wanted.empty()) {
    at = FromRight ? window.text.size() : 0;
  } else if (window.exists) {
    ASSIGN_OR_RETURN(const auto places,
                     FindPlaces(window.text, wanted, 1, Direction(FromRight), runtime));
    if (!places.empty()) at = places[0];
  }
  if (at != kNotFound) {
    return Value(static_cast<Integer>(window.first + CountCodePoints(window.text.substr(0, at))));
  }
  if (MustBeThere) return Error("substring not found");
  return Value(Integer{-1});
}

absl::StatusOr<Value> Count(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("count", arguments, {"sub", "start", "end"}, 1));
  ASSIGN_OR_RETURN(const std::string_view wanted, bound.String(0, ""));
  ASSIGN_OR_RETURN(const Window window, WindowOf(subject.string(), bound, runtime));
  if (!window.exists) return Value(Integer{0});
  if (wanted.empty()) return Value(static_cast<Integer>(CountCodePoints(window.text) + 1));
  ASSIGN_OR_RETURN(const auto places, FindPlaces(window.text, wanted, -1, Side::kLeft, runtime));
  return Value(static_cast<Integer>(places.size()));
}

// startswith and endswith: an affix, or a tuple of them.
template <bool AtStart>
absl::StatusOr<Value> HasAffix(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  const char* name = AtStart ? "startswith" : "endswith";
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make(name, arguments, {"affix", "start", "end"}, 1));
  ASSIGN_OR_RETURN(const Window window, WindowOf(subject.string(), bound, runtime));
  const Value& given = bound.At(0);
  Values affixes = {given};
  if (given.IsSequence() && given.sequence().type == Sequence::Type::kTuple) {
    RETURN_IF_ERROR(runtime.Spend(given.sequence().items.size()));
    affixes = given.sequence().items;
  }
  bool found = false;
  for (const Value& affix : affixes) {
    if (!affix.IsString()) {
      return Error(name, " first arg must be str or a tuple of str, not ", affix.TypeName());
    }
    const std::string_view text = window.text, wanted = affix.string();
    if (!window.exists || wanted.size() > text.size()) continue;
    found |= text.substr(AtStart ? 0 : text.size() - wanted.size(), wanted.size()) == wanted;
  }
  return Value(found);
}

// Pieces of `text` between runs of white space, in order.
std::vector<std::string_view> SplitAtSpace(std::string_view text, int64_t most, bool from_right) {
  std::vector<std::string_view> pieces;
  const Ends near = from_right ? Ends::kRight : Ends::kLeft;
  while (!(text = Strip(text, near)).empty()) {
    if (most >= 0 && static_cast<int64_t>(pieces.size()) == most) {
      pieces.push_back(text);
      break;
    }
    std::string_view rest = text;
    size_t taken = 0, length;
    while (!rest.empty()) {
      if (IsSpace(from_right ? DecodeLast(rest, &length) : DecodeFirst(rest, &length))) break;
      taken += length;
      from_right ? rest.remove_suffix(length) : rest.remove_prefix(length);
    }
    pieces.push_back(from_right ? text.substr(text.size() - taken) : text.substr(0, taken));
    text = rest;
  }
  if (from_right) std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

absl::StatusOr<std::vector<std::string_view>> SplitAtText(std::string_view text,
                                                          std::string_view separator, int64_t most,
                                                          Side from, Runtime& runtime) {
  ASSIGN_OR_RETURN(const auto places, FindPlaces(text, separator, most, from, runtime));
  std::vector<std::string_view> pieces;
  size_t begin = 0;
  for (const size_t place : places) {
    pieces.push_back(text.substr(begin, place - begin));
    begin = place + separator.size();
  }
  pieces.push_back(text.substr(begin));
  return pieces;
}

absl::StatusOr<Value> ListOf(const std::vector<std::string_view>& pieces, Runtime& runtime) {
  RETURN_IF_ERROR(runtime.Spend(pieces.size()));
  Values items;
  items.reserve(pieces.size());
  for (const std::string_view piece : pieces) items.emplace_back(piece);
  return runtime.NewList(std::move(items));
}

template <bool FromRight>
absl::StatusOr<Value> Split(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("split", arguments, {"sep", "maxsplit"}));
  ASSIGN_OR_RETURN(const int64_t most, bound.Int(1, -1));
  RETURN_IF_ERROR(runtime.Spend(subject.string().size() / 8));
  if (!bound.HasValue(0)) return ListOf(SplitAtSpace(subject.string(), most, FromRight), runtime);
  ASSIGN_OR_RETURN(const std::string_view separator, bound.String(0, ""));
  if (separator.empty()) return Error("empty separator");
  ASSIGN_OR_RETURN(const auto pieces,
                   SplitAtText(subject.string(), separator, most, Direction(FromRight), runtime));
  return ListOf(pieces, runtime);
}

absl::StatusOr<Value> SplitLinesOf(Runtime& runtime, const Value& subject,
                                   const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("splitlines", arguments, {"keepends"}));
  RETURN_IF_ERROR(runtime.Spend(subject.string().size() / 8));
  return ListOf(SplitLines(subject.string(), bound.Truthy(0)), runtime);
}

template <bool FromRight>
absl::StatusOr<Value> Partition(Runtime& runtime, const Value& subject,
                                const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("partition", arguments, {"sep"}, 1));
  ASSIGN_OR_RETURN(const std::string_view separator, bound.String(0, ""));
  if (separator.empty()) return Error("empty separator");
  const std::string_view text = subject.string();
  ASSIGN_OR_RETURN(const auto places,
                   FindPlaces(text, separator, 1, Direction(FromRight), runtime));
  if (places.empty()) {
    if (FromRight) return runtime.NewTuple({Value(""), Value(""), subject});
    return runtime.NewTuple({subject, Value(""), Value("")});
  }
  const size_t at = places[0];
  return runtime.NewTuple(
      {Value(text.substr(0, at)), Value(separator), Value(text.substr(at + separator.size()))});
}

constexpr NamedBuiltin kSearchMethods[] = {{"count", Count},
                                           {"endswith", HasAffix<false>},
                                           {"find", Find<false, false>},
                                           {"index", Find<false, true>},
                                           {"partition", Partition<false>},
                                           {"rfind", Find<true, false>},
                                           {"rindex", Find<true, true>},
                                           {"rpartition", Partition<true>},
                                           {"rsplit", Split<true>},
                                           {"split", Split<false>},
                                           {"splitlines", SplitLinesOf},
                                           {"startswith", HasAffix<true>}};

}  // namespace

Builtin FindSearchMethod(std::string_view name) { return FindIn(kSearchMethods, name); }

}  // namespace regatta::jinja
