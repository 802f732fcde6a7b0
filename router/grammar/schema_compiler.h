// From a JSON Schema to the automaton of the texts that it allows.
#pragma once

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "router/grammar/budget.h"
#include "router/grammar/nfa.h"
#include "router/grammar/schema_document.h"
#include "router/grammar/schema_flattener.h"
#include "router/grammar/string_rules.h"

namespace regatta::grammar {

// The automaton of `document`. INVALID_ARGUMENT names the part that is wrong, is not supported, or
// that nothing can satisfy, or the limit of the budget that it exceeds.
absl::StatusOr<Nfa> CompileSchema(const SchemaDocument& document, Budget& budget);

// Adds values of schemas between two states. Scalars become states in place; objects and arrays
// become rules, one per text of a schema, so that recursion ends. Rules are written after the
// value that asked for them, from a list, so that nesting costs no C++ stack.
class SchemaCompiler {
 public:
  SchemaCompiler(const SchemaDocument& document, NfaBuilder& nfa)
      : nfa_(nfa), strings_(nfa), flattener_(document, nfa.budget()) {}

  absl::Status AddValue(const Schema& schema, StateId from, StateId to);
  // Writes the rules that values asked for, and those that these ask for.
  absl::Status AddPendingRules();

 private:
  struct Pending {
    Schema schema;
    RuleId rule;
  };

  absl::Status AddPlain(const Schema& schema, StateId from, StateId to);
  absl::Status AddString(const Schema& schema, StateId from, StateId to);
  absl::Status AddNumber(const Schema& schema, bool integer, StateId from, StateId to);
  void AddContainer(const Schema& schema, uint8_t opener, StateId from, StateId to);
  absl::Status AddEnum(const Schema& schema, StateId from, StateId to);
  absl::Status AddLiteral(const Schema& literal, StateId from, StateId to);
  void AddText(std::string_view text, StateId from, StateId to);

  absl::Status WriteObject(const Schema& schema, RuleId rule);
  absl::Status WriteArray(const Schema& schema, RuleId rule);
  // A key that `key_rule` writes, ':', and a value of `schema`.
  absl::Status AddMember(RuleId key_rule, const Schema& schema, StateId from, StateId to);

  NfaBuilder& nfa_;
  StringRules strings_;
  SchemaFlattener flattener_;
  absl::flat_hash_map<std::string, RuleId> containers_;
  std::vector<Pending> pending_;
};

}  // namespace regatta::grammar
