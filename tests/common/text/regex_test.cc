// Patterns of tokenizer.json: translated meaning, refusals by name, bounded matching.
#include "common/text/regex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> Matches(const std::string& pattern, const std::string& text,
                                 bool literal = false) {
  auto regex = Regex::Compile(pattern, literal);
  EXPECT_TRUE(regex.ok()) << regex.status();
  Regex::Scratch scratch;
  Regex::Match match;
  std::vector<std::string> found;
  for (size_t from = 0; regex.ok() && regex->Find(text, from, scratch, match); from = match.end) {
    if (match.begin == match.end) break;
    found.push_back(text.substr(match.begin, match.end - match.begin));
  }
  return found;
}

TEST(Regex, WhiteSpaceIsUnicodes) {
  EXPECT_THAT(Matches("\\s+", "a\u00a0\u3000\u2028b\u0085c"),
              ElementsAre("\u00a0\u3000\u2028", "\u0085"));
  EXPECT_THAT(Matches("\\s", "\u180e\u200b\ufeff\x1c"),
              ElementsAre());  // Format and control characters, not spaces.
  EXPECT_THAT(Matches("[^\\s]+", "a\u2009b\u180ec"), ElementsAre("a", "b\u180ec"));
  EXPECT_THAT(Matches("\\S+", "a\tb"), ElementsAre("a", "b"));
}

TEST(Regex, WordCharactersIncludeMarks) {
  EXPECT_THAT(Matches("\\w+", "e\u0301a_1-हिन्दी"), ElementsAre("e\u0301a_1", "हिन्दी"));
  EXPECT_THAT(Matches("[\\w-]+", "a-b c"), ElementsAre("a-b", "c"));
  EXPECT_THAT(Matches("\\W+", "a-+b"), ElementsAre("-+"));
}

TEST(Regex, LinesAnchorsAndClasses) {
  EXPECT_THAT(Matches("^.+$", "one\ntwo\r\n"), ElementsAre("one", "two\r"));  // As in Ruby.
  EXPECT_THAT(Matches("[]a]+", "[]a]"), ElementsAre("]a]"));
  EXPECT_THAT(Matches("\\u0041\\x{42}\\.", "AB."), ElementsAre("AB."));
  EXPECT_THAT(Matches("(?i:'s)", "'S 'ſ"), ElementsAre("'S", "'ſ"));
  EXPECT_THAT(Matches("a.b", "a.b axb", /*literal=*/true), ElementsAre("a.b"));
}

TEST(Regex, RefusesWhatDiffersBetweenTheDialects) {
  for (const char* pattern :
       {"[a[b]]", "[a-z&&[^b]]", "\\h", "\\bword", "\\Gx", "\\R", "\\X", "[\\W]", "(?m:a)",
        "(?<name>a)", "(*FAIL)", "a{1,3}+", "\\pL", "\\x41", "\\u12", "\\"}) {
    auto regex = Regex::Compile(pattern, false);
    ASSERT_FALSE(regex.ok()) << pattern;
    EXPECT_EQ(regex.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(regex.status().message()), HasSubstr("is not supported"));
  }
  for (const char* pattern : {"(a", "a)", "[a", "*", "a{2,1}", "\\p{NoSuchProperty}", "(?<=a+)b"}) {
    EXPECT_EQ(Regex::Compile(pattern, false).status().code(), absl::StatusCode::kInvalidArgument)
        << pattern;
  }
}

TEST(Regex, PathologicalPatternsEnd) {
  for (const char* pattern :
       {"(a*)*[bc]", "(a|aa)+[bc]", "(?:a+)+[bc]", "(.*)(.*)(.*)(.*)(.*)[bc]"}) {
    auto regex = Regex::Compile(pattern, false);
    ASSERT_TRUE(regex.ok()) << regex.status();
    Regex::Scratch scratch;
    Regex::Match match;
    auto begin = std::chrono::steady_clock::now();
    EXPECT_FALSE(regex->Find(std::string(100'000, 'a'), 0, scratch, match));
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    EXPECT_LT(seconds.count(), 10.0) << pattern;
  }
}

}  // namespace
}  // namespace regatta
