// Python's operators on values. What Python refuses is an error with Python's words.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "common/jinja/callable.h"
#include "common/jinja/runtime.h"
#include "common/jinja/value.h"

namespace regatta::jinja {

enum class BinaryOp { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower };
enum class CompareOp { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };

absl::StatusOr<Value> Calculate(BinaryOp op, const Value& left, const Value& right,
                                Runtime& runtime);
absl::StatusOr<Value> Negate(const Value& operand);

absl::StatusOr<bool> Equals(const Value& left, const Value& right, Runtime& runtime);
absl::StatusOr<bool> Compare(CompareOp op, const Value& left, const Value& right, Runtime& runtime);

// object[index]: undefined when there is none.
absl::StatusOr<Value> GetItem(const Value& object, const Value& index, Runtime& runtime);
// object.name, where `methods` are those of `name`: methods come before keys, as in Python.
absl::StatusOr<Value> GetAttribute(const Value& object, const StringPtr& name,
                                   const Methods& methods, Runtime& runtime);
// object[start:stop:step]; each bound may be None.
absl::StatusOr<Value> Slice(const Value& object, const Value& start, const Value& stop,
                            const Value& step, Runtime& runtime);

// What `for` and list() see: items, keys, code points. Takes those of an iterator.
absl::StatusOr<Values> Iterate(const Value& value, Runtime& runtime);
// len(value)
absl::StatusOr<Value> Length(const Value& value, Runtime& runtime);

// `format % value`, printf's way, and str.format. (format.cc)
absl::StatusOr<Value> FormatPercent(std::string_view format, const Value& value, Runtime& runtime);
absl::StatusOr<Value> FormatBraces(std::string_view format, const Arguments& arguments,
                                   Runtime& runtime);

}  // namespace regatta::jinja
