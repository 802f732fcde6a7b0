// Patterns against std::regex on every short string over a small alphabet, and limits of length.
#include "router/grammar/char_automaton.h"

#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "router/grammar/nfa.h"

namespace regatta::grammar {
namespace {

bool Matches(const CharAutomaton& automaton, const std::string& text) {
  std::set<uint32_t> states = {0};
  for (char c : text) {
    std::set<uint32_t> next;
    for (uint32_t state : states) {
      for (const CharEdge& edge : automaton.states[state].edges) {
        if (edge.characters.Contains(static_cast<uint8_t>(c))) next.insert(edge.target);
      }
    }
    states = next;
  }
  for (uint32_t state : states) {
    if (automaton.states[state].accepts) return true;
  }
  return false;
}

std::vector<std::string> AllTexts(const std::string& alphabet, size_t longest) {
  std::vector<std::string> texts = {""};
  for (size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].size() == longest) continue;
    for (char c : alphabet) texts.push_back(texts[i] + c);
  }
  return texts;
}

const char* const kPatterns[] = {"",
                                 "a",
                                 "^a",
                                 "a$",
                                 "^ab$",
                                 "^a*$",
                                 "^a+b?$",
                                 "a|b",
                                 "^a|b$",
                                 "^(a|b)+$",
                                 "^(ab|a)b$",
                                 "^a{2}$",
                                 "^a{1,3}$",
                                 "^a{2,}b$",
                                 "^(a{0,2}b)*$",
                                 "^[ab]1$",
                                 "^[^a]+$",
                                 "^[a-b1]*?$",
                                 ".b.",
                                 "^\\d+$",
                                 "^\\D$",
                                 "\\w\\W",
                                 "^\\s?a$",
                                 "^\\S+$",
                                 "^(?:a|b1)?$",
                                 "^()a$",
                                 "^a||b$",
                                 "^[\\w-]+$",
                                 "^\\x61\\u0062$",
                                 "^(a(b(1)?)?)?$",
                                 "^a\\.b$",
                                 "^[.]$",
                                 "-",
                                 "^[b\\-a]+$"};

TEST(CharAutomatonTest, PatternsMatchWhatStdRegexMatches) {
  const std::vector<std::string> texts = AllTexts("ab1- .", 4);
  for (const char* pattern : kPatterns) {
    const absl::StatusOr<CharAutomaton> automaton = CompilePattern(pattern);
    ASSERT_TRUE(automaton.ok()) << pattern << " " << automaton.status();
    const std::regex expected(pattern);
    for (const std::string& text : texts) {
      ASSERT_EQ(Matches(*automaton, text), std::regex_search(text, expected))
          << pattern << " on '" << text << "'";
    }
  }
}

TEST(CharAutomatonTest, LimitsOfLengthCutExactly) {
  for (const char* pattern : kPatterns) {
    const absl::StatusOr<CharAutomaton> automaton = CompilePattern(pattern);
    for (uint32_t min : {0u, 1u, 2u}) {
      for (uint32_t max : {1u, 3u, kUnlimited}) {
        if (min > max) continue;
        const absl::StatusOr<CharAutomaton> limited = LimitLength(*automaton, min, max);
        ASSERT_TRUE(limited.ok());
        for (const std::string& text : AllTexts("ab1", 4)) {
          ASSERT_EQ(Matches(*limited, text),
                    Matches(*automaton, text) && text.size() >= min && text.size() <= max)
              << pattern << " " << min << " " << max << " '" << text << "'";
        }
      }
    }
  }
}

TEST(CharAutomatonTest, Utf8RangesAreExactlyTheFormsOfTheirCodePoints) {
  const CodePointRange ranges[] = {{0, 0x10ffff},    {0x7f, 0x80},      {0x7fe, 0x801},
                                   {0xd7fe, 0xe001}, {0xfffe, 0x10001}, {0x3a1, 0x4f3a}};
  for (const CodePointRange& range : ranges) {
    uint64_t forms = 0;
    for (const Utf8Range& bytes : Utf8Ranges(range.low, range.high)) {
      uint64_t product = 1;
      for (const ByteRange& byte : bytes) product *= uint64_t{1} + byte.high - byte.low;
      forms += product;
    }
    const bool has_surrogates = range.low < 0xd800 && range.high > 0xdfff;
    EXPECT_EQ(forms, range.high - range.low + 1 - (has_surrogates ? 0x800 : 0));
  }
}

}  // namespace
}  // namespace regatta::grammar
