// Value: what a template computes with, Python's data types as far as chat templates use them.
// Values are immutable and shared, except namespaces, iterators and loops.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"

namespace regatta::jinja {

// Python's integers have no bound; these hold every 64-bit one, signed or not, and arithmetic
// beyond 128 bits is an error.
__extension__ typedef __int128 Integer;

class Callable;
class Dict;
struct Iterator;
struct Loop;
struct Namespace;
struct Sequence;
class Value;

using StringPtr = std::shared_ptr<const std::string>;  // always well-formed UTF-8
using Values = std::vector<Value>;

// Containers within containers; deeper ones are refused, so that walking and freeing may recurse.
inline constexpr int kMaxValueDepth = 200;

struct None {};

// A name or attribute that is not there. Prints nothing, is false and empty; most other uses are
// errors, whose text this carries.
struct Undefined {
  StringPtr text;               // the name, or the whole message when `is_message`
  const char* owner = nullptr;  // type of the object that lacks the attribute `text`
  bool is_message = false;

  std::string Message() const;
};

// The order of Value's alternatives.
enum class Kind {
  kUndefined,
  kNone,
  kBool,
  kInteger,
  kFloat,
  kString,
  kSequence,
  kDict,
  kNamespace,
  kIterator,
  kLoop,
  kCallable,
};

class Value {
 public:
  Value() = default;  // Undefined without a name
  Value(Undefined undefined) : data_(std::move(undefined)) {}
  Value(None) : data_(None()) {}
  Value(bool value) : data_(value) {}
  Value(Integer value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(StringPtr value) : data_(std::move(value)) {}
  Value(std::string value) : data_(std::make_shared<const std::string>(std::move(value))) {}
  Value(std::string_view value) : Value(std::string(value)) {}
  Value(const char* value) : Value(std::string(value)) {}
  Value(std::shared_ptr<const Sequence> value) : data_(std::move(value)) {}
  Value(std::shared_ptr<const Dict> value) : data_(std::move(value)) {}
  Value(std::shared_ptr<Namespace> value) : data_(std::move(value)) {}
  Value(std::shared_ptr<Iterator> value) : data_(std::move(value)) {}
  Value(std::shared_ptr<Loop> value) : data_(std::move(value)) {}
  Value(std::shared_ptr<const Callable> value) : data_(std::move(value)) {}

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool IsUndefined() const { return kind() == Kind::kUndefined; }
  bool IsNone() const { return kind() == Kind::kNone; }
  bool IsString() const { return kind() == Kind::kString; }
  bool IsDict() const { return kind() == Kind::kDict; }
  bool IsSequence() const { return kind() == Kind::kSequence; }
  // A bool is an integer in Python.
  bool IsIntegral() const { return kind() == Kind::kInteger || kind() == Kind::kBool; }
  bool IsNumber() const { return IsIntegral() || kind() == Kind::kFloat; }

  // Each requires that kind.
  const Undefined& undefined() const { return std::get<Undefined>(data_); }
  std::string_view string() const { return *std::get<StringPtr>(data_); }
  const StringPtr& string_ptr() const { return std::get<StringPtr>(data_); }
  const Sequence& sequence() const { return *std::get<std::shared_ptr<const Sequence>>(data_); }
  const Dict& dict() const { return *std::get<std::shared_ptr<const Dict>>(data_); }
  Namespace& name_space() const { return *std::get<std::shared_ptr<Namespace>>(data_); }
  Iterator& iterator() const { return *std::get<std::shared_ptr<Iterator>>(data_); }
  Loop& loop() const { return *std::get<std::shared_ptr<Loop>>(data_); }
  const Callable& callable() const { return *std::get<std::shared_ptr<const Callable>>(data_); }
  Integer integer() const {  // of an integer or a bool
    return kind() == Kind::kBool ? Integer{std::get<bool>(data_)} : std::get<Integer>(data_);
  }
  double number() const {  // of any number
    return kind() == Kind::kFloat ? std::get<double>(data_) : static_cast<double>(integer());
  }

  // bool(x) of Python.
  bool Truthy() const;
  // Python's name of the type: "str", "NoneType".
  const char* TypeName() const;
  // Containers around the innermost value; 0 for what holds no values. Namespaces count as 1.
  int Depth() const;
  // == of None, numbers, texts and undefined values; false for anything else.
  bool SameScalar(const Value& other) const;
  // `x is y`: the same container, or the same scalar of the same type.
  bool SameObject(const Value& other) const;

 private:
  std::variant<Undefined, None, bool, Integer, double, StringPtr, std::shared_ptr<const Sequence>,
               std::shared_ptr<const Dict>, std::shared_ptr<Namespace>, std::shared_ptr<Iterator>,
               std::shared_ptr<Loop>, std::shared_ptr<const Callable>>
      data_;
};

// list, tuple, range and the views of a dict: they differ in printing and comparing.
struct Sequence {
  enum class Type { kList, kTuple, kRange, kKeys, kValues, kItems };
  Type type = Type::kList;
  Values items;
  int depth = 1;
};

// Keys in the order of their insertion. Lookup is linear: dicts of chats are small, and callers pay
// steps for large ones.
class Dict {
 public:
  using Item = std::pair<Value, Value>;

  const Value* Find(std::string_view key) const;  // null when absent
  // The value of any key; 1, 1.0 and True are one key.
  const Value* Find(const Value& key) const;
  // Replaces the value of an equal key, which keeps its place.
  void Set(Value key, Value value);
  // Without looking for an equal key.
  void Append(Value key, Value value);
  void Clear() { items_.clear(); }

  const std::vector<Item>& items() const { return items_; }
  size_t size() const { return items_.size(); }
  int depth() const { return depth_; }

 private:
  std::vector<Item> items_;
  int depth_ = 1;
};

// The only object that a template can change ({% set ns.x = ... %}).
struct Namespace {
  Dict attributes;
};

// What map, select and their like give: its items can be taken once, and it is always true.
struct Iterator {
  const char* type_name = "generator";
  Values items;
  size_t next = 0;
  int depth = 1;
};

// `loop` within a for statement.
struct Loop {
  Values items;
  size_t index0 = 0;
  Values last_changed;  // arguments of the last loop.changed()
  bool has_changed = false;
  int nesting = 0;                          // of loop(items) calls around it
  std::shared_ptr<const Callable> recurse;  // what loop(items) calls; null: not a recursive loop
  int depth = 1;
};

// 1 + the deepest of `values`: the depth of a container of them.
int DepthAbove(const Values& values);
// Error when a container of this depth may not be.
absl::Status CheckDepth(int depth);

// Whether it may be a key of a dict: scalars may. (Python takes tuples too.)
bool IsHashable(const Value& value);

}  // namespace regatta::jinja
