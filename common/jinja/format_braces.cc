// str.format.
#include "common/jinja/errors.h"
#include "common/jinja/format_spec.h"
#include "common/jinja/numbers.h"
#include "common/jinja/operators.h"
#include "common/jinja/print.h"
#include "common/status_macros.h"

namespace regatta::jinja {
namespace {

constexpr int kMaxNesting = 2;  // a field, and fields within its specifier

class BraceFormatter {
 public:
  BraceFormatter(const Arguments& arguments, Runtime& runtime)
      : arguments_(arguments), runtime_(runtime) {}

  absl::StatusOr<std::string> Run(std::string_view format, int nesting) {
    if (nesting > kMaxNesting) return Error("Max string recursion exceeded");
    std::string out;
    while (!format.empty()) {
      const size_t brace = std::min(format.find_first_of("{}"), format.size());
      RETURN_IF_ERROR(runtime_.SpendAppend(out.size(), brace));
      out.append(format.substr(0, brace));
      format.remove_prefix(brace);
      if (format.empty()) break;
      RETURN_IF_ERROR(runtime_.Spend(1));
      if (format.size() > 1 && format[1] == format[0]) {
        out.push_back(format[0]);
        format.remove_prefix(2);
        continue;
      }
      if (format[0] == '}') return Error("Single '}' encountered in format string");
      ASSIGN_OR_RETURN(std::string_view field, TakeField(format));
      RETURN_IF_ERROR(Field(field, nesting, out));
    }
    return out;
  }

 private:
  // The text between matching braces, taken from the front of `format`.
  static absl::StatusOr<std::string_view> TakeField(std::string_view& format) {
    int depth = 0;
    for (size_t i = 0; i < format.size(); ++i) {
      if (format[i] == '{') ++depth;
      if (format[i] == '}' && --depth == 0) {
        std::string_view field = format.substr(1, i - 1);
        format.remove_prefix(i + 1);
        return field;
      }
    }
    return Error("expected '}' before end of string");
  }

  // "name!r:spec"
  absl::Status Field(std::string_view field, int nesting, std::string& out) {
    const size_t colon = std::min(field.find(':'), field.size());
    std::string_view name = field.substr(0, colon);
    std::string_view spec_text = colon < field.size() ? field.substr(colon + 1) : "";
    char conversion = '\0';
    if (const size_t mark = name.find('!'); mark != std::string_view::npos) {
      if (name.size() != mark + 2 || (name[mark + 1] != 'r' && name[mark + 1] != 's')) {
        return Error("expected !r or !s in a format");
      }
      conversion = name[mark + 1];
      name = name.substr(0, mark);
    }
    ASSIGN_OR_RETURN(Value value, Named(name));
    ASSIGN_OR_RETURN(std::string expanded, Run(spec_text, nesting + 1));
    ASSIGN_OR_RETURN(FormatSpec spec, ParseFormatSpec(expanded));
    if (conversion == '\0' && value.IsNumber() &&
        (value.kind() != Kind::kBool || !expanded.empty())) {
      return FormatNumber(value, spec, runtime_, out);
    }
    if (conversion == '\0' && !value.IsString() && !value.IsNumber() && !expanded.empty()) {
      return Error("unsupported format string passed to ", value.TypeName(), ".__format__");
    }
    std::string text;
    RETURN_IF_ERROR(conversion == 'r' ? AppendRepr(value, runtime_, text)
                                      : AppendStr(value, runtime_, text));
    return FormatText(text, spec, runtime_, out);
  }

  absl::StatusOr<Value> Positional(Integer i) const {
    if (i >= static_cast<Integer>(arguments_.positional.size())) {
      return Error("Replacement index ", IntegerText(i), " out of range");
    }
    return arguments_.positional[static_cast<size_t>(i)];
  }

  // "", "0", "name", then ".attribute" and "[item]".
  absl::StatusOr<Value> Named(std::string_view path) {
    const size_t end = std::min(path.find_first_of(".["), path.size());
    std::string_view first = path.substr(0, end);
    path.remove_prefix(end);
    Value value;
    std::optional<Integer> index = ParseInteger(first, 10);
    if (first.empty()) {
      if (has_numbers_) return Error("cannot switch from manual field numbering to automatic");
      ASSIGN_OR_RETURN(value, Positional(next_++));
    } else if (index.has_value() && *index >= 0) {
      if (next_ > 0) return Error("cannot switch from automatic field numbering to manual");
      has_numbers_ = true;
      ASSIGN_OR_RETURN(value, Positional(*index));
    } else {
      const Value* named = arguments_.Named(first);
      if (named == nullptr) return Error("there is no '", first, "' to format");
      value = *named;
    }
    while (!path.empty()) {
      ASSIGN_OR_RETURN(value, Step(value, path));
    }
    return value;
  }

  absl::StatusOr<Value> Step(const Value& value, std::string_view& path) {
    RETURN_IF_ERROR(runtime_.Spend(1));
    const bool is_attribute = path[0] == '.';
    const size_t end =
        is_attribute ? std::min(path.find_first_of(".[", 1), path.size()) : path.find(']');
    if (end == std::string_view::npos) return Error("missing ']' in format string");
    if (!is_attribute && path[0] != '[') return Error("only '.' or '[' may follow ']'");
    std::string_view name = path.substr(1, end - 1);
    if (name.empty()) return Error("empty attribute in format string");
    path.remove_prefix(is_attribute ? end : end + 1);
    if (is_attribute) {
      return GetAttribute(value, std::make_shared<const std::string>(name), FindMethods(name),
                          runtime_);
    }
    std::optional<Integer> index = ParseInteger(name, 10);
    return GetItem(value, index.has_value() ? Value(*index) : Value(name), runtime_);
  }

  const Arguments& arguments_;
  Runtime& runtime_;
  Integer next_ = 0;  // of fields without a number
  bool has_numbers_ = false;
};

}  // namespace

absl::StatusOr<Value> FormatBraces(std::string_view format, const Arguments& arguments,
                                   Runtime& runtime) {
  RETURN_IF_ERROR(runtime.SpendText(format.size()));
  ASSIGN_OR_RETURN(std::string text, BraceFormatter(arguments, runtime).Run(format, 1));
  return Value(std::move(text));
}

}  // namespace regatta::jinja
