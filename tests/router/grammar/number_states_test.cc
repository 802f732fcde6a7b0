// Limits of numbers against exact arithmetic on decimal texts.
#include "router/grammar/number_states.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/router/grammar/grammar_fixture.h"

namespace regatta {
namespace {

TEST(NumberStatesTest, DecimalsAreReadExactly) {
  const struct {
    const char* text;
    const char* shown;
  } cases[] = {{"0", "+0."},         {"-0", "+0."},      {"1.50", "+1.5"},
               {"-12.5e1", "-125."}, {"1e-3", "+0.001"}, {"123.456e-2", "+1.23456"},
               {"1.5e+3", "+1500."}, {"0.1", "+0.1"},    {"100", "+100."},
               {"12e-2", "+0.12"},   {"-5e-1", "-0.5"}};
  for (const auto& [text, shown] : cases) {
    const auto decimal = grammar::ParseDecimal(text);
    ASSERT_TRUE(decimal.ok()) << text;
    EXPECT_EQ(absl::StrCat(decimal->negative ? "-" : "+", decimal->whole, ".", decimal->fraction),
              shown);
  }
  for (const char* text : {"1e41", "1e-41", "1e999999999999"}) {
    EXPECT_FALSE(grammar::ParseDecimal(text).ok()) << text;
  }
}

// Numbers in hundredths: every limit against every number of a window.
TEST(NumberStatesTest, LimitsAreExact) {
  const std::unique_ptr<Tokenizer> tokenizer = MakeVocabulary({});
  const std::unique_ptr<ConstraintCompiler> compiler =
      MakeJsonConstraintCompiler(*tokenizer, {EndTokenOf(*tokenizer)});
  const int limits[] = {-1205, -1000, -999, -150, -100, -7,   0,   1,
                        10,    99,    100,  105,  995,  1000, 1230};
  std::mt19937 random(1);
  auto show = [](int hundredths) {
    return absl::StrFormat("%s%d.%02d", hundredths < 0 ? "-" : "", std::abs(hundredths) / 100,
                           std::abs(hundredths) % 100);
  };
  for (int low : limits) {
    for (int high : limits) {
      if (low >= high) continue;
      for (const bool inclusive : {true, false}) {
        const std::string schema = absl::StrCat(
            R"({"type":"number",")", inclusive ? "minimum" : "exclusiveMinimum", "\":", show(low),
            ",\"", inclusive ? "maximum" : "exclusiveMaximum", "\":", show(high), "}");
        for (int near : {low, high, 0, 100, -100}) {
          for (int value = near - 12; value <= near + 12; ++value) {
            const bool allowed =
                inclusive ? low <= value && value <= high : low < value && value < high;
            auto constraint = Compile(*compiler, schema);
            ASSERT_TRUE(constraint.ok()) << constraint.status();
            ASSERT_EQ(Accepts(**constraint, *tokenizer, show(value), random), allowed)
                << schema << " " << show(value);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace regatta
