// Rules of objects and arrays; see schema_compiler.h.
//
// White space may come after an opener, ',' and ':' and before a closer.
#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router/grammar/schema_compiler.h"
#include "router/grammar/schema_keywords.h"

namespace regatta::grammar {
namespace {

struct Property {
  std::string name;
  Schema schema;
  bool required = false;
};

// What a schema says of an object.
struct ObjectParts {
  std::vector<Property> properties;  // In the order in which they are written.
  bool open = false;                 // Others may follow, of schema `others`.
  Schema others;
};

absl::StatusOr<ObjectParts> ReadObject(const Schema& schema) {
  ObjectParts parts;
  ASSIGN_OR_RETURN(std::vector<std::string> names, ReadStrings(schema, "required"));
  absl::flat_hash_set<std::string> required(names.begin(), names.end());
  const bool lists = schema.Has("properties");
  if (lists && !schema.json.at("properties").is_object()) {
    return schema.Error("properties", "must be an object");
  }
  parts.others = schema.Has("additionalProperties")
                     ? schema.At("additionalProperties")
                     : Schema{!lists, absl::StrCat(schema.pointer, "/additionalProperties")};
  parts.open = parts.others.json != false;
  if (lists) {
    for (const auto& [name, value] : schema.json.at("properties").items()) {
      parts.properties.push_back({name, schema.At("properties", name), required.erase(name) > 0});
    }
  }
  for (const std::string& name : names) {  // Those that are required but not described.
    if (required.erase(name) == 0) continue;
    if (!parts.open) {
      return schema.Error("required", absl::StrCat("lists \"", name.substr(0, 100),
                                                   "\", which is not among the properties"));
    }
    parts.properties.push_back({name, parts.others, true});
  }
  return parts;
}

// Adds the closer of `rule` at `state`, with or without white space before it.
void CloseAt(NfaBuilder& nfa, StateId state, uint8_t closer, RuleId rule) {
  const StateId spaced = nfa.AddState();
  nfa.AddByte(state, closer, nfa.RuleEnd(rule));
  nfa.AddByte(spaced, closer, nfa.RuleEnd(rule));
  nfa.At(state).white_space = spaced;
}

StateId AddSpacedState(NfaBuilder& nfa) {
  const StateId state = nfa.AddState();
  nfa.At(state).white_space = state;
  return state;
}

// Items of an array: those of a prefix one by one, the others in three phases: too few to close,
// any number, the last one that may come. The count of the level is the number of commas, so it is
// i before item i.
class ArrayWriter {
 public:
  using AddValue = absl::FunctionRef<absl::Status(const Schema&, StateId, StateId)>;

  ArrayWriter(NfaBuilder& nfa, RuleId rule, uint32_t min, uint32_t max, AddValue add_value)
      : nfa_(nfa), rule_(rule), min_(min), max_(max), add_value_(add_value) {}

  absl::Status Write(const std::vector<Schema>& prefix, const Schema& items) {
    const StateId start = AddSpacedState(nfa_);
    nfa_.AddEpsilon(nfa_.RuleStart(rule_), start);
    if (min_ == 0) nfa_.AddByte(start, ']', nfa_.RuleEnd(rule_));
    StateId before = AddBefore();
    if (max_ > 0) nfa_.AddEpsilon(start, before);
    for (uint32_t i = 0; i < prefix.size() && i < max_; ++i) {
      const StateId next = AddBefore();
      RETURN_IF_ERROR(AddItem(prefix[i], before, i + 1 >= min_, i + 1 < max_ ? next : kNone));
      before = next;
    }
    if (prefix.size() >= max_) return absl::OkStatus();
    return WriteOthers(items, before, static_cast<uint32_t>(prefix.size()));
  }

 private:
  StateId AddBefore() {
    const StateId state = AddSpacedState(nfa_);
    nfa_.At(state).counts = min_ > 0 || max_ != kUnlimited;
    return state;
  }

  // An item, and what may follow it: the closer, a comma that leads to `next`.
  absl::Status AddItem(const Schema& item, StateId before, bool may_close, StateId next) {
    const StateId after = nfa_.AddState();
    if (may_close) CloseAt(nfa_, after, ']', rule_);
    if (next != kNone) nfa_.AddByte(after, ',', next);
    return add_value_(item, before, after);
  }

  void SetLimit(StateId state, uint32_t limit, StateId at_limit) {
    nfa_.At(state).limit = limit;
    nfa_.At(state).at_limit = at_limit;
  }

  // The items behind a prefix of `first`; `before` is where the first of them is expected.
  absl::Status WriteOthers(const Schema& items, StateId before, uint32_t first) {
    const StateId early = AddBefore(), middle = AddBefore(), last = AddBefore();
    const uint32_t last_count = max_ == kUnlimited ? kUnlimited : max_ - 1;
    const uint32_t closing_count = min_ == 0 ? 0 : min_ - 1;
    auto closing_phase = [&](uint32_t count) { return count >= last_count ? last : middle; };
    if (closing_count > first) {
      nfa_.AddEpsilon(before, early);
      SetLimit(early, closing_count, closing_phase(closing_count));
      RETURN_IF_ERROR(AddItem(items, early, /*may_close=*/false, early));
    } else {
      nfa_.AddEpsilon(before, closing_phase(first));
    }
    if (last_count != kUnlimited) {
      SetLimit(middle, last_count, last);
      RETURN_IF_ERROR(AddItem(items, last, /*may_close=*/true, kNone));
    }
    return AddItem(items, middle, /*may_close=*/true, middle);
  }

  NfaBuilder& nfa_;
  const RuleId rule_;
  const uint32_t min_;
  const uint32_t max_;
  const AddValue add_value_;
};

}  // namespace

absl::Status SchemaCompiler::AddMember(RuleId key_rule, const Schema& schema, StateId from,
                                       StateId to) {
  const StateId colon = nfa_.AddState(), value = AddSpacedState(nfa_);
  nfa_.AddCall(from, key_rule, colon);
  nfa_.AddByte(colon, ':', value);
  return AddValue(schema, value, to);
}

absl::Status SchemaCompiler::WriteObject(const Schema& schema, RuleId rule) {
  ASSIGN_OR_RETURN(const ObjectParts parts, ReadObject(schema));
  const size_t count = parts.properties.size();
  // Before a key: property i or, while those in between are optional, a later one may come.
  std::vector<StateId> before(count + 1), after(count + 1);
  for (StateId& state : before) state = AddSpacedState(nfa_);
  for (StateId& state : after) state = nfa_.AddState();
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) {
    const Property& property = parts.properties[i];
    RETURN_IF_ERROR(
        AddMember(strings_.OneOf({property.name}), property.schema, before[i], after[i + 1]));
    if (!property.required) nfa_.AddEpsilon(before[i], before[i + 1]);
    names.push_back(property.name);
  }
  if (parts.open) {
    RETURN_IF_ERROR(AddMember(strings_.NoneOf(names), parts.others, before[count], after[count]));
  }
  const StateId start = AddSpacedState(nfa_);
  nfa_.AddEpsilon(nfa_.RuleStart(rule), start);
  nfa_.AddEpsilon(start, before[0]);
  bool may_close = true;
  for (size_t i = count + 1; i-- > 0;) {
    if (i < count && parts.properties[i].required) may_close = false;
    nfa_.AddByte(after[i], ',', before[i]);
    if (may_close) CloseAt(nfa_, after[i], '}', rule);
  }
  if (may_close) nfa_.AddByte(start, '}', nfa_.RuleEnd(rule));
  return nfa_.budget().status();
}

absl::Status SchemaCompiler::WriteArray(const Schema& schema, RuleId rule) {
  ASSIGN_OR_RETURN(const uint32_t min, ReadCount(schema, "minItems", 0));
  ASSIGN_OR_RETURN(const uint32_t max, ReadCount(schema, "maxItems", kUnlimited));
  if (min > max) return schema.Error("minItems", "is above maxItems");
  ASSIGN_OR_RETURN(const std::vector<Schema> prefix, ReadSchemas(schema, "prefixItems"));
  const Schema items = schema.Has("items")
                           ? schema.At("items")
                           : Schema{prefix.empty(), absl::StrCat(schema.pointer, "/items")};
  if (items.json.is_array()) {
    return schema.Error("items", "must be a schema; a list of schemas is called prefixItems");
  }
  auto add_value = [this](const Schema& item, StateId from, StateId to) {
    return AddValue(item, from, to);
  };
  RETURN_IF_ERROR(ArrayWriter(nfa_, rule, min, max, add_value).Write(prefix, items));
  return nfa_.budget().status();
}

}  // namespace regatta::grammar
