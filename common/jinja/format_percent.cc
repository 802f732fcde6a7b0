// format % value.
#include "common/jinja/errors.h"
#include "common/jinja/format_spec.h"
#include "common/jinja/numbers.h"
#include "common/jinja/operators.h"
#include "common/jinja/print.h"
#include "common/jinja/unicode.h"
#include "common/status_macros.h"

namespace regatta::jinja {
namespace {

class PercentFormatter {
 public:
  PercentFormatter(std::string_view format, const Value& value, Runtime& runtime)
      : rest_(format), value_(value), runtime_(runtime) {
    const bool is_tuple = value.IsSequence() && value.sequence().type == Sequence::Type::kTuple;
    arguments_ = is_tuple ? value.sequence().items : Values{value};
    may_be_unused_ = value.IsDict() || (value.IsSequence() && !is_tuple);
  }

  absl::StatusOr<Value> Run() {
    while (true) {
      const size_t percent = std::min(rest_.find('%'), rest_.size());
      RETURN_IF_ERROR(runtime_.SpendAppend(out_.size(), percent));
      out_.append(rest_.substr(0, percent));
      rest_.remove_prefix(percent);
      if (rest_.empty()) break;
      rest_.remove_prefix(1);
      RETURN_IF_ERROR(runtime_.Spend(1));
      RETURN_IF_ERROR(Directive());
    }
    if (next_ < arguments_.size() && !may_be_unused_) {
      return Error("not all arguments converted during string formatting");
    }
    return Value(std::move(out_));
  }

 private:
  absl::StatusOr<Value> NextArgument() {
    if (next_ >= arguments_.size()) return Error("not enough arguments for format string");
    return arguments_[next_++];
  }

  // "(name)" takes what the dict has under that name.
  absl::StatusOr<std::optional<Value>> Keyed() {
    if (rest_.substr(0, 1) != "(") return std::optional<Value>();
    const size_t end = rest_.find(')');
    if (end == std::string_view::npos) return Error("incomplete format key");
    if (!value_.IsDict()) return Error("format requires a mapping");
    std::string_view name = rest_.substr(1, end - 1);
    const Value* found = value_.dict().Find(name);
    if (found == nullptr) return Error("there is no '", name, "' to format");
    rest_.remove_prefix(end + 1);
    return std::optional<Value>(*found);
  }

  absl::StatusOr<int64_t> Number() {
    if (rest_.substr(0, 1) == "*") {
      rest_.remove_prefix(1);
      ASSIGN_OR_RETURN(Value value, NextArgument());
      if (!value.IsIntegral()) return Error("* wants int");
      if (value.integer() > INT32_MAX || value.integer() < -INT32_MAX) {
        return Error("too large a number in a format");
      }
      return static_cast<int64_t>(value.integer());
    }
    int64_t number = 0;
    while (!rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9') {
      number = number * 10 + (rest_[0] - '0');
      if (number > INT32_MAX) return Error("too large a number in a format");
      rest_.remove_prefix(1);
    }
    return number;
  }

  absl::Status Directive() {
    ASSIGN_OR_RETURN(std::optional<Value> keyed, Keyed());
    FormatSpec spec{.align = '>'};
    bool zero = false;
    for (; !rest_.empty() && std::string_view("-+ #0").find(rest_[0]) != std::string_view::npos;
         rest_.remove_prefix(1)) {
      if (rest_[0] == '-') spec.align = '<';
      if (rest_[0] == '+' || (rest_[0] == ' ' && spec.sign == '-')) spec.sign = rest_[0];
      if (rest_[0] == '#') spec.alternate = true;
      if (rest_[0] == '0') zero = true;
    }
    ASSIGN_OR_RETURN(spec.width, Number());
    if (spec.width < 0) {
      spec.align = '<';
      spec.width = -spec.width;
    }
    if (rest_.substr(0, 1) == ".") {
      rest_.remove_prefix(1);
      ASSIGN_OR_RETURN(spec.precision, Number());
      spec.precision = std::max<int64_t>(spec.precision, 0);
    }
    if (rest_.empty()) return Error("incomplete format");
    const char type = rest_[0];
    rest_.remove_prefix(1);
    if (type == '%') {
      out_.push_back('%');
      return absl::OkStatus();
    }
    if (!keyed.has_value()) {
      ASSIGN_OR_RETURN(keyed, NextArgument());
    }
    return Convert(*keyed, type, zero, std::move(spec));
  }

  absl::Status Convert(const Value& value, char type, bool zero, FormatSpec spec) {
    if (type == 's' || type == 'r' || (type == 'c' && value.IsString())) {
      std::string text;
      RETURN_IF_ERROR(type == 'r' ? AppendRepr(value, runtime_, text)
                                  : AppendStr(value, runtime_, text));
      if (type == 'c' && CountCodePoints(text) != 1) return Error("%c requires int or char");
      spec.sign = '-';
      return FormatText(text, spec, runtime_, out_);
    }
    if (std::string_view("diuxXoceEfFgG").find(type) == std::string_view::npos) {
      return Error("unsupported format character '", std::string(1, type), "'");
    }
    if (value.IsUndefined()) return Error(value.undefined().Message());
    if (!value.IsNumber()) {
      return Error("%", std::string(1, type), " format: a number is required, not ",
                   value.TypeName());
    }
    if (zero && spec.align != '<') {
      spec.fill.assign(1, '0');
      spec.align = '=';
    }
    spec.type = type;
    if (type != 'd' && type != 'i' && type != 'u') {
      return FormatNumber(value, spec, runtime_, out_);
    }
    spec.type = 'd';
    std::optional<Integer> whole = value.IsIntegral() ? value.integer() : Truncate(value.number());
    if (!whole.has_value()) return Error("cannot convert float to integer");
    return FormatNumber(Value(*whole), spec, runtime_, out_);
  }

  std::string_view rest_;
  const Value& value_;
  Runtime& runtime_;
  Values arguments_;
  bool may_be_unused_;
  size_t next_ = 0;
  std::string out_;
};

}  // namespace

absl::StatusOr<Value> FormatPercent(std::string_view format, const Value& value, Runtime& runtime) {
  RETURN_IF_ERROR(runtime.SpendText(format.size()));
  return PercentFormatter(format, value, runtime).Run();
}

}  // namespace regatta::jinja
