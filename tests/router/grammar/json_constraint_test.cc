// Constrained output end to end: what is drawn is valid, what is valid is accepted, masks are what
// trying every token gives.
#include "router/grammar/json_constraint.h"

#include <gtest/gtest.h>

#include "common/text/utf8.h"
#include "tests/router/grammar/grammar_fixture.h"
#include "tests/router/grammar/schema_checker.h"

namespace regatta {
namespace {

class JsonConstraintTest : public testing::Test {
 protected:
  std::unique_ptr<OutputConstraint> New(const OrderedJson& schema) {
    auto constraint = Compile(*compiler_, schema.dump());
    EXPECT_TRUE(constraint.ok()) << constraint.status() << " " << schema;
    return *std::move(constraint);
  }
  bool AcceptsText(const OrderedJson& schema, const std::string& text) {
    return Accepts(*New(schema), *tokenizer_, text, random_);
  }

  std::unique_ptr<Tokenizer> tokenizer_ = MakeVocabulary(JsonTokens());
  std::unique_ptr<ConstraintCompiler> compiler_ =
      MakeJsonConstraintCompiler(*tokenizer_, {EndTokenOf(*tokenizer_)});
  std::mt19937 random_{1};
};

void ExpectValid(const SchemaCase& schema_case, const std::string& text) {
  EXPECT_TRUE(IsValidUtf8(text)) << text;
  const OrderedJson value = OrderedJson::parse(text, nullptr, /*allow_exceptions=*/false);
  ASSERT_FALSE(value.is_discarded()) << schema_case.name << ": not JSON: " << text;
  EXPECT_EQ(CheckSchema(schema_case.schema, schema_case.schema, value), "")
      << schema_case.name << ": " << text;
}

TEST_F(JsonConstraintTest, TheCheckerTellsValidFromInvalid) {
  for (const SchemaCase& schema_case : SchemaCases()) {
    for (const OrderedJson& value : schema_case.valid) {
      EXPECT_EQ(CheckSchema(schema_case.schema, schema_case.schema, value), "") << schema_case.name;
    }
    for (const OrderedJson& value : schema_case.invalid) {
      EXPECT_NE(CheckSchema(schema_case.schema, schema_case.schema, value), "")
          << schema_case.name << " " << value;
    }
  }
}

TEST_F(JsonConstraintTest, RandomWalksEndInValidDocuments) {
  for (const SchemaCase& schema_case : SchemaCases()) {
    for (int patience : {0, 10, 60, 200}) {
      for (int i = 0; i < 15; ++i) {
        ExpectValid(schema_case,
                    RandomWalk(*New(schema_case.schema), *tokenizer_, patience, random_));
      }
    }
  }
}

TEST_F(JsonConstraintTest, ValidDocumentsAreAcceptedInEveryOrdinarySpacingAndTokenisation) {
  for (const SchemaCase& schema_case : SchemaCases()) {
    for (const OrderedJson& value : schema_case.valid) {
      for (int indent : {-1, 0, 2, 4}) {
        const std::string text = value.dump(indent);
        for (int i = 0; i < 5; ++i) {
          EXPECT_TRUE(AcceptsText(schema_case.schema, text)) << schema_case.name << ": " << text;
        }
      }
    }
  }
}

TEST_F(JsonConstraintTest, InvalidDocumentsAreRefused) {
  for (const SchemaCase& schema_case : SchemaCases()) {
    for (const OrderedJson& value : schema_case.invalid) {
      EXPECT_FALSE(AcceptsText(schema_case.schema, value.dump())) << schema_case.name << value;
    }
  }
}

// Walks; at each step every token is tried on a fresh constraint that has taken the same tokens.
TEST_F(JsonConstraintTest, MasksAreWhatTryingEveryTokenGives) {
  const uint32_t end = EndTokenOf(*tokenizer_);
  for (const SchemaCase& schema_case : SchemaCases()) {
    std::vector<uint32_t> taken;
    std::unique_ptr<OutputConstraint> constraint = New(schema_case.schema);
    for (int step = 0; step < 25; ++step) {
      const Mask mask = FillMask(*constraint, *tokenizer_);
      std::vector<uint32_t> allowed;
      for (uint32_t token = 0; token < static_cast<uint32_t>(tokenizer_->vocab_size()); ++token) {
        std::unique_ptr<OutputConstraint> copy = New(schema_case.schema);
        for (uint32_t before : taken) ASSERT_TRUE(copy->Accept(before));
        ASSERT_EQ(copy->Accept(token), IsSet(mask, token))
            << schema_case.name << " step " << step << " token '" << tokenizer_->TokenBytes(token);
        if (IsSet(mask, token) && token != end) allowed.push_back(token);
      }
      if (allowed.empty()) break;
      taken.push_back(allowed[random_() % allowed.size()]);
      ASSERT_TRUE(constraint->Accept(taken.back()));
    }
  }
}

TEST_F(JsonConstraintTest, SpecialAndUnknownTokensNeverComeAndEndTokensOnlyAtTheEnd) {
  const uint32_t end = EndTokenOf(*tokenizer_), other = OtherSpecialTokenOf(*tokenizer_);
  std::unique_ptr<OutputConstraint> constraint = New({{"const", "<|other|>"}});
  for (char byte : std::string("\"<|other|>\"")) {
    EXPECT_FALSE(IsSet(FillMask(*constraint, *tokenizer_), end));
    EXPECT_FALSE(IsSet(FillMask(*constraint, *tokenizer_), other));
    EXPECT_FALSE(constraint->Accept(end));
    EXPECT_FALSE(constraint->Accept(other));
    EXPECT_FALSE(constraint->Accept(1'000'000));
    EXPECT_TRUE(constraint->Accept(static_cast<uint8_t>(byte)));
  }
  for (int i = 0; i < 2; ++i) {
    const Mask mask = FillMask(*constraint, *tokenizer_);
    for (uint32_t token = 0; token < static_cast<uint32_t>(tokenizer_->vocab_size()); ++token) {
      EXPECT_EQ(IsSet(mask, token), token == end);
    }
    EXPECT_FALSE(constraint->Accept(' '));
    EXPECT_TRUE(constraint->Accept(end));
  }
}

TEST_F(JsonConstraintTest, AnyObject) {
  for (int i = 0; i < 50; ++i) {
    auto constraint = CompileAnyObject(*compiler_);
    ASSERT_TRUE(constraint.ok());
    const std::string text = RandomWalk(**constraint, *tokenizer_, 50, random_);
    EXPECT_TRUE(OrderedJson::parse(text, nullptr, false).is_object()) << text;
  }
}

TEST_F(JsonConstraintTest, WhiteSpaceIsBounded) {
  const OrderedJson schema = {{"type", "array"}, {"items", {{"type", "integer"}}}};
  for (const char* text : {"[1]", "[ 1, 2 ]", "[\n  1,\n\t2\n]", " [1]", "\n[]", "[ ]"}) {
    EXPECT_TRUE(AcceptsText(schema, text)) << text;
  }
  for (const char* text : {"[  1]", "[\n\n1]", "[1 ]  ", "[1] ", "[1 ,2]", "[\t1]", "[1, \n2]"}) {
    EXPECT_FALSE(AcceptsText(schema, text)) << text;
  }
  EXPECT_TRUE(AcceptsText(schema, "[\n" + std::string(40, ' ') + "1]"));
  EXPECT_FALSE(AcceptsText(schema, "[\n" + std::string(41, ' ') + "1]"));
}

TEST_F(JsonConstraintTest, StringsAreWellFormed) {
  const OrderedJson schema = {{"type", "string"}};
  for (const char* text :
       {"\"\\u0041\\ud83d\\uDE00\\/\\b\"", "\"\xf0\x9f\x98\x80\xed\x9f\xbf\"", "\"\x7f\""}) {
    EXPECT_TRUE(AcceptsText(schema, text)) << text;
  }
  for (const char* text : {"\"\\ud83d\"", "\"\\ude00\"", "\"\\ud83d\\u0041\"", "\"\n\"", "\"\\x\"",
                           "\"\\u00g0\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"",
                           "\"\xf4\x90\x80\x80\"", "\"\x80\"", "\"\xc3\"", "'a'"}) {
    EXPECT_FALSE(AcceptsText(schema, text)) << text;
  }
}

TEST_F(JsonConstraintTest, NumbersAreThoseOfRfc8259) {
  const OrderedJson schema = {{"type", "number"}};
  for (const char* text : {"0", "-0", "10", "0.0", "-1.50", "1e5", "1E+05", "12.5e-9"}) {
    EXPECT_TRUE(AcceptsText(schema, text)) << text;
  }
  for (const char* text :
       {"01", "+1", ".5", "1.", "1e", "--1", "1e400", "0x1", "NaN", "-", "1.e5"}) {
    EXPECT_FALSE(AcceptsText(schema, text)) << text;
  }
}

// Every integer of a window, against every pair of limits.
TEST_F(JsonConstraintTest, IntegerLimitsAreExact) {
  for (int low : {-120, -100, -99, -11, -1, 0, 1, 9, 10, 99, 100, 101}) {
    for (int high : {-100, -99, -10, -1, 0, 7, 10, 99, 100, 119}) {
      if (low > high) continue;
      const OrderedJson schema = {{"type", "integer"}, {"minimum", low}, {"maximum", high}};
      std::unique_ptr<OutputConstraint> shared = New(schema);
      for (int value = -130; value <= 130; ++value) {
        EXPECT_EQ(AcceptsText(schema, std::to_string(value)), low <= value && value <= high)
            << low << " " << high << " " << value;
      }
    }
  }
}

TEST_F(JsonConstraintTest, AVocabularyThatCannotGoOnEndsTheText) {
  std::unique_ptr<Tokenizer> full = MakeVocabulary({});
  // A table over few tokens: '{' and the end token, nothing that closes.
  std::unique_ptr<ConstraintCompiler> compiler = MakeJsonConstraintCompiler(*full, [&] {
    std::vector<uint32_t> ends = {EndTokenOf(*full)};
    for (uint32_t byte = 0; byte < 256; ++byte) {
      if (byte != '{') ends.push_back(byte);
    }
    return ends;
  }());
  auto constraint = CompileAnyObject(*compiler);
  ASSERT_TRUE(constraint.ok());
  EXPECT_FALSE(IsSet(FillMask(**constraint, *full), EndTokenOf(*full)));
  EXPECT_TRUE((*constraint)->Accept('{'));
  EXPECT_TRUE(IsSet(FillMask(**constraint, *full), EndTokenOf(*full)));
  EXPECT_TRUE((*constraint)->Accept(EndTokenOf(*full)));
}

}  // namespace
}  // namespace regatta
