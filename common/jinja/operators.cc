// Equality, order, membership, iteration and subscripts.
#include "common/jinja/operators.h"

#include <algorithm>
#include <limits>

#include "common/jinja/errors.h"
#include "common/jinja/text_search.h"
#include "common/jinja/unicode.h"
#include "common/status_macros.h"

namespace regatta::jinja {
namespace {

absl::StatusOr<bool> EqualDicts(const Dict& left, const Dict& right, Runtime& runtime) {
  if (left.size() != right.size()) return false;
  for (const auto& [key, value] : left.items()) {
    RETURN_IF_ERROR(runtime.Spend(right.size() / 8));
    const Value* other = right.Find(key);
    if (other == nullptr) return false;
    ASSIGN_OR_RETURN(bool equal, Equals(value, *other, runtime));
    if (!equal) return false;
  }
  return true;
}

absl::StatusOr<bool> EqualSequences(const Sequence& left, const Sequence& right, Runtime& runtime) {
  if (left.type != right.type || left.items.size() != right.items.size()) return false;
  for (size_t i = 0; i < left.items.size(); ++i) {
    ASSIGN_OR_RETURN(bool equal, Equals(left.items[i], right.items[i], runtime));
    if (!equal) return false;
  }
  return true;
}

// Orders two values of comparable types: below 0, 0, above 0, or 2 for "neither" (NaN).
absl::StatusOr<int> Order(const char* symbol, const Value& left, const Value& right,
                          Runtime& runtime) {
  RETURN_IF_ERROR(runtime.Spend(1));
  if (left.IsIntegral() && right.IsIntegral()) {
    return left.integer() < right.integer() ? -1 : left.integer() > right.integer();
  }
  if (left.IsNumber() && right.IsNumber()) {
    double a = left.number(), b = right.number();
    return a < b ? -1 : a > b ? 1 : a == b ? 0 : 2;
  }
  if (left.IsString() && right.IsString()) {
    RETURN_IF_ERROR(runtime.SpendText(std::min(left.string().size(), right.string().size())));
    int order = left.string().compare(right.string());
    return order < 0 ? -1 : order > 0;
  }
  if (left.IsUndefined()) return Error(left.undefined().Message());
  if (right.IsUndefined()) return Error(right.undefined().Message());
  if (left.IsSequence() && right.IsSequence() && left.sequence().type == right.sequence().type &&
      left.sequence().type <= Sequence::Type::kTuple) {
    const Values &a = left.sequence().items, &b = right.sequence().items;
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      ASSIGN_OR_RETURN(bool equal, Equals(a[i], b[i], runtime));
      if (!equal) return Order(symbol, a[i], b[i], runtime);
    }
    return a.size() < b.size() ? -1 : a.size() > b.size();
  }
  return Error("'", symbol, "' not supported between instances of '", left.TypeName(), "' and '",
               right.TypeName(), "'");
}

absl::StatusOr<bool> Contains(const Value& item, const Value& container, Runtime& runtime) {
  if (container.IsString()) {
    if (!item.IsString()) {
      return Error("'in <string>' requires string as left operand, not ", item.TypeName());
    }
    RETURN_IF_ERROR(runtime.SpendText(container.string().size()));
    RETURN_IF_ERROR(runtime.SpendText(item.string().size()));
    return FindText(container.string(), item.string()) != std::string_view::npos;
  }
  if (container.IsDict()) {
    if (!IsHashable(item)) return Error("unhashable type: '", item.TypeName(), "'");
    RETURN_IF_ERROR(runtime.Spend(container.dict().size() / 8));
    return container.dict().Find(item) != nullptr;
  }
  ASSIGN_OR_RETURN(Values items, Iterate(container, runtime));
  for (const Value& other : items) {
    ASSIGN_OR_RETURN(bool equal, Equals(item, other, runtime));
    if (equal) return true;
  }
  return false;
}

// One bound of a slice, clipped to [lowest, highest]; negative ones count from the end.
absl::StatusOr<int64_t> SliceBound(const Value& bound, int64_t fallback, int64_t size,
                                   int64_t lowest, int64_t highest) {
  if (bound.IsNone()) return fallback;
  if (!bound.IsIntegral()) return Error("slice indices must be integers or None");
  Integer index = bound.integer();
  if (index < 0) index = index < -size ? Integer{-1} : index + size;
  return static_cast<int64_t>(std::clamp<Integer>(index, lowest, highest));
}

// The chosen indices of a sequence of `size`, in order.
absl::StatusOr<std::vector<size_t>> SliceIndices(const Value& start, const Value& stop,
                                                 const Value& step, size_t size) {
  Integer stride = 1;
  if (!step.IsNone()) {
    if (!step.IsIntegral()) return Error("slice indices must be integers or None");
    stride = step.integer();
  }
  if (stride == 0) return Error("slice step cannot be zero");
  const auto n = static_cast<int64_t>(size);
  const bool forward = stride > 0;
  const int64_t lowest = forward ? 0 : -1, highest = forward ? n : n - 1;
  ASSIGN_OR_RETURN(int64_t first, SliceBound(start, forward ? 0 : n - 1, n, lowest, highest));
  ASSIGN_OR_RETURN(int64_t last, SliceBound(stop, forward ? n : -1, n, lowest, highest));
  stride = std::clamp<Integer>(stride, -n - 1, n + 1);
  std::vector<size_t> indices;
  for (Integer i = first; forward ? i < last : i > last; i += stride) {
    indices.push_back(static_cast<size_t>(i));
  }
  return indices;
}

Value NoItem(const Value& object, const Value& index) {
  Undefined undefined{.owner = object.TypeName()};
  if (index.IsString()) {
    undefined.text = index.string_ptr();
  } else {
    undefined.is_message = true;
    undefined.text = std::make_shared<const std::string>(
        Concat(object.TypeName(), " object has no such element"));
  }
  return undefined;
}

Value Refused(const Value& object, const StringPtr& name) {
  return Undefined{
      .text = std::make_shared<const std::string>(Concat("access to attribute '", *name, "' of '",
                                                         object.TypeName(), "' object is unsafe")),
      .is_message = true};
}

Value LoopAttribute(const Loop& loop, const StringPtr& name, const Value& object) {
  const size_t size = loop.items.size(), i = loop.index0;
  auto number = [](size_t n) { return Value(static_cast<Integer>(n)); };
  auto missing = [](const char* message) {
    return Undefined{.text = std::make_shared<const std::string>(message), .is_message = true};
  };
  if (*name == "index") return number(i + 1);
  if (*name == "index0") return number(i);
  if (*name == "first") return Value(i == 0);
  if (*name == "last") return Value(i + 1 == size);
  if (*name == "length") return number(size);
  if (*name == "revindex") return number(size - i);
  if (*name == "revindex0") return number(size - i - 1);
  if (*name == "depth") return number(static_cast<size_t>(loop.nesting) + 1);
  if (*name == "depth0") return number(static_cast<size_t>(loop.nesting));
  if (*name == "previtem") return i > 0 ? loop.items[i - 1] : missing("there is no previous item");
  if (*name == "nextitem") {
    return i + 1 < size ? loop.items[i + 1] : missing("there is no next item");
  }
  return NoItem(object, Value(name));
}

}  // namespace

absl::StatusOr<bool> Equals(const Value& left, const Value& right, Runtime& runtime) {
  RETURN_IF_ERROR(runtime.Spend(1));
  if (left.SameObject(right) && left.kind() != Kind::kFloat) return true;
  if (left.IsSequence() && right.IsSequence()) {
    return EqualSequences(left.sequence(), right.sequence(), runtime);
  }
  if (left.IsDict() && right.IsDict()) return EqualDicts(left.dict(), right.dict(), runtime);
  if (left.IsString() && right.IsString()) {
    RETURN_IF_ERROR(runtime.SpendText(std::min(left.string().size(), right.string().size())));
  }
  return left.SameScalar(right);
}

absl::StatusOr<bool> Compare(CompareOp op, const Value& left, const Value& right,
                             Runtime& runtime) {
  static constexpr const char* kSymbols[] = {"==", "!=", "<", "<=", ">", ">="};
  if (op == CompareOp::kEqual || op == CompareOp::kNotEqual) {
    ASSIGN_OR_RETURN(bool equal, Equals(left, right, runtime));
    return equal == (op == CompareOp::kEqual);
  }
  if (op == CompareOp::kIn) return Contains(left, right, runtime);
  if (op == CompareOp::kNotIn) {
    ASSIGN_OR_RETURN(bool found, Contains(left, right, runtime));
    return !found;
  }
  ASSIGN_OR_RETURN(int order, Order(kSymbols[static_cast<int>(op)], left, right, runtime));
  if (order == 2) return false;
  if (op == CompareOp::kLess) return order < 0;
  if (op == CompareOp::kLessEqual) return order <= 0;
  if (op == CompareOp::kGreater) return order > 0;
  return order >= 0;
}

absl::StatusOr<Value> GetItem(const Value& object, const Value& index, Runtime& runtime) {
  if (object.IsUndefined()) return Error(object.undefined().Message());
  if (object.IsDict()) {
    RETURN_IF_ERROR(runtime.Spend(object.dict().size() / 8));
    if (IsHashable(index)) {
      if (const Value* found = object.dict().Find(index); found != nullptr) return *found;
    }
  }
  if (index.IsIntegral() && (object.IsSequence() || object.IsString())) {
    Integer i = index.integer();
    if (object.IsString()) {
      RETURN_IF_ERROR(runtime.SpendText(object.string().size()));
      CodePoints text(object.string());
      if (i < 0) i += static_cast<Integer>(text.size());
      if (i >= 0 && i < static_cast<Integer>(text.size())) {
        return Value(text[static_cast<size_t>(i)]);
      }
    } else if (object.sequence().type <= Sequence::Type::kRange) {
      const Values& items = object.sequence().items;
      if (i < 0) i += static_cast<Integer>(items.size());
      if (i >= 0 && i < static_cast<Integer>(items.size())) return items[static_cast<size_t>(i)];
    }
  }
  if (!index.IsString()) return NoItem(object, index);
  return GetAttribute(object, index.string_ptr(), FindMethods(index.string()), runtime);
}

absl::StatusOr<Value> GetAttribute(const Value& object, const StringPtr& name,
                                   const Methods& methods, Runtime& runtime) {
  switch (object.kind()) {
    case Kind::kUndefined:
      return Error(object.undefined().Message());
    case Kind::kString:
      if (methods.of_string != nullptr) return BindMethod(methods.of_string, object);
      break;
    case Kind::kSequence:
      if (object.sequence().type == Sequence::Type::kList && methods.changes_list) {
        return Refused(object, name);
      }
      if (object.sequence().type <= Sequence::Type::kRange && methods.of_sequence != nullptr) {
        return BindMethod(methods.of_sequence, object);
      }
      break;
    case Kind::kDict: {
      if (methods.of_dict != nullptr) return BindMethod(methods.of_dict, object);
      if (methods.changes_dict) return Refused(object, name);
      RETURN_IF_ERROR(runtime.Spend(object.dict().size() / 8));
      const Value* found = object.dict().Find(std::string_view(*name));
      if (found != nullptr) return *found;
      break;
    }
    case Kind::kNamespace: {
      const Value* found = object.name_space().attributes.Find(std::string_view(*name));
      if (found != nullptr) return *found;
      break;
    }
    case Kind::kLoop:
      if (methods.of_loop != nullptr) return BindMethod(methods.of_loop, object);
      return LoopAttribute(object.loop(), name, object);
    default:
      break;
  }
  return Value(Undefined{.text = name, .owner = object.TypeName()});
}

absl::StatusOr<Value> Slice(const Value& object, const Value& start, const Value& stop,
                            const Value& step, Runtime& runtime) {
  if (object.IsUndefined()) return Error(object.undefined().Message());
  if (object.IsString()) {
    RETURN_IF_ERROR(runtime.SpendText(object.string().size()));
    CodePoints text(object.string());
    ASSIGN_OR_RETURN(std::vector<size_t> indices, SliceIndices(start, stop, step, text.size()));
    std::string slice;
    for (size_t i : indices) slice.append(text[i]);
    return Value(std::move(slice));
  }
  if (!object.IsSequence() || object.sequence().type > Sequence::Type::kRange) {
    return Error("'", object.TypeName(), "' object is not subscriptable by a slice");
  }
  const Sequence& sequence = object.sequence();
  RETURN_IF_ERROR(runtime.Spend(sequence.items.size() / 8));
  ASSIGN_OR_RETURN(std::vector<size_t> indices,
                   SliceIndices(start, stop, step, sequence.items.size()));
  Values items;
  items.reserve(indices.size());
  for (size_t i : indices) items.push_back(sequence.items[i]);
  return runtime.NewSequence(sequence.type, std::move(items));
}

absl::StatusOr<Values> Iterate(const Value& value, Runtime& runtime) {
  Values items;
  switch (value.kind()) {
    case Kind::kUndefined:
      return items;
    case Kind::kString: {
      RETURN_IF_ERROR(runtime.Spend(value.string().size()));
      CodePoints text(value.string());
      for (size_t i = 0; i < text.size(); ++i) items.emplace_back(text[i]);
      return items;
    }
    case Kind::kSequence:
      RETURN_IF_ERROR(runtime.Spend(value.sequence().items.size()));
      return value.sequence().items;
    case Kind::kDict:
      RETURN_IF_ERROR(runtime.Spend(value.dict().size()));
      for (const auto& [key, unused] : value.dict().items()) items.push_back(key);
      return items;
    case Kind::kIterator: {
      Iterator& iterator = value.iterator();
      RETURN_IF_ERROR(runtime.Spend(iterator.items.size() - iterator.next));
      items.assign(iterator.items.begin() + static_cast<ptrdiff_t>(iterator.next),
                   iterator.items.end());
      iterator.next = iterator.items.size();
      return items;
    }
    default:
      return Error("'", value.TypeName(), "' object is not iterable");
  }
}

absl::StatusOr<Value> Length(const Value& value, Runtime& runtime) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return Value(Integer{0});
    case Kind::kString:
      RETURN_IF_ERROR(runtime.SpendText(value.string().size()));
      return Value(static_cast<Integer>(CountCodePoints(value.string())));
    case Kind::kSequence:
      return Value(static_cast<Integer>(value.sequence().items.size()));
    case Kind::kDict:
      return Value(static_cast<Integer>(value.dict().size()));
    case Kind::kLoop:
      return Value(static_cast<Integer>(value.loop().items.size()));
    default:
      return Error("object of type '", value.TypeName(), "' has no len()");
  }
}

}  // namespace regatta::jinja
