// Constraints that make output JSON: any object, or a value of a JSON Schema.
//
// What is produced is always valid JSON (RFC 8259, well-formed UTF-8) that the schema allows. Not
// everything that the schema allows can be produced:
// - Properties come in the order in which the schema lists them, those that are only required
//   after them, further ones at the end. Where `properties` is given, further ones come only if
//   additionalProperties says so; likewise items behind `prefixItems`.
// - White space, after openers, ',' and ':' and before closers: one space, or a line break and up
//   to kMaxIndent (automaton.h) spaces or tabs. None before ',' and ':', none at the end.
// - Numbers: see number_states.h. Escapes in strings: see string_rules.h. Formats:
// string_formats.h.
// - oneOf counts as anyOf.
// - Without `type` the other keywords tell the types: {"minLength": 1} is a string.
//
// Understood: type, enum, const, anyOf, oneOf, allOf, $ref ("#", "#/..."), nullable; properties,
// required, additionalProperties; items, prefixItems, minItems, maxItems; minLength, maxLength,
// pattern (char_automaton.h), format; minimum, maximum, exclusiveMinimum, exclusiveMaximum.
// Annotations (title, description, default, ...) are passed over. Every other keyword is refused
// by name, with its JSON pointer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "common/text/tokenizer.h"
#include "router/grammar/output_constraint.h"

namespace regatta {

struct JsonConstraintOptions {
  int threads = 2;            // And one for the costly: those that take longer than quick_time.
  size_t max_costly = 8;      // Costly schemas that wait.
  size_t max_waiting = 256;   // Calls of Compile whose schema is not compiled yet.
  size_t max_grammars = 128;  // Compiled grammars kept for the next request.
  size_t max_grammar_bytes = size_t{256} << 20;  // The same, in bytes.
  size_t max_states = 200'000;                   // Of the automaton of one schema.
  absl::Duration quick_time = absl::Milliseconds(100);
  absl::Duration compile_time = absl::Seconds(2);
  size_t max_failures = 256;  // Schemas kept that cannot be compiled, so that nobody tries again.
};

// A compiler for the vocabulary of `tokenizer`, of which it makes a copy (some 100 ms and 12 MB
// for 128,000 tokens). `end_tokens`: those that may come where the output is complete, and nowhere
// else. Constraints may outlive it. Destroying it waits for the schemas being compiled and answers
// those still waiting with CANCELLED. `done` may call Compile, but must not destroy the compiler.
std::unique_ptr<ConstraintCompiler> MakeJsonConstraintCompiler(const Tokenizer& tokenizer,
                                                               std::vector<uint32_t> end_tokens,
                                                               JsonConstraintOptions options = {});

}  // namespace regatta
