// Kinds, truth and depth of values, and the ordered dict.
#include "common/jinja/value.h"

#include <algorithm>

#include "common/jinja/callable.h"
#include "common/jinja/errors.h"

namespace regatta::jinja {

std::string Undefined::Message() const {
  if (text == nullptr) return "value is undefined";
  if (is_message) return *text;
  if (owner == nullptr) return Concat("'", *text, "' is undefined");
  return Concat("'", owner, " object' has no attribute '", *text, "'");
}

bool Value::Truthy() const {
  switch (kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInteger:
      return integer() != 0;
    case Kind::kFloat:
      return number() != 0;
    case Kind::kString:
      return !string().empty();
    case Kind::kSequence:
      return !sequence().items.empty();
    case Kind::kDict:
      return dict().size() > 0;
    case Kind::kLoop:
      return !loop().items.empty();
    case Kind::kNamespace:
    case Kind::kIterator:
    case Kind::kCallable:
      return true;
  }
  return true;
}

const char* Value::TypeName() const {
  static constexpr const char* kSequenceNames[] = {"list",      "tuple",       "range",
                                                   "dict_keys", "dict_values", "dict_items"};
  switch (kind()) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInteger:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return "str";
    case Kind::kSequence:
      return kSequenceNames[static_cast<int>(sequence().type)];
    case Kind::kDict:
      return "dict";
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kIterator:
      return iterator().type_name;
    case Kind::kLoop:
      return "LoopContext";
    case Kind::kCallable:
      return "function";
  }
  return "object";
}

int Value::Depth() const {
  switch (kind()) {
    case Kind::kSequence:
      return sequence().depth;
    case Kind::kDict:
      return dict().depth();
    case Kind::kIterator:
      return iterator().depth;
    case Kind::kLoop:
      return loop().depth;
    case Kind::kCallable:
      return callable().depth();
    case Kind::kNamespace:
      return 1;
    default:
      return 0;
  }
}

bool Value::SameScalar(const Value& other) const {
  if (IsIntegral() && other.IsIntegral()) return integer() == other.integer();
  if (IsNumber() && other.IsNumber()) return number() == other.number();
  if (kind() != other.kind()) return false;
  if (IsString()) return string() == other.string();
  return IsNone() || IsUndefined();
}

bool Value::SameObject(const Value& other) const {
  if (kind() != other.kind()) return false;
  switch (kind()) {
    case Kind::kSequence:
      return &sequence() == &other.sequence();
    case Kind::kDict:
      return &dict() == &other.dict();
    case Kind::kNamespace:
      return &name_space() == &other.name_space();
    case Kind::kIterator:
      return &iterator() == &other.iterator();
    case Kind::kLoop:
      return &loop() == &other.loop();
    case Kind::kCallable:
      return &callable() == &other.callable();
    case Kind::kUndefined:
      return false;
    default:
      return SameScalar(other);
  }
}

const Value* Dict::Find(std::string_view key) const {
  for (const auto& [name, value] : items_) {
    if (name.IsString() && name.string() == key) return &value;
  }
  return nullptr;
}

const Value* Dict::Find(const Value& key) const {
  if (key.IsString()) return Find(key.string());
  for (const auto& [name, value] : items_) {
    if (name.SameScalar(key)) return &value;
  }
  return nullptr;
}

void Dict::Set(Value key, Value value) {
  if (const Value* found = Find(key); found != nullptr) {
    depth_ = std::max(depth_, 1 + value.Depth());
    *const_cast<Value*>(found) = std::move(value);
    return;
  }
  Append(std::move(key), std::move(value));
}

void Dict::Append(Value key, Value value) {
  depth_ = std::max({depth_, 1 + key.Depth(), 1 + value.Depth()});
  items_.emplace_back(std::move(key), std::move(value));
}

int DepthAbove(const Values& values) {
  int depth = 0;
  for (const Value& value : values) depth = std::max(depth, value.Depth());
  return depth + 1;
}

absl::Status CheckDepth(int depth) {
  if (depth <= kMaxValueDepth) return absl::OkStatus();
  return Error("values are nested more than ", std::to_string(kMaxValueDepth), " deep");
}

bool IsHashable(const Value& value) {
  return value.kind() != Kind::kDict && value.kind() != Kind::kSequence;
}

}  // namespace regatta::jinja
