// What masks may cost is counted in work, edge by edge, and shared by all sequences of a grammar.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "router/grammar/grammar.h"
#include "router/grammar/schema_compiler.h"
#include "tests/router/grammar/grammar_fixture.h"

namespace regatta::grammar {
namespace {

using testing::HasSubstr;

// A short schema of some 250,000 edges: each of 355 optional characters leads to all behind it.
std::string CostlySchema() {
  std::string patterns;
  for (int i = 0; i < 4; ++i) {
    absl::StrAppend(&patterns, i ? "," : "", R"({"type":"string","pattern":"^([ -~]?){355})", i,
                    R"(x8"})");
  }
  return absl::StrCat(R"({"anyOf":[)", patterns, "]}");
}

Nfa CompileNfa(const std::string& schema) {
  const auto document = SchemaDocument::Parse(schema);
  CHECK(document.ok());
  Budget budget(200'000, absl::Minutes(5));
  auto nfa = CompileSchema(*document, budget);
  CHECK(nfa.ok()) << nfa.status();
  return *std::move(nfa);
}

class MaskWorkTest : public testing::Test {
 protected:
  std::shared_ptr<Grammar> MakeGrammar(const std::string& schema) {
    return std::make_shared<Grammar>(CompileNfa(schema), tokens_);
  }
  // Goes on with an allowed token, not the end, until the sequence fails; counts its masks.
  uint64_t WalkUntilFailure(OutputConstraint& sequence) {
    uint64_t masks = 0;
    for (bool more = true; more && sequence.status().ok() && masks < 2000; ++masks) {
      const Mask mask = FillMask(sequence, *tokenizer_);
      uint32_t token = EndTokenOf(*tokenizer_);
      while (token > 0 && !IsSet(mask, --token)) continue;
      more = IsSet(mask, token) && sequence.Accept(token);
    }
    return masks;
  }

  std::unique_ptr<Tokenizer> tokenizer_ = MakeVocabulary(JsonTokens());
  std::shared_ptr<const TokenTable> tokens_ = std::make_shared<const TokenTable>(
      *tokenizer_, std::vector<uint32_t>{EndTokenOf(*tokenizer_)});
};

TEST_F(MaskWorkTest, EdgesArePaidFor) {
  Automaton automaton(CompileNfa(CostlySchema()));
  automaton.SetWork(60'000);
  SetId set = automaton.Next(automaton.start(), '"').target;
  int steps = 0;
  for (; steps < 100; ++steps) {
    const Step step = automaton.Next(set, 'a');
    if (automaton.out_of_work()) break;
    ASSERT_NE(step.kind, Step::kDead);
    set = step.target;
  }
  EXPECT_GT(steps, 0);
  EXPECT_LT(steps, 4) << "each looks at a quarter of a million of edges";
}

TEST_F(MaskWorkTest, AStepGivenUpIsTakenOnceThereIsWork) {
  Automaton automaton(CompileNfa(CostlySchema()));
  const SetId set = automaton.Next(automaton.start(), '"').target;
  automaton.SetWork(100);
  EXPECT_EQ(automaton.Next(set, 'a').kind, Step::kDead);
  EXPECT_TRUE(automaton.out_of_work());
  automaton.SetWork(10'000'000);
  EXPECT_NE(automaton.Next(set, 'a').kind, Step::kDead);
}

TEST_F(MaskWorkTest, ManyCostlySequencesShareOneCreditAndFail) {
  const auto grammar = MakeGrammar(CostlySchema());
  std::vector<std::unique_ptr<OutputConstraint>> sequences;
  for (int i = 0; i < 64; ++i) sequences.push_back(NewConstraint(grammar));
  uint64_t masks = 0;
  for (const auto& sequence : sequences) {
    masks += WalkUntilFailure(*sequence);
    EXPECT_EQ(sequence->status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(sequence->status().message(), HasSubstr("more work than 4000000 visits"));
  }
  EXPECT_LT(masks, 64 * 100);
  EXPECT_LE(grammar->work_spent(), kMaxWorkCredit + masks * kWorkPerMask);
}

TEST_F(MaskWorkTest, AMaskCutByItsStepIsGoneOnWith) {
  const auto grammar = MakeGrammar(R"({"type":"string","pattern":"^[a-z]{3,9}-[0-9]{2,4}$"})");
  const auto sequence = NewConstraint(grammar);
  Mask mask((static_cast<size_t>(tokenizer_->vocab_size()) + 31) / 32);
  const MaskCost first = sequence->FillMask(absl::MakeSpan(mask), 40);
  EXPECT_TRUE(first.cut);
  EXPECT_LE(first.work, 40 + 100) << "a step is given up on the way";
  EXPECT_EQ(sequence->status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(sequence->status().message(), HasSubstr("try again later"));
  EXPECT_FALSE(sequence->FillMask(absl::MakeSpan(mask), kAnyMaskWork).cut);
  EXPECT_TRUE(sequence->status().ok());
  EXPECT_EQ(mask, FillMask(*NewConstraint(MakeGrammar(
                               R"({"type":"string","pattern":"^[a-z]{3,9}-[0-9]{2,4}$"})")),
                           *tokenizer_));
}

TEST_F(MaskWorkTest, ThePreparedFirstMaskIsTheComputedOneAndFree) {
  for (const SchemaCase& item : SchemaCases()) {
    const auto prepared = MakeGrammar(item.schema.dump());
    ASSERT_TRUE(prepared->PrepareFirstMask().ok()) << item.name;
    const auto sequence = NewConstraint(prepared);
    Mask mask((static_cast<size_t>(tokenizer_->vocab_size()) + 31) / 32);
    EXPECT_EQ(sequence->FillMask(absl::MakeSpan(mask), 1).work, 0u) << item.name;
    EXPECT_EQ(mask, FillMask(*NewConstraint(MakeGrammar(item.schema.dump())), *tokenizer_));
  }
}

TEST_F(MaskWorkTest, OrdinarySequencesStayFarWithinTheCredit) {
  std::mt19937 random(11);
  for (const SchemaCase& item : SchemaCases()) {
    const auto grammar = MakeGrammar(item.schema.dump());
    const auto sequence = NewConstraint(grammar);
    RandomWalk(*sequence, *tokenizer_, 40, random);
    EXPECT_TRUE(sequence->status().ok()) << item.name;
    EXPECT_LT(grammar->work_spent(), kMaxWorkCredit / 2) << item.name;
  }
}

}  // namespace
}  // namespace regatta::grammar
