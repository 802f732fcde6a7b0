// printf's formatting of `%` and the format filter, and the plain part of str.format.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "common/jinja/errors.h"
#include "common/jinja/operators.h"
#include "common/jinja/print.h"
#include "common/jinja/string_methods.h"
#include "common/jinja/unicode.h"
#include "common/status_macros.h"

namespace regatta::jinja {
namespace {

constexpr int kMaxPrecision = 100;

// One conversion: %(key)[flags][width][.precision]type.
struct Conversion {
  std::optional<std::string_view> key;
  bool left = false, sign = false, blank = false, alternate = false, zero = false;
  int64_t width = 0;
  int precision = -1;
  char type = 0;
};

class PercentFormatter {
 public:
  PercentFormatter(std::string_view format, const Value& value, Runtime& runtime)
      : rest_(format), value_(value), runtime_(runtime) {}

  absl::StatusOr<Value> Run() {
    const bool is_tuple = value_.IsSequence() && value_.sequence().type == Sequence::Type::kTuple;
    items_ = is_tuple ? value_.sequence().items : Values{value_};
    while (true) {
      const size_t at = rest_.find('%');
      RETURN_IF_ERROR(Append(rest_.substr(0, at)));
      if (at == std::string_view::npos) break;
      rest_.remove_prefix(at + 1);
      RETURN_IF_ERROR(Convert());
    }
    const bool all_used = next_ >= items_.size() || used_key_ || (!is_tuple && value_.IsDict());
    if (!all_used) return Error("not all arguments converted during string formatting");
    return Value(std::move(out_));
  }

 private:
  absl::Status Append(std::string_view text) {
    RETURN_IF_ERROR(runtime_.SpendAppend(out_.size(), text.size()));
    out_ += text;
    return absl::OkStatus();
  }

  absl::Status Convert() {
    ASSIGN_OR_RETURN(const Conversion conversion, Parse());
    if (conversion.type == '%') return Append("%");
    ASSIGN_OR_RETURN(const Value value, ValueFor(conversion));
    ASSIGN_OR_RETURN(std::string text, TextOf(conversion, value));
    const bool pads_zero = conversion.zero && !conversion.left && value.IsNumber() &&
                           std::string_view("sr").find(conversion.type) == std::string_view::npos;
    if (pads_zero) {
      const size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+' || text[0] == ' ');
      ASSIGN_OR_RETURN(const Value padded,
                       PadText(std::string_view(text).substr(sign),
                               conversion.width - int64_t(sign), Align::kRight, "0", runtime_));
      return Append(Concat(text.substr(0, sign), padded.string()));
    }
    ASSIGN_OR_RETURN(const Value padded,
                     PadText(text, conversion.width, conversion.left ? Align::kLeft : Align::kRight,
                             " ", runtime_));
    return Append(padded.string());
  }

  absl::StatusOr<int64_t> Number() {
    int64_t number = 0;
    while (!rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9') {
      number = std::min<int64_t>(number * 10 + (rest_[0] - '0'), int64_t{1} << 40);
      rest_.remove_prefix(1);
    }
    return number;
  }

  absl::StatusOr<Conversion> Parse() {
    Conversion conversion;
    if (!rest_.empty() && rest_[0] == '(') {
      const size_t end = rest_.find(')');
      if (end == std::string_view::npos) return Error("incomplete format key");
      conversion.key = rest_.substr(1, end - 1);
      rest_.remove_prefix(end + 1);
    }
    for (; !rest_.empty(); rest_.remove_prefix(1)) {
      if (rest_[0] == '-')
        conversion.left = true;
      else if (rest_[0] == '+')
        conversion.sign = true;
      else if (rest_[0] == ' ')
        conversion.blank = true;
      else if (rest_[0] == '#')
        conversion.alternate = true;
      else if (rest_[0] == '0')
        conversion.zero = true;
      else
        break;
    }
    ASSIGN_OR_RETURN(conversion.width, Number());
    if (!rest_.empty() && rest_[0] == '.') {
      rest_.remove_prefix(1);
      ASSIGN_OR_RETURN(const int64_t precision, Number());
      conversion.precision = static_cast<int>(std::min<int64_t>(precision, 1 << 30));
    }
    if (rest_.empty()) return Error("incomplete format");
    conversion.type = rest_[0];
    rest_.remove_prefix(1);
    return conversion;
  }

  absl::StatusOr<Value> ValueFor(const Conversion& conversion) {
    if (!conversion.key) {
      if (next_ >= items_.size()) return Error("not enough arguments for format string");
      return items_[next_++];
    }
    if (!value_.IsDict()) return Error("format requires a mapping");
    used_key_ = true;
    const Value* found = value_.dict().Find(*conversion.key);
    if (found == nullptr) return Error("the mapping has no key '", *conversion.key, "'");
    return *found;
  }

  absl::StatusOr<std::string> TextOf(const Conversion& conversion, const Value& value) {
    switch (conversion.type) {
      case 's':
      case 'r':
        return Shown(conversion, value);
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o':
        return IntegerShown(conversion, value);
      case 'f':
      case 'F':
      case 'e':
      case 'E':
      case 'g':
      case 'G':
        return FloatShown(conversion, value);
      case 'c':
        if (value.IsString() && CountCodePoints(value.string()) == 1) {
          return std::string(value.string());
        }
        return Error("%c requires a character here");
      default:
        return Error("unsupported format character '", std::string_view(&conversion.type, 1), "'");
    }
  }

  absl::StatusOr<std::string> Shown(const Conversion& conversion, const Value& value) {
    std::string text;
    RETURN_IF_ERROR(conversion.type == 's' ? AppendStr(value, runtime_, text)
                                           : AppendRepr(value, runtime_, text));
    if (conversion.precision < 0) return text;
    const CodePoints points(text);
    const size_t kept = std::min<size_t>(points.size(), conversion.precision);
    return std::string(points.Range(0, kept));
  }

  absl::StatusOr<std::string> IntegerShown(const Conversion& conversion, const Value& value) {
    const bool decimal = std::string_view("diu").find(conversion.type) != std::string_view::npos;
    if (!value.IsIntegral() && !(decimal && value.kind() == Kind::kFloat)) {
      return Error("%", std::string_view(&conversion.type, 1),
                   " format: ", decimal ? "a real number" : "an integer", " is required, not ",
                   value.TypeName());
    }
    if (!value.IsIntegral() && !(std::fabs(value.number()) < 1e38)) {
      return Error("cannot convert float to an integer of 128 bits");
    }
    const Integer number =
        value.IsIntegral() ? value.integer() : static_cast<Integer>(value.number());
    const std::string sign = number < 0 ? "-" : Sign(conversion);
    std::string digits = decimal ? IntegerText(number) : Digits(number, conversion);
    if (!digits.empty() && digits[0] == '-') digits.erase(0, 1);
    if (conversion.precision > kMaxPrecision) return TooPrecise();
    while (static_cast<int>(digits.size()) < conversion.precision) digits.insert(0, "0");
    if (conversion.alternate && !decimal) digits.insert(0, {'0', conversion.type});
    return sign + digits;
  }

  static std::string Digits(Integer number, const Conversion& conversion) {
    __extension__ typedef unsigned __int128 Unsigned;
    Unsigned rest = number < 0 ? -static_cast<Unsigned>(number) : static_cast<Unsigned>(number);
    const char* symbols = conversion.type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    const unsigned base = conversion.type == 'o' ? 8 : 16;
    std::string digits;
    do {
      digits.insert(digits.begin(), symbols[static_cast<unsigned>(rest % base)]);
      rest /= base;
    } while (rest != 0);
    return digits;
  }

  absl::StatusOr<std::string> FloatShown(const Conversion& conversion, const Value& value) {
    if (!value.IsNumber()) return Error("must be real number, not ", value.TypeName());
    if (conversion.precision > kMaxPrecision) return TooPrecise();
    const std::string format = {'%', '.', '*', conversion.type};
    char text[512];
    const double number = value.number();
    std::snprintf(text, sizeof(text), format.c_str(),
                  conversion.precision < 0 ? 6 : conversion.precision, number);
    return (std::signbit(number) ? "" : Sign(conversion)) + text;
  }

  static std::string Sign(const Conversion& conversion) {
    return conversion.sign ? "+" : conversion.blank ? " " : "";
  }
  static absl::Status TooPrecise() {
    return Error("a format's precision is over ", std::to_string(kMaxPrecision));
  }

  std::string_view rest_;
  const Value& value_;
  Runtime& runtime_;
  Values items_;
  size_t next_ = 0;
  bool used_key_ = false;
  std::string out_;
};

// What the fields of str.format name: {}, {0} or {name}.
class FieldNames {
 public:
  explicit FieldNames(const Arguments& arguments) : arguments_(arguments) {}

  absl::StatusOr<Value> ValueOf(std::string_view name) {
    const bool is_index =
        std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (is_index && name.size() < 9) return Positional(name);
    if (const Value* found = arguments_.Named(name); found != nullptr) return *found;
    return Error("format() has no argument '", name, "'");
  }

 private:
  absl::StatusOr<Value> Positional(std::string_view name) {
    (name.empty() ? counts_ : numbers_) = true;
    if (counts_ && numbers_) {
      return Error("cannot mix automatic field numbering and manual field specification");
    }
    const size_t index = name.empty() ? next_++ : std::stoul(std::string(name));
    if (index < arguments_.positional.size()) return arguments_.positional[index];
    return Error("Replacement index ", std::to_string(index),
                 " out of range for positional args tuple");
  }

  const Arguments& arguments_;
  size_t next_ = 0;
  bool counts_ = false;   // there was a {}
  bool numbers_ = false;  // there was a {0}
};

}  // namespace

absl::StatusOr<Value> FormatPercent(std::string_view format, const Value& value, Runtime& runtime) {
  return PercentFormatter(format, value, runtime).Run();
}

// Of a format specification only [0][width][.precision]type, as printf has it.
absl::StatusOr<Value> FormatBraces(std::string_view format, const Arguments& arguments,
                                   Runtime& runtime) {
  std::string out;
  FieldNames names(arguments);
  while (!format.empty()) {
    const size_t at = std::min(format.find_first_of("{}"), format.size());
    RETURN_IF_ERROR(runtime.SpendAppend(out.size(), at + 1));
    out += format.substr(0, at);
    format.remove_prefix(at);
    if (format.empty()) break;
    if (format.size() > 1 && format[1] == format[0]) {  // {{ and }}
      out += format[0];
      format.remove_prefix(2);
      continue;
    }
    const size_t end = format.find('}');
    if (format[0] == '}') return Error("Single '}' encountered in format string");
    if (end == std::string_view::npos) return Error("Single '{' encountered in format string");
    const std::string_view field = format.substr(1, end - 1);
    const size_t colon = std::min(field.find(':'), field.size());
    ASSIGN_OR_RETURN(const Value value, names.ValueOf(field.substr(0, colon)));
    format.remove_prefix(end + 1);
    if (colon + 1 >= field.size()) {
      RETURN_IF_ERROR(AppendStr(value, runtime, out));
      continue;
    }
    ASSIGN_OR_RETURN(const Value item, runtime.NewTuple({value}));
    ASSIGN_OR_RETURN(const Value text,
                     FormatPercent(Concat("%", field.substr(colon + 1)), item, runtime));
    RETURN_IF_ERROR(runtime.SpendAppend(out.size(), text.string().size()));
    out += text.string();
  }
  return Value(std::move(out));
}

}  // namespace regatta::jinja
