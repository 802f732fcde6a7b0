// Vocabularies, schemas and random texts for tests of constrained output.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/text/tokenizer.h"
#include "router/grammar/json_constraint.h"

namespace regatta {

using OrderedJson = nlohmann::ordered_json;

// A tokenizer whose ids are the 256 bytes, then `tokens`, then two special tokens, the end token
// and another one.
std::unique_ptr<Tokenizer> MakeVocabulary(const std::vector<std::string>& tokens);
uint32_t EndTokenOf(const Tokenizer& tokenizer);
uint32_t OtherSpecialTokenOf(const Tokenizer& tokenizer);

// About 300 tokens: punctuation of JSON in all combinations, digits, white space, halves of
// characters, words of the schemas.
std::vector<std::string> JsonTokens();

// One case of schemas.json.
struct SchemaCase {
  std::string name;
  OrderedJson schema;
  std::vector<OrderedJson> valid;
  std::vector<OrderedJson> invalid;
};
const std::vector<SchemaCase>& SchemaCases();

// Compiles and waits.
absl::StatusOr<std::unique_ptr<OutputConstraint>> Compile(ConstraintCompiler& compiler,
                                                          const std::string& schema);
absl::StatusOr<std::unique_ptr<OutputConstraint>> CompileAnyObject(ConstraintCompiler& compiler);

using Mask = std::vector<uint32_t>;
Mask FillMask(OutputConstraint& constraint, const Tokenizer& tokenizer);
inline bool IsSet(const Mask& mask, uint32_t token) { return mask[token / 32] >> token % 32 & 1; }

// Draws allowed tokens until the end: every token with the same chance, but after `patience` tokens
// rather those that close something. Fails the test when it does not end within 4,000.
std::string RandomWalk(OutputConstraint& constraint, const Tokenizer& tokenizer, int patience,
                       std::mt19937& random);

// Feeds `text` cut into random tokens; each must be in the mask before it is accepted. False when
// one is refused, or the text is not complete at its end.
bool Accepts(OutputConstraint& constraint, const Tokenizer& tokenizer, std::string_view text,
             std::mt19937& random);

}  // namespace regatta
