// + - * / // % ** and unary minus.
#include <algorithm>
#include <cmath>

#include "common/jinja/errors.h"
#include "common/jinja/operators.h"
#include "common/status_macros.h"

namespace regatta::jinja {
namespace {

const char* Symbol(BinaryOp op) {
  static constexpr const char* kSymbols[] = {"+", "-", "*", "/", "//", "%", "**"};
  return kSymbols[static_cast<int>(op)];
}

absl::Status TooLarge() { return Error("integer beyond 128 bits"); }

absl::StatusOr<Value> IntegerPower(Integer base, Integer exponent) {
  if (exponent < 0) {
    if (base == 0) return Error("0 cannot be raised to a negative power");
    return Value(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  Integer power = 1;
  while (true) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(power, base, &power)) return TooLarge();
    exponent >>= 1;
    if (exponent == 0) return Value(power);
    if (__builtin_mul_overflow(base, base, &base)) {
      return TooLarge();
    }
  }
}

// Rounds to minus infinity; the remainder has the divisor's sign.
absl::StatusOr<Value> IntegerDivide(BinaryOp op, Integer left, Integer right) {
  if (right == 0) return Error("division by zero");
  if (right == -1) {  // the least integer has no negative
    Integer negated;
    if (__builtin_sub_overflow(Integer{0}, left, &negated)) return TooLarge();
    return Value(op == BinaryOp::kModulo ? Integer{0} : negated);
  }
  Integer quotient = left / right, remainder = left % right;
  if (remainder != 0 && (remainder < 0) != (right < 0)) {
    remainder += right;
    quotient -= 1;
  }
  return Value(op == BinaryOp::kModulo ? remainder : quotient);
}

absl::StatusOr<Value> CalculateIntegers(BinaryOp op, Integer left, Integer right) {
  Integer result;
  switch (op) {
    case BinaryOp::kAdd:
      if (__builtin_add_overflow(left, right, &result)) return TooLarge();
      return Value(result);
    case BinaryOp::kSubtract:
      if (__builtin_sub_overflow(left, right, &result)) return TooLarge();
      return Value(result);
    case BinaryOp::kMultiply:
      if (__builtin_mul_overflow(left, right, &result)) return TooLarge();
      return Value(result);
    case BinaryOp::kDivide:
      if (right == 0) return Error("division by zero");
      return Value(static_cast<double>(left) / static_cast<double>(right));
    case BinaryOp::kPower:
      return IntegerPower(left, right);
    default:
      return IntegerDivide(op, left, right);
  }
}

absl::StatusOr<Value> CalculateFloats(BinaryOp op, double left, double right) {
  switch (op) {
    case BinaryOp::kAdd:
      return Value(left + right);
    case BinaryOp::kSubtract:
      return Value(left - right);
    case BinaryOp::kMultiply:
      return Value(left * right);
    case BinaryOp::kPower: {
      if (left == 0 && right < 0) return Error("0.0 cannot be raised to a negative power");
      double power = std::pow(left, right);
      if (std::isnan(power) && left < 0) return Error("complex numbers are not supported");
      if (std::isinf(power) && std::isfinite(left) && std::isfinite(right)) {
        return Error("result too large");
      }
      return Value(power);
    }
    default:
      break;
  }
  if (right == 0) return Error("float division by zero");
  if (op == BinaryOp::kDivide) return Value(left / right);
  double remainder = std::fmod(left, right);
  double quotient = (left - remainder) / right;
  if (remainder != 0 && (right < 0) != (remainder < 0)) {
    remainder += right;
    quotient -= 1;
  }
  if (op == BinaryOp::kModulo) {
    return Value(remainder == 0 ? std::copysign(0.0, right) : remainder);
  }
  if (quotient == 0) return Value(std::copysign(0.0, left / right));
  double floor = std::floor(quotient);
  return Value(quotient - floor > 0.5 ? floor + 1 : floor);
}

// Above every limit, and its product with any size fits 64 bits.
constexpr Integer kMostRepeats = Integer{1} << 32;

absl::StatusOr<Value> RepeatText(std::string_view text, Integer count, Runtime& runtime) {
  if (count <= 0 || text.empty()) return Value("");
  RETURN_IF_ERROR(
      runtime.SpendText(static_cast<size_t>(std::min(count, kMostRepeats)) * text.size()));
  std::string repeated;
  repeated.reserve(text.size() * static_cast<size_t>(count));
  for (Integer i = 0; i < count; ++i) repeated.append(text);
  return Value(std::move(repeated));
}

absl::StatusOr<Value> RepeatSequence(const Sequence& sequence, Integer count, Runtime& runtime) {
  Values items;
  if (count > 0 && !sequence.items.empty()) {
    RETURN_IF_ERROR(
        runtime.Spend(static_cast<size_t>(std::min(count, kMostRepeats)) * sequence.items.size()));
    for (Integer i = 0; i < count; ++i) {
      items.insert(items.end(), sequence.items.begin(), sequence.items.end());
    }
  }
  return runtime.NewSequence(sequence.type, std::move(items));
}

bool IsListOrTuple(const Value& value) {
  return value.IsSequence() && (value.sequence().type == Sequence::Type::kList ||
                                value.sequence().type == Sequence::Type::kTuple);
}

absl::StatusOr<Value> Add(const Value& left, const Value& right, Runtime& runtime) {
  if (left.IsString() && right.IsString()) {
    RETURN_IF_ERROR(runtime.SpendAppend(left.string().size(), right.string().size()));
    RETURN_IF_ERROR(runtime.SpendText(left.string().size()));
    return Value(Concat(left.string(), right.string()));
  }
  if (IsListOrTuple(left) && IsListOrTuple(right) &&
      left.sequence().type == right.sequence().type) {
    Values items = left.sequence().items;
    items.insert(items.end(), right.sequence().items.begin(), right.sequence().items.end());
    return runtime.NewSequence(left.sequence().type, std::move(items));
  }
  return Error("unsupported operand types for +: '", left.TypeName(), "' and '", right.TypeName(),
               "'");
}

}  // namespace

absl::StatusOr<Value> Calculate(BinaryOp op, const Value& left, const Value& right,
                                Runtime& runtime) {
  if (left.IsIntegral() && right.IsIntegral()) {
    return CalculateIntegers(op, left.integer(), right.integer());
  }
  if (left.IsNumber() && right.IsNumber()) {
    return CalculateFloats(op, left.number(), right.number());
  }
  if (op == BinaryOp::kModulo && left.IsString()) {
    return FormatPercent(left.string(), right, runtime);
  }
  if (left.IsUndefined()) return Error(left.undefined().Message());
  if (right.IsUndefined()) return Error(right.undefined().Message());
  if (op == BinaryOp::kAdd) return Add(left, right, runtime);
  if (op == BinaryOp::kMultiply) {
    const Value& repeated = left.IsIntegral() ? right : left;
    const Value& count = left.IsIntegral() ? left : right;
    if (count.IsIntegral() && repeated.IsString()) {
      return RepeatText(repeated.string(), count.integer(), runtime);
    }
    if (count.IsIntegral() && IsListOrTuple(repeated)) {
      return RepeatSequence(repeated.sequence(), count.integer(), runtime);
    }
  }
  return Error("unsupported operand types for ", Symbol(op), ": '", left.TypeName(), "' and '",
               right.TypeName(), "'");
}

absl::StatusOr<Value> Negate(const Value& operand) {
  if (operand.kind() == Kind::kFloat) return Value(-operand.number());
  if (operand.IsUndefined()) return Error(operand.undefined().Message());
  if (!operand.IsIntegral()) return Error("bad operand for unary -: '", operand.TypeName(), "'");
  Integer negated;
  if (__builtin_sub_overflow(Integer{0}, operand.integer(), &negated)) return TooLarge();
  return Value(negated);
}

}  // namespace regatta::jinja
