// Methods of dict, of list and tuple, and of loop; and the table of all methods.
#include <algorithm>
#include <iterator>

#include "common/jinja/callable.h"
#include "common/jinja/errors.h"
#include "common/jinja/operators.h"
#include "common/jinja/string_methods.h"
#include "common/status_macros.h"

namespace regatta::jinja {
namespace {

absl::StatusOr<Value> DictGet(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("get", arguments, {"key", "default"}, 1));
  if (!IsHashable(bound.At(0))) return Error("unhashable type: '", bound.At(0).TypeName(), "'");
  RETURN_IF_ERROR(runtime.Spend(subject.dict().size() / 8));
  if (const Value* found = subject.dict().Find(bound.At(0)); found != nullptr) return *found;
  return bound.Has(1) ? bound.At(1) : Value(None());
}

template <Sequence::Type Type>
absl::StatusOr<Value> DictView(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  RETURN_IF_ERROR(Bound::Make("items", arguments, {}).status());
  Values items;
  for (const auto& [key, value] : subject.dict().items()) {
    if (Type == Sequence::Type::kKeys) {
      items.push_back(key);
    } else if (Type == Sequence::Type::kValues) {
      items.push_back(value);
    } else {
      ASSIGN_OR_RETURN(Value pair, runtime.NewTuple({key, value}));
      items.push_back(std::move(pair));
    }
  }
  return runtime.NewSequence(Type, std::move(items));
}

absl::StatusOr<Value> DictCopy(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  RETURN_IF_ERROR(Bound::Make("copy", arguments, {}).status());
  return runtime.NewDict(subject.dict());
}

absl::StatusOr<Value> SequenceIndex(Runtime& runtime, const Value& subject,
                                    const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("index", arguments, {"value"}, 1));
  const Values& items = subject.sequence().items;
  for (size_t i = 0; i < items.size(); ++i) {
    ASSIGN_OR_RETURN(const bool equal, Equals(items[i], bound.At(0), runtime));
    if (equal) return Value(static_cast<Integer>(i));
  }
  return Error("the value is not in the ", subject.TypeName());
}

absl::StatusOr<Value> SequenceCount(Runtime& runtime, const Value& subject,
                                    const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("count", arguments, {"value"}, 1));
  Integer count = 0;
  for (const Value& item : subject.sequence().items) {
    ASSIGN_OR_RETURN(const bool equal, Equals(item, bound.At(0), runtime));
    count += equal;
  }
  return Value(count);
}

absl::StatusOr<Value> SequenceCopy(Runtime& runtime, const Value& subject,
                                   const Arguments& arguments) {
  RETURN_IF_ERROR(Bound::Make("copy", arguments, {}).status());
  return runtime.NewSequence(subject.sequence().type, subject.sequence().items);
}

absl::StatusOr<Value> LoopCycle(Runtime&, const Value& subject, const Arguments& arguments) {
  if (arguments.positional.empty()) return Error("no items for cycling given");
  return arguments.positional[subject.loop().index0 % arguments.positional.size()];
}

absl::StatusOr<Value> LoopChanged(Runtime& runtime, const Value& subject,
                                  const Arguments& arguments) {
  Loop& loop = subject.loop();
  bool same = loop.has_changed && loop.last_changed.size() == arguments.positional.size();
  for (size_t i = 0; same && i < loop.last_changed.size(); ++i) {
    ASSIGN_OR_RETURN(same, Equals(loop.last_changed[i], arguments.positional[i], runtime));
  }
  if (same) return Value(false);
  // Nothing that may hold the loop itself.
  for (const Value& value : arguments.positional) {
    const bool plain = value.kind() < Kind::kNamespace && value.Depth() <= 1;
    if (!plain) return Error("loop.changed() takes texts, numbers and lists of them");
  }
  loop.has_changed = true;
  loop.last_changed = arguments.positional;
  return Value(true);
}

constexpr NamedBuiltin kDictMethods[] = {{"copy", DictCopy},
                                         {"get", DictGet},
                                         {"items", DictView<Sequence::Type::kItems>},
                                         {"keys", DictView<Sequence::Type::kKeys>},
                                         {"values", DictView<Sequence::Type::kValues>}};
constexpr NamedBuiltin kSequenceMethods[] = {
    {"copy", SequenceCopy}, {"count", SequenceCount}, {"index", SequenceIndex}};
constexpr NamedBuiltin kLoopMethods[] = {{"changed", LoopChanged}, {"cycle", LoopCycle}};
// What jinja2's ImmutableSandboxedEnvironment refuses.
constexpr std::string_view kChangesDict[] = {"clear", "pop", "popitem", "setdefault", "update"};
constexpr std::string_view kChangesList[] = {"append", "clear",  "extend",  "insert",
                                             "pop",    "remove", "reverse", "sort"};

template <size_t N>
bool Has(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

}  // namespace

Methods FindMethods(std::string_view name) {
  return {.of_string = FindStringMethod(name),
          .of_dict = FindIn(kDictMethods, name),
          .of_sequence = FindIn(kSequenceMethods, name),
          .of_loop = FindIn(kLoopMethods, name),
          .changes_dict = Has(kChangesDict, name),
          .changes_list = Has(kChangesList, name)};
}

}  // namespace regatta::jinja
