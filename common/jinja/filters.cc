// Filters of single values, and the table of all.
#include "common/jinja/filters.h"

#include <cmath>
#include <cstdlib>
#include <limits>

#include "common/jinja/errors.h"
#include "common/jinja/numbers.h"
#include "common/jinja/operators.h"
#include "common/jinja/print.h"
#include "common/jinja/unicode.h"
#include "common/status_macros.h"

namespace regatta::jinja {
namespace {

absl::StatusOr<Value> Default(Runtime&, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound,
                   Bound::Make("default", arguments, {"default_value", "boolean"}));
  const bool replaced = subject.IsUndefined() || (bound.Truthy(1) && !subject.Truthy());
  if (!replaced) return subject;
  return bound.Has(0) ? bound.At(0) : Value("");
}

absl::StatusOr<Value> Abs(Runtime&, const Value& subject, const Arguments& arguments) {
  RETURN_IF_ERROR(Bound::Make("abs", arguments, {}).status());
  if (subject.kind() == Kind::kFloat) return Value(std::fabs(subject.number()));
  if (!subject.IsIntegral()) return Error("bad operand type for abs(): '", subject.TypeName(), "'");
  if (subject.integer() < 0) return Negate(subject);
  return Value(subject.integer());
}

absl::StatusOr<Value> Int(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("int", arguments, {"default", "base"}));
  ASSIGN_OR_RETURN(const int64_t base, bound.Int(1, 10));
  if (base != 0 && (base < 2 || base > 36)) return Error("int() base must be 0, or 2 to 36");
  if (subject.IsUndefined()) return Error(subject.undefined().Message());
  std::optional<Integer> value;
  if (subject.IsIntegral()) value = subject.integer();
  if (subject.kind() == Kind::kFloat) value = Truncate(subject.number());
  if (subject.IsString()) {
    RETURN_IF_ERROR(runtime.SpendText(subject.string().size()));
    value = ParseInteger(subject.string(), static_cast<int>(base));
    const std::optional<double> real = value ? std::nullopt : ParseFloat(subject.string());
    if (real) value = Truncate(*real);
  }
  if (value) return Value(*value);
  return bound.Has(0) ? bound.At(0) : Value(Integer{0});
}

absl::StatusOr<Value> Float(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("float", arguments, {"default"}));
  if (subject.IsUndefined()) return Error(subject.undefined().Message());
  if (subject.IsNumber()) return Value(subject.number());
  if (subject.IsString()) {
    RETURN_IF_ERROR(runtime.SpendText(subject.string().size()));
    if (const auto value = ParseFloat(subject.string())) return Value(*value);
  }
  return bound.Has(0) ? bound.At(0) : Value(0.0);
}

// To a multiple of 10 ** digits; ties to even multiples.
Integer RoundInteger(Integer value, int64_t digits) {
  if (digits > 37) return 0;
  Integer unit = 1;
  for (int64_t i = 0; i < digits; ++i) unit *= 10;
  Integer rest = value % unit;
  if (rest < 0) rest += unit;
  Integer low, high;
  if (__builtin_sub_overflow(value, rest, &low)) return value;  // None so low, or so high.
  const Integer gap = unit - rest;
  const bool up = rest > gap || (rest == gap && (low / unit) % 2 != 0);
  if (!up) return low;
  return __builtin_add_overflow(low, unit, &high) ? value : high;
}

absl::StatusOr<Value> Round(Runtime&, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("round", arguments, {"precision", "method"}));
  ASSIGN_OR_RETURN(const int64_t precision, bound.Int(0, 0));
  ASSIGN_OR_RETURN(const std::string_view method, bound.String(1, "common"));
  if (method != "common" && method != "ceil" && method != "floor") {
    return Error("method must be common, ceil or floor");
  }
  if (!subject.IsNumber()) return Error("type ", subject.TypeName(), " has no rounding");
  if (precision < -300 || precision > 300) return Error("round() precision is beyond 300");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = subject.number() * scale;
  if (method == "ceil") return Value(std::ceil(scaled) / scale);
  if (method == "floor") return Value(std::floor(scaled) / scale);
  if (subject.IsIntegral()) {
    return precision >= 0 ? subject : Value(RoundInteger(subject.integer(), -precision));
  }
  // Correctly rounded in decimal, as Python's.
  if (precision < 0) return Value(std::nearbyint(scaled) / scale);
  char text[700];
  std::snprintf(text, sizeof(text), "%.*f", static_cast<int>(precision), subject.number());
  return Value(ParseFloat(text).value_or(subject.number()));
}

absl::StatusOr<Value> String(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  RETURN_IF_ERROR(Bound::Make("string", arguments, {}).status());
  if (subject.IsString()) return subject;
  ASSIGN_OR_RETURN(std::string text, Str(subject, runtime));
  return Value(std::move(text));
}

// json.dumps' indent: None, a number of blanks, or a text.
absl::Status SetIndent(const Value& indent, JsonStyle& style) {
  constexpr Integer kMost = 64;
  if (indent.IsNone()) return absl::OkStatus();
  style.multiline = true;
  style.item_separator = ",";
  if (indent.IsString()) {
    style.indent = indent.string();
  } else if (indent.IsIntegral()) {
    if (indent.integer() > kMost) return Error("tojson() indents by at most 64");
    style.indent.assign(static_cast<size_t>(std::max<Integer>(0, indent.integer())), ' ');
  } else {
    return Error("tojson() takes an indent of type int or str, not ", indent.TypeName());
  }
  return absl::OkStatus();
}

absl::StatusOr<Value> ToJson(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(
      const Bound bound,
      Bound::Make("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"}));
  JsonStyle style;
  style.ensure_ascii = bound.Truthy(0);
  style.sort_keys = bound.Truthy(3);
  if (bound.Has(1)) RETURN_IF_ERROR(SetIndent(bound.At(1), style));
  if (bound.HasValue(2)) {
    ASSIGN_OR_RETURN(const Values pair, Iterate(bound.At(2), runtime));
    if (pair.size() != 2 || !pair[0].IsString() || !pair[1].IsString()) {
      return Error("tojson() takes separators as two strings");
    }
    style.item_separator = pair[0].string();
    style.key_separator = pair[1].string();
  }
  std::string text;
  RETURN_IF_ERROR(AppendJson(subject, style, runtime, text));
  return Value(std::move(text));
}

// The attribute, never the item.
absl::StatusOr<Value> Attr(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("attr", arguments, {"name"}, 1));
  ASSIGN_OR_RETURN(const std::string_view name, bound.String(0, ""));
  const Methods methods = FindMethods(name);
  const bool only_method = !subject.IsDict() || methods.of_dict != nullptr;
  if (only_method) return GetAttribute(subject, bound.At(0).string_ptr(), methods, runtime);
  return Value(Undefined{.text = bound.At(0).string_ptr(), .owner = subject.TypeName()});
}

constexpr NamedBuiltin kFilters[] = {{"abs", Abs},         {"attr", Attr},     {"d", Default},
                                     {"default", Default}, {"float", Float},   {"int", Int},
                                     {"round", Round},     {"string", String}, {"tojson", ToJson}};

}  // namespace

Builtin FindFilter(std::string_view name) {
  if (const Builtin found = FindIn(kFilters, name); found != nullptr) return found;
  for (const auto find : {FindTextFilter, FindItemFilter, FindChoiceFilter}) {
    if (const Builtin filter = find(name); filter != nullptr) return filter;
  }
  return nullptr;
}

}  // namespace regatta::jinja
