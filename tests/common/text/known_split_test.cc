// Hand-written splits equal the regular expressions they stand for, on random text of all planes.
#include "common/text/known_split.h"

#include <gtest/gtest.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <random>
#include <string>
#include <vector>

#include "common/text/regex.h"

namespace regatta {
namespace {

// Characters that PCRE2's tables know too; ICU's are newer.
bool KnownToBoth(UChar32 c) {
  if (c > 0x10FFFF || U_IS_SURROGATE(c)) return false;
  UVersionInfo age;
  u_charAge(c, age);
  return age[0] <= 14;
}

void Append(UChar32 c, std::string& text) {
  uint8_t bytes[U8_MAX_LENGTH];
  int32_t size = 0;
  U8_APPEND_UNSAFE(bytes, size, c);
  text.append(reinterpret_cast<const char*>(bytes), size);
}

UChar32 RandomCharacter(std::mt19937& random) {
  static const std::u32string pool =
      U"  \t\r\n\n\u00a0\u3000\u2028\u0085\u180e\u200b''/.,!_-aAbBzZ019sStTmMdDlLrRvVeE\u017f"
      U"éÉßǅʰª日あ\u0301\u0345\u0903\u20dd٣Ⅷ²½😀\u200d\ufe0f𝟘𝔘";
  constexpr UChar32 kLimits[] = {0x80, 0x250, 0x3000, 0x10000, 0x20000, 0x110000};
  while (true) {
    auto c = static_cast<UChar32>(random() % 2 == 0 ? pool[random() % pool.size()]
                                                    : random() % kLimits[random() % 6]);
    if (KnownToBoth(c)) return c;
  }
}

std::string RandomText(std::mt19937& random) {
  std::string text;
  for (size_t n = 1 + random() % 40; n > 0; --n) {
    UChar32 c = RandomCharacter(random);
    for (size_t times = random() % 8 == 0 ? 1 + random() % 5 : 1; times > 0; --times) {
      Append(c, text);
    }
  }
  return text;
}

// The pieces of `text` by the pattern; their number equals that of the matches, so none is a gap.
void ExpectSamePieces(const KnownSplit& split, const Regex& regex, const std::string& text) {
  Regex::Scratch scratch;
  Regex::Match match;
  for (size_t from = 0; from < text.size(); from = match.end) {
    ASSERT_TRUE(regex.Find(text, from, scratch, match));
    ASSERT_EQ(match.begin, from);
    ASSERT_EQ(split.PieceEnd(text, from), match.end) << "\"" << text << "\" from byte " << from;
  }
}

class KnownSplitTest : public testing::TestWithParam<const char*> {};

TEST_P(KnownSplitTest, EqualsPcre2OnRandomText) {
  auto regex = Regex::Compile(GetParam(), /*literal=*/false);
  ASSERT_TRUE(regex.ok()) << regex.status();
  auto split = KnownSplit::Of(GetParam());
  ASSERT_TRUE(split.has_value());
  std::mt19937 random(5);
  for (int i = 0; i < 60'000 && !HasFatalFailure(); ++i) {
    ExpectSamePieces(*split, *regex, RandomText(random));
  }
}

// Every character alone, after a letter and before one: its class shows in what it joins.
TEST_P(KnownSplitTest, EqualsPcre2OnEveryCharacter) {
  auto regex = Regex::Compile(GetParam(), /*literal=*/false);
  ASSERT_TRUE(regex.ok()) << regex.status();
  auto split = KnownSplit::Of(GetParam());
  for (UChar32 c = 0; c <= 0x10FFFF && !HasFatalFailure(); ++c) {
    if (!KnownToBoth(c)) continue;
    if (u_charType(c) == U_UNASSIGNED && c % 64 != 0) continue;  // There are 800,000.
    std::string text = "a";
    Append(c, text);
    text.append("aA1 ");
    Append(c, text);
    Append(c, text);
    text.append("A");
    ExpectSamePieces(*split, *regex, text);
  }
}

std::string PatternName(const testing::TestParamInfo<const char*>& info) {
  const char* names[] = {"Gpt2", "Llama3", "Qwen2", "Gpt4o", "Tekken"};
  return names[info.index];
}

INSTANTIATE_TEST_SUITE_P(Patterns, KnownSplitTest,
                         testing::Values(KnownSplit::kGpt2, KnownSplit::kLlama3, KnownSplit::kQwen2,
                                         KnownSplit::kGpt4o, KnownSplit::kTekken),
                         PatternName);

TEST(KnownSplit, OtherPatternsAreNotKnown) {
  EXPECT_FALSE(KnownSplit::Of("").has_value());
  EXPECT_FALSE(KnownSplit::Of(std::string(KnownSplit::kGpt2) + " ").has_value());
}

}  // namespace
}  // namespace regatta
