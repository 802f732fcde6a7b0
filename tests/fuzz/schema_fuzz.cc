// JSON Schemas from clients: refused with a reason, or random output within them is valid JSON, and
// a complete one can always be reached.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "common/text/utf8.h"
#include "router/grammar/grammar.h"
#include "router/grammar/schema_compiler.h"
#include "tests/common/text/tiny_tokenizer.h"
#include "tests/fuzz/fuzz_input.h"

namespace regatta::grammar {
namespace {

constexpr uint32_t kEnd = 301;
constexpr size_t kMaxStates = 20'000;
constexpr int kWalks = 2;
constexpr int kPatience = 60;    // Tokens of a walk at random,
constexpr int kLongest = 1'500;  // and with those that close things preferred.

const std::shared_ptr<const TokenTable>& Tokens() {
  static const auto& tokens = *new std::shared_ptr<const TokenTable>(
      std::make_shared<TokenTable>(*LoadTiny(), std::vector<uint32_t>{kEnd}));
  return tokens;
}

absl::StatusOr<std::shared_ptr<Grammar>> CompileText(std::string_view text) {
  ASSIGN_OR_RETURN(const SchemaDocument document, SchemaDocument::Parse(text));
  Budget budget(kMaxStates, absl::Seconds(5));
  ASSIGN_OR_RETURN(Nfa nfa, CompileSchema(document, budget));
  return std::make_shared<Grammar>(std::move(nfa), Tokens());
}

std::vector<uint32_t> AllowedTokens(OutputConstraint& constraint) {
  std::vector<uint32_t> mask(Tokens()->mask_words());
  constraint.FillMask(absl::MakeSpan(mask), kAnyMaskWork);
  std::vector<uint32_t> allowed;
  for (uint32_t token = 0; token < Tokens()->vocab_size(); ++token) {
    if (mask[token / 32] >> token % 32 & 1) allowed.push_back(token);
  }
  return allowed;
}

// The token that ends output soonest, if one is allowed: the end, closers, and the ends of strings.
uint32_t Choose(const std::vector<uint32_t>& allowed, bool hurry, std::mt19937& random) {
  if (hurry && random() % 8 > 0) {
    for (const uint32_t token : {kEnd, uint32_t{'}'}, uint32_t{']'}, uint32_t{'"'}}) {
      if (std::binary_search(allowed.begin(), allowed.end(), token)) return token;
    }
  }
  return allowed[random() % allowed.size()];
}

// A walk that does not end proves nothing: schemas may ask for much.
void Walk(OutputConstraint& constraint, std::mt19937& random) {
  std::string text;
  for (int step = 0; step < kLongest; ++step) {
    const std::vector<uint32_t> allowed = AllowedTokens(constraint);
    if (!constraint.status().ok()) return;  // Its masks take too much work.
    CHECK(!allowed.empty()) << "nothing is allowed after " << text;
    const uint32_t token = Choose(allowed, step > kPatience, random);
    CHECK(constraint.Accept(token)) << "token " << token << " after " << text;
    if (token == kEnd) {
      CHECK(nlohmann::json::accept(text) && IsValidUtf8(text)) << text;
      return;
    }
    text += Tokens()->TokenBytes(token);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = FuzzInput(data, size).Rest();
  const auto grammar = CompileText(text);
  if (!grammar.ok()) {
    CHECK(!grammar.status().message().empty());
    return 0;
  }
  std::mt19937 random(SeedOf(text));
  for (int i = 0; i < kWalks; ++i) Walk(*NewConstraint(*grammar), random);
  return 0;
}

}  // namespace regatta::grammar
