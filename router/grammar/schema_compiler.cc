// Values: alternatives, scalars and literals; see schema_compiler.h. Objects and arrays are in
// schema_containers.cc.
#include "router/grammar/schema_compiler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router/grammar/number_states.h"
#include "router/grammar/schema_error.h"
#include "router/grammar/schema_keywords.h"
#include "router/grammar/string_formats.h"

namespace regatta::grammar {
namespace {

// The type of a literal, as JSON Schema names it.
std::vector<std::string_view> TypesOf(const OrderedJson& value) {
  if (value.is_number_integer()) return {"integer", "number"};
  return {value.type_name()};
}

absl::StatusOr<std::optional<Limit>> ReadLimit(const Schema& schema, const char* keyword,
                                               bool inclusive) {
  if (!schema.Has(keyword)) return std::nullopt;
  const OrderedJson& value = schema.json.at(keyword);
  if (!value.is_number()) return schema.Error(keyword, "must be a number");
  absl::StatusOr<Decimal> decimal = ParseDecimal(value.dump());
  if (!decimal.ok()) return schema.Error(keyword, decimal.status().message());
  return Limit{*std::move(decimal), inclusive};
}

double AsDouble(const Schema& schema, const char* keyword) {
  return schema.json.at(keyword).get<double>();
}

// The stricter one of the two keywords that limit one side.
absl::StatusOr<std::optional<Limit>> ReadSide(const Schema& schema, const char* inclusive,
                                              const char* exclusive, double sign) {
  ASSIGN_OR_RETURN(std::optional<Limit> limit, ReadLimit(schema, inclusive, true));
  ASSIGN_OR_RETURN(std::optional<Limit> other, ReadLimit(schema, exclusive, false));
  if (!limit || !other) return limit ? limit : other;
  const bool other_is_stricter =
      sign * AsDouble(schema, exclusive) >= sign * AsDouble(schema, inclusive);
  return other_is_stricter ? other : limit;
}

}  // namespace

absl::StatusOr<Nfa> CompileSchema(const SchemaDocument& document, Budget& budget) {
  NfaBuilder nfa(budget);
  SchemaCompiler compiler(document, nfa);
  const StateId start = nfa.AddState(), end = nfa.AddState();
  nfa.At(start).white_space = start;
  RETURN_IF_ERROR(compiler.AddValue(document.Root(), start, end));
  RETURN_IF_ERROR(compiler.AddPendingRules());
  RETURN_IF_ERROR(budget.CheckTime());
  Nfa result = std::move(nfa).Finish(start, end);
  const NfaState& first = result.states[start];
  if (first.edges.empty() && first.calls.empty() && first.epsilons.empty()) {
    return SchemaError("#", "allows no value at all");
  }
  return result;
}

absl::Status SchemaCompiler::AddValue(const Schema& schema, StateId from, StateId to) {
  ASSIGN_OR_RETURN(std::vector<Schema> alternatives, flattener_.Flatten(schema));
  for (const Schema& plain : alternatives) RETURN_IF_ERROR(AddPlain(plain, from, to));
  return nfa_.budget().status();
}

absl::Status SchemaCompiler::AddPlain(const Schema& schema, StateId from, StateId to) {
  if (schema.Has("enum")) return AddEnum(schema, from, to);
  ASSIGN_OR_RETURN(std::vector<std::string> types, ReadTypes(schema));
  const bool has_number = std::find(types.begin(), types.end(), "number") != types.end();
  for (const std::string& type : types) {
    if (type == "null") {
      AddText("null", from, to);
    } else if (type == "boolean") {
      AddText("true", from, to);
      AddText("false", from, to);
    } else if (type == "string") {
      RETURN_IF_ERROR(AddString(schema, from, to));
    } else if (type == "number" || (type == "integer" && !has_number)) {
      RETURN_IF_ERROR(AddNumber(schema, type == "integer", from, to));
    } else if (type == "object" || type == "array") {
      AddContainer(schema, type == "object" ? '{' : '[', from, to);
    }
  }
  return absl::OkStatus();
}

absl::Status SchemaCompiler::AddString(const Schema& schema, StateId from, StateId to) {
  ASSIGN_OR_RETURN(const uint32_t min, ReadCount(schema, "minLength", 0));
  ASSIGN_OR_RETURN(const uint32_t max, ReadCount(schema, "maxLength", kUnlimited));
  if (min > max) return schema.Error("minLength", "is above maxLength");
  const bool has_pattern = schema.Has("pattern"), has_format = schema.Has("format");
  if (!has_pattern && !has_format) {
    nfa_.AddCall(from, strings_.Text(min, max), to);
    return absl::OkStatus();
  }
  if (has_pattern && has_format) {
    return schema.Error("format", "beside pattern is not supported in constrained output");
  }
  const char* keyword = has_pattern ? "pattern" : "format";
  const OrderedJson& value = schema.json.at(keyword);
  if (!value.is_string()) return schema.Error(keyword, "must be a string");
  std::string pattern = value.get<std::string>();
  if (has_format) {
    std::optional<std::string> known = FormatPattern(pattern);
    if (!known) {
      return schema.Error(keyword, absl::StrCat("is not supported; these are: ", FormatNames()));
    }
    pattern = *std::move(known);
  }
  RETURN_IF_ERROR(nfa_.budget().CheckTime());
  absl::StatusOr<CharAutomaton> automaton = CompilePattern(pattern);
  if (automaton.ok()) automaton = LimitLength(*automaton, min, max);
  if (!automaton.ok()) {
    return schema.Error(keyword, absl::StrCat("cannot be used: ", automaton.status().message()),
                        automaton.status().code());
  }
  size_t edges = 0;
  for (const CharState& state : automaton->states) edges += state.edges.size();
  RETURN_IF_ERROR(nfa_.budget().TakePatternEdges(edges));
  const std::string name = absl::StrCat("pattern ", min, " ", max, " ", pattern);
  nfa_.AddCall(from, strings_.Matching(*automaton, name), to);
  return absl::OkStatus();
}

absl::Status SchemaCompiler::AddNumber(const Schema& schema, bool integer, StateId from,
                                       StateId to) {
  // OpenAPI's formats of numbers say nothing of the text.
  NumberLimits limits;
  ASSIGN_OR_RETURN(limits.low, ReadSide(schema, "minimum", "exclusiveMinimum", 1));
  ASSIGN_OR_RETURN(limits.high, ReadSide(schema, "maximum", "exclusiveMaximum", -1));
  WriteNumber(nfa_, limits, integer, from, to);
  return absl::OkStatus();
}

void SchemaCompiler::AddContainer(const Schema& schema, uint8_t opener, StateId from, StateId to) {
  const KeywordKind kind = opener == '{' ? KeywordKind::kObject : KeywordKind::kArray;
  Schema own{OrderedJson::object(), schema.pointer};
  for (const auto& [keyword, value] : schema.json.items()) {
    if (KindOf(keyword) == kind) own.json[keyword] = value;
  }
  std::string name = own.json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
  name += static_cast<char>(opener);
  auto [found, added] = containers_.try_emplace(std::move(name), 0);
  if (added) {
    found->second = nfa_.AddRule(opener);
    pending_.push_back({std::move(own), found->second});
  }
  nfa_.AddCall(from, found->second, to);
}

absl::Status SchemaCompiler::AddPendingRules() {
  while (!pending_.empty()) {
    RETURN_IF_ERROR(nfa_.budget().CheckTime());
    const Pending next = std::move(pending_.back());
    pending_.pop_back();
    RETURN_IF_ERROR(nfa_.RuleOpener(next.rule) == '{' ? WriteObject(next.schema, next.rule)
                                                      : WriteArray(next.schema, next.rule));
  }
  return nfa_.budget().status();
}

absl::Status SchemaCompiler::AddEnum(const Schema& schema, StateId from, StateId to) {
  for (const auto& [keyword, value] : schema.json.items()) {
    if (KindOf(keyword) != KeywordKind::kAnyType) {
      return schema.Error(keyword, "beside enum or const is not supported in constrained output");
    }
  }
  if (!schema.json.at("enum").is_array()) return schema.Error("enum", "must be a list");
  ASSIGN_OR_RETURN(std::vector<std::string> types, ReadTypes(schema));
  std::vector<std::string> texts;
  for (size_t i = 0; i < schema.json.at("enum").size(); ++i) {
    const Schema literal = schema.At("enum", i);
    const std::vector<std::string_view> own = TypesOf(literal.json);
    if (std::find_first_of(types.begin(), types.end(), own.begin(), own.end()) == types.end()) {
      continue;
    }
    if (literal.json.is_string()) {
      texts.push_back(literal.json.get<std::string>());
    } else {
      RETURN_IF_ERROR(AddLiteral(literal, from, to));
    }
  }
  if (!texts.empty()) nfa_.AddCall(from, strings_.OneOf(texts), to);
  return absl::OkStatus();
}

// Objects and arrays as schemas that only they match.
absl::Status SchemaCompiler::AddLiteral(const Schema& literal, StateId from, StateId to) {
  auto only = [](const OrderedJson& value) { return OrderedJson{{"const", value}}; };
  Schema schema{OrderedJson::object(), literal.pointer};
  if (literal.json.is_object()) {
    schema.json = {{"properties", OrderedJson::object()},
                   {"required", OrderedJson::array()},
                   {"additionalProperties", false}};
    for (const auto& [name, value] : literal.json.items()) {
      schema.json["properties"][name] = only(value);
      schema.json["required"].push_back(name);
    }
    AddContainer(schema, '{', from, to);
  } else if (literal.json.is_array()) {
    const size_t size = literal.json.size();
    schema.json = {{"minItems", size}, {"maxItems", size}};
    for (const OrderedJson& value : literal.json) schema.json["prefixItems"].push_back(only(value));
    AddContainer(schema, '[', from, to);
  } else {
    AddText(literal.json.dump(), from, to);
  }
  return absl::OkStatus();
}

void SchemaCompiler::AddText(std::string_view text, StateId from, StateId to) {
  nfa_.AddBytes(from, text.data(), text.size(), to);
}

}  // namespace regatta::grammar
