// Tests: what `is` asks.
#include "common/jinja/callable.h"
#include "common/jinja/errors.h"
#include "common/jinja/operators.h"
#include "common/jinja/unicode.h"
#include "common/status_macros.h"

namespace regatta::jinja {
namespace {

// A test of the subject alone.
template <bool (*Holds)(const Value&)>
absl::StatusOr<Value> Is(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  RETURN_IF_ERROR(Bound::Make("test", arguments, {}).status());
  if (subject.IsString()) RETURN_IF_ERROR(runtime.SpendText(subject.string().size()));
  return Value(Holds(subject));
}

bool IsBoolean(const Value& value) { return value.kind() == Kind::kBool; }
bool IsTrue(const Value& value) { return IsBoolean(value) && value.Truthy(); }
bool IsFalse(const Value& value) { return IsBoolean(value) && !value.Truthy(); }
bool IsCallable(const Value& value) { return value.kind() == Kind::kCallable; }
bool IsDefined(const Value& value) { return !value.IsUndefined(); }
bool IsUndefined(const Value& value) { return value.IsUndefined(); }
bool IsNone(const Value& value) { return value.IsNone(); }
bool IsInteger(const Value& value) { return value.kind() == Kind::kInteger; }
bool IsFloat(const Value& value) { return value.kind() == Kind::kFloat; }
bool IsNumber(const Value& value) { return value.IsNumber(); }
bool IsString(const Value& value) { return value.IsString(); }
bool IsMapping(const Value& value) { return value.IsDict(); }
bool IsIterable(const Value& value) {
  return value.IsUndefined() || value.IsString() || value.IsDict() || value.IsSequence() ||
         value.kind() == Kind::kIterator || value.kind() == Kind::kLoop;
}
// len() and [] work.
bool IsSequence(const Value& value) {
  return value.IsUndefined() || value.IsString() || value.IsDict() ||
         (value.IsSequence() && value.sequence().type <= Sequence::Type::kRange);
}

template <bool (*Each)(char32_t)>
bool AllCased(const Value& value) {
  if (!value.IsString()) return false;
  bool any = false;
  std::string_view rest = value.string();
  for (size_t length; !rest.empty(); rest.remove_prefix(length)) {
    const char32_t c = DecodeFirst(rest, &length);
    if (!IsCased(c)) continue;
    if (!Each(c)) return false;
    any = true;
  }
  return any;
}

template <CompareOp Op>
absl::StatusOr<Value> Compares(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("test", arguments, {"other"}, 1));
  ASSIGN_OR_RETURN(const bool holds, Compare(Op, subject, bound.At(0), runtime));
  return Value(holds);
}

absl::StatusOr<Value> Remainder(Runtime& runtime, const Value& subject, const Value& divisor) {
  return Calculate(BinaryOp::kModulo, subject, divisor, runtime);
}

template <bool Odd>
absl::StatusOr<Value> HasParity(Runtime& runtime, const Value& subject,
                                const Arguments& arguments) {
  RETURN_IF_ERROR(Bound::Make("test", arguments, {}).status());
  ASSIGN_OR_RETURN(const Value rest, Remainder(runtime, subject, Value(Integer{2})));
  return Value(rest.IsNumber() && rest.number() == (Odd ? 1 : 0));
}

absl::StatusOr<Value> IsDivisibleBy(Runtime& runtime, const Value& subject,
                                    const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("divisibleby", arguments, {"num"}, 1));
  ASSIGN_OR_RETURN(const Value rest, Remainder(runtime, subject, bound.At(0)));
  return Value(rest.IsNumber() && rest.number() == 0);
}

absl::StatusOr<Value> IsSameAs(Runtime&, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("sameas", arguments, {"other"}, 1));
  return Value(subject.SameObject(bound.At(0)));
}

template <Builtin (*Find)(std::string_view)>
absl::StatusOr<Value> IsBuiltin(Runtime&, const Value& subject, const Arguments& arguments) {
  RETURN_IF_ERROR(Bound::Make("test", arguments, {}).status());
  return Value(subject.IsString() && Find(subject.string()) != nullptr);
}

constexpr NamedBuiltin kTests[] = {
    {"boolean", Is<IsBoolean>},
    {"callable", Is<IsCallable>},
    {"defined", Is<IsDefined>},
    {"divisibleby", IsDivisibleBy},
    {"even", HasParity<false>},
    {"false", Is<IsFalse>},
    {"filter", IsBuiltin<FindFilter>},
    {"float", Is<IsFloat>},
    {"in", Compares<CompareOp::kIn>},
    {"integer", Is<IsInteger>},
    {"iterable", Is<IsIterable>},
    {"lower", Is<AllCased<IsLower>>},
    {"mapping", Is<IsMapping>},
    {"none", Is<IsNone>},
    {"number", Is<IsNumber>},
    {"odd", HasParity<true>},
    {"sameas", IsSameAs},
    {"sequence", Is<IsSequence>},
    {"string", Is<IsString>},
    {"test", IsBuiltin<FindTest>},
    {"true", Is<IsTrue>},
    {"undefined", Is<IsUndefined>},
    {"upper", Is<AllCased<IsUpper>>},
    {"==", Compares<CompareOp::kEqual>},
    {"eq", Compares<CompareOp::kEqual>},
    {"equalto", Compares<CompareOp::kEqual>},
    {"!=", Compares<CompareOp::kNotEqual>},
    {"ne", Compares<CompareOp::kNotEqual>},
    {"<", Compares<CompareOp::kLess>},
    {"lt", Compares<CompareOp::kLess>},
    {"lessthan", Compares<CompareOp::kLess>},
    {"<=", Compares<CompareOp::kLessEqual>},
    {"le", Compares<CompareOp::kLessEqual>},
    {">", Compares<CompareOp::kGreater>},
    {"gt", Compares<CompareOp::kGreater>},
    {"greaterthan", Compares<CompareOp::kGreater>},
    {">=", Compares<CompareOp::kGreaterEqual>},
    {"ge", Compares<CompareOp::kGreaterEqual>},
};

}  // namespace

Builtin FindTest(std::string_view name) { return FindIn(kTests, name); }

}  // namespace regatta::jinja
