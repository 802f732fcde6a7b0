// Filters of texts; they take any value by its str().
#include <algorithm>

#include "common/jinja/errors.h"
#include "common/jinja/filters.h"
#include "common/jinja/operators.h"
#include "common/jinja/print.h"
#include "common/jinja/string_methods.h"
#include "common/jinja/unicode.h"
#include "common/status_macros.h"

namespace regatta::jinja {
namespace {

template <std::string (*Map)(std::string_view)>
absl::StatusOr<Value> Mapped(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  RETURN_IF_ERROR(Bound::Make("filter", arguments, {}).status());
  ASSIGN_OR_RETURN(const std::string text, Str(subject, runtime));
  RETURN_IF_ERROR(runtime.SpendText(3 * text.size()));
  return Value(Map(text));
}

// Jinja's own: words begin after white space and opening brackets, and hyphens.
std::string Title(std::string_view text) {
  std::string out;
  const auto ends_word = [](char32_t c) {
    return IsSpace(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
  };
  while (!text.empty()) {
    size_t length = 0, taken = 0;
    const bool separators = ends_word(DecodeFirst(text, &length));
    while (taken < text.size() &&
           ends_word(DecodeFirst(text.substr(taken), &length)) == separators) {
      taken += length;
    }
    const std::string_view run = text.substr(0, taken);
    if (separators) {
      out += run;
    } else {
      DecodeFirst(run, &length);
      out += ToUpper(run.substr(0, length)) + ToLower(run.substr(length));
    }
    text.remove_prefix(taken);
  }
  return out;
}

std::string Escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

absl::StatusOr<Value> Trim(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::string text, Str(subject, runtime));
  return StripText(runtime, text, Ends::kBoth, arguments);
}

absl::StatusOr<Value> Replace(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound,
                   Bound::Make("replace", arguments, {"old", "new", "count"}, 2));
  ASSIGN_OR_RETURN(const std::string text, Str(subject, runtime));
  ASSIGN_OR_RETURN(const std::string old, Str(bound.At(0), runtime));
  ASSIGN_OR_RETURN(const std::string replacement, Str(bound.At(1), runtime));
  int64_t count = -1;
  if (bound.HasValue(2)) {
    ASSIGN_OR_RETURN(count, bound.Int(2, -1));
  }
  return ReplaceText(text, old, replacement, count, runtime);
}

absl::StatusOr<Value> Center(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("center", arguments, {"width"}));
  ASSIGN_OR_RETURN(const int64_t width, bound.Int(0, 80));
  ASSIGN_OR_RETURN(const std::string text, Str(subject, runtime));
  return PadText(text, width, Align::kCenter, " ", runtime);
}

absl::StatusOr<std::string> IndentOf(const Bound& bound, Runtime& runtime) {
  if (bound.Has(0) && bound.At(0).IsString()) return std::string(bound.At(0).string());
  ASSIGN_OR_RETURN(const int64_t width, bound.Int(0, 4));
  RETURN_IF_ERROR(runtime.SpendText(static_cast<size_t>(std::max<int64_t>(0, width))));
  return std::string(static_cast<size_t>(std::max<int64_t>(0, width)), ' ');
}

absl::StatusOr<Value> Indent(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound,
                   Bound::Make("indent", arguments, {"width", "first", "blank"}));
  ASSIGN_OR_RETURN(const std::string indent, IndentOf(bound, runtime));
  ASSIGN_OR_RETURN(std::string text, Str(subject, runtime));
  text += '\n';  // So that a last line feed counts as one.
  const std::vector<std::string_view> lines = SplitLines(text, /*keep_ends=*/false);
  std::string out = bound.Truthy(1) ? indent : "";
  for (size_t i = 0; i < lines.size(); ++i) {
    RETURN_IF_ERROR(runtime.SpendAppend(out.size(), lines[i].size() + indent.size() + 1));
    if (i > 0) out += '\n';
    if (i > 0 && (!lines[i].empty() || bound.Truthy(2))) out += indent;
    out += lines[i];
  }
  return Value(std::move(out));
}

absl::StatusOr<Value> Truncate(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound,
                   Bound::Make("truncate", arguments, {"length", "killwords", "end", "leeway"}));
  ASSIGN_OR_RETURN(const int64_t length, bound.Int(0, 255));
  ASSIGN_OR_RETURN(const std::string_view end, bound.String(2, "..."));
  int64_t leeway = 5;
  if (bound.HasValue(3)) {
    ASSIGN_OR_RETURN(leeway, bound.Int(3, 5));
  }
  ASSIGN_OR_RETURN(const std::string text, Str(subject, runtime));
  const CodePoints points(text);
  const auto end_size = static_cast<int64_t>(CountCodePoints(end));
  if (length < end_size || leeway < 0) return Error("truncate() is shorter than its own end");
  if (static_cast<int64_t>(points.size()) <= length ||
      static_cast<int64_t>(points.size()) - length <= leeway) {
    return Value(text);
  }
  std::string_view kept = points.Range(0, static_cast<size_t>(length - end_size));
  if (!bound.Truthy(1)) kept = kept.substr(0, kept.rfind(' '));
  return Value(Concat(kept, end));
}

absl::StatusOr<Value> WordCount(Runtime& runtime, const Value& subject,
                                const Arguments& arguments) {
  RETURN_IF_ERROR(Bound::Make("wordcount", arguments, {}).status());
  ASSIGN_OR_RETURN(const std::string text, Str(subject, runtime));
  Integer words = 0;
  bool in_word = false;
  std::string_view rest = text;
  for (size_t length; !rest.empty(); rest.remove_prefix(length)) {
    const char32_t c = DecodeFirst(rest, &length);
    const bool is_word = IsAlpha(c) || IsDecimal(c) || c == '_';
    words += is_word && !in_word;
    in_word = is_word;
  }
  return Value(words);
}

// printf's way; either positional or named arguments.
absl::StatusOr<Value> Format(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::string format, Str(subject, runtime));
  if (!arguments.positional.empty() && !arguments.named.empty()) {
    return Error("can't handle positional and keyword arguments at the same time");
  }
  if (arguments.named.empty()) {
    ASSIGN_OR_RETURN(const Value values, runtime.NewTuple(arguments.positional));
    return FormatPercent(format, values, runtime);
  }
  Dict named;
  for (const auto& [name, value] : arguments.named) named.Append(Value(name), value);
  ASSIGN_OR_RETURN(const Value values, runtime.NewDict(std::move(named)));
  return FormatPercent(format, values, runtime);
}

constexpr NamedBuiltin kTextFilters[] = {{"capitalize", Mapped<Capitalize>},
                                         {"center", Center},
                                         {"e", Mapped<Escape>},
                                         {"escape", Mapped<Escape>},
                                         {"format", Format},
                                         {"forceescape", Mapped<Escape>},
                                         {"indent", Indent},
                                         {"lower", Mapped<ToLower>},
                                         {"replace", Replace},
                                         {"title", Mapped<Title>},
                                         {"trim", Trim},
                                         {"truncate", Truncate},
                                         {"upper", Mapped<ToUpper>},
                                         {"wordcount", WordCount}};

}  // namespace

Builtin FindTextFilter(std::string_view name) { return FindIn(kTextFilters, name); }

}  // namespace regatta::jinja
