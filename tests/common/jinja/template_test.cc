// Limits, errors and threads of the template engine. What it renders: golden_test.cc.
#include "common/jinja/template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <thread>

namespace regatta::jinja {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr Limits kLimits = {100'000, 1 << 20};

absl::StatusOr<std::string> Render(const std::string& source, Limits limits = kLimits) {
  auto parsed = Template::Parse(source);
  if (!parsed.ok()) return parsed.status();
  Dict variables;
  variables.Set(Value("x"), Value("text"));
  return parsed->Render(variables, limits, 0);
}

std::string MessageOf(const std::string& source) {
  const auto text = Render(source);
  EXPECT_FALSE(text.ok()) << source << " makes " << *text;
  return text.ok() ? "" : std::string(text.status().message());
}

std::string Repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST(JinjaTemplateTest, ErrorsNameThePlace) {
  EXPECT_THAT(MessageOf("a\n{{ 1 +\n  }}"), StartsWith("line 3, column "));
  EXPECT_THAT(MessageOf("{{ nope.x }}"), HasSubstr("'nope' is undefined"));
  EXPECT_THAT(MessageOf("ab\n  {{ raise_exception('no system turns') }}"),
              StartsWith("line 2, column"));
  EXPECT_THAT(MessageOf("{{ raise_exception('no system turns') }}"), HasSubstr("no system turns"));
  EXPECT_THAT(MessageOf("{{ x|nothing }}"), HasSubstr("No filter named 'nothing'"));
  EXPECT_THAT(MessageOf("{% if x %}"), HasSubstr("endif"));
  EXPECT_THAT(MessageOf("{% include 'x' %}"), HasSubstr("include"));
  EXPECT_THAT(MessageOf("{{ 'open }}"), StartsWith("line 1"));
}

TEST(JinjaTemplateTest, WorkAndTextAreBounded) {
  for (const char* source :
       {"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'x' * 10000000000 }}", "{{ [0] * 10000000000 }}", "{{ 'x'.center(10000000000) }}",
        "{{ '%1000000000s' % 'x' }}", "{{ ' '|indent(100000000, true) }}",
        "{% set ns = namespace(t='xxxxxxxxxx') %}{% for i in range(99) %}{% set ns.t = ns.t + ns.t "
        "%}{% endfor %}",
        "{% set ns = namespace(t=[1]) %}{% for i in range(99) %}{% set ns.t = ns.t + ns.t %}{% "
        "endfor %}",
        "{% for i in range(99999) %}{{ 'some text of a size' * 50 }}{% endfor %}",
        "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}"}) {
    const auto text = Render(source);
    EXPECT_EQ(text.status().code(), absl::StatusCode::kResourceExhausted)
        << source << ": " << text.status();
  }
}

// Work that grows with texts that a client chooses is paid for, or linear.
TEST(JinjaTemplateTest, LongTextsAreSearchedInLinearTime) {
  Dict variables;
  variables.Set(Value("s"), Value(Repeated("a", 4'000'000)));
  variables.Set(Value("t"), Value(Repeated("a", 2'000'000) + "b"));
  const Limits limits = {10'000'000, size_t{64} << 20};
  for (const char* source :
       {"{{ t in s }}", "{{ s.find(t) }}", "{{ s.rfind(t) }}", "{{ s.count(t) }}",
        "{{ s.replace(t, 'x')|length }}", "{{ s.split(t)|length }}", "{{ s.rsplit(t)|length }}",
        "{{ s.partition(t)|length }}", "{{ s.rsplit('aaaa')|length }}"}) {
    const auto text = Template::Parse(source)->Render(variables, limits, 0);
    EXPECT_TRUE(text.ok()) << source << ": " << text.status();
  }
  for (const char* source :
       {"{% for i in range(99999) %}{% if s|length %}{% endif %}{% endfor %}",
        "{% for i in range(99999) %}{% if s is lower %}{% endif %}{% endfor %}",
        "{% for i in range(99999) %}{% if [1, 2]|tojson(separators=(s, ':')) %}{% endif %}{% "
        "endfor %}",
        "{{ s.strip(s) }}", "{{ 'a'|map(*(['map'] * 12000)) }}"}) {
    EXPECT_FALSE(Template::Parse(source)->Render(variables, {1'000'000, 1 << 24}, 0).ok())
        << source;
  }
}

TEST(JinjaTemplateTest, TimeIsBounded) {
  const Limits limits = {int64_t{1} << 40, 1 << 20, std::chrono::milliseconds(50)};
  const auto text = Render(
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", limits);
  EXPECT_EQ(text.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(text.status().message()), HasSubstr("50 ms"));
}

TEST(JinjaTemplateTest, TemplatesHaveALargestSize) {
  EXPECT_TRUE(Template::Parse(std::string(kMaxTemplateBytes, 'x')).ok());
  EXPECT_THAT(MessageOf(std::string(kMaxTemplateBytes + 1, 'x')),
              HasSubstr("the limit is 1048576"));
}

TEST(JinjaTemplateTest, AnErrorNamesOnePlace) {
  const std::string message =
      MessageOf("{% macro f(n) %}{{ f(n - 1) if n else nope.x }}{% endmacro %}\n{{ f(5) }}");
  EXPECT_THAT(message, StartsWith("line 1, column"));
  EXPECT_EQ(message.find("line", 1), std::string::npos) << message;
}

TEST(JinjaTemplateTest, StepsAndBytesAreCountedToTheLast) {
  const std::string source = "{% for i in range(50) %}ab{% endfor %}";
  int64_t least = 1;
  while (!Render(source, {least, 1 << 20}).ok()) ++least;
  EXPECT_GT(least, 100);
  EXPECT_LT(least, 1000);
  EXPECT_EQ(Render(source, {least - 1, 1 << 20}).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(Render(source, {least, 100}).ok());
  EXPECT_EQ(Render(source, {least, 99}).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(JinjaTemplateTest, EscapesCountAsWhatIsWritten) {
  const Limits limits = {100'000, 1000};
  for (const char* written : {"(x,)", "x | tojson"}) {
    const auto render = [&](int length) {
      return Render(absl::StrCat("{% set x = '\a' * ", length, " %}{{ ", written, " }}"), limits);
    };
    EXPECT_TRUE(render(160).ok()) << written << ": " << render(160).status();
    EXPECT_EQ(render(300).status().code(), absl::StatusCode::kResourceExhausted) << written;
  }
}

TEST(JinjaTemplateTest, NestingIsBoundedNotFatal) {
  constexpr int kMany = 100'000;
  for (const auto& [open, close] : {std::pair("(", ")"),
                                    {"[", "]"},
                                    {"{1:", "}"},
                                    {"-", ""},
                                    {"not ", ""},
                                    {"x|default(", ")"},
                                    {"x if 1 else ", ""}}) {
    const std::string source = "{{ " + Repeated(open, kMany) + "1" + Repeated(close, kMany) + " }}";
    EXPECT_FALSE(Render(source).ok()) << open;
  }
  for (const char* tail :
       {"|trim", ".x", "[0]", "()", " + 1", " ~ 1", " and 1", " < 1", "|trim()"}) {
    Render("{{ x" + Repeated(tail, kMany) + " }}").IgnoreError();
  }
  EXPECT_FALSE(Render(Repeated("{% if x %}", kMany) + Repeated("{% endif %}", kMany)).ok());
  EXPECT_FALSE(
      Render("{% set ns = namespace(v=[]) %}{% for i in range(5000) %}{% set ns.v = [ns.v] "
             "%}{% endfor %}{{ ns.v }}")
          .ok());
  EXPECT_FALSE(Render("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}").ok());
  EXPECT_TRUE(
      Render("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns.me.me.me is defined }}").ok());
}

TEST(JinjaTemplateTest, NothingButNamespacesChanges) {
  EXPECT_THAT(MessageOf("{{ [1].append(2) }}"), HasSubstr("unsafe"));
  EXPECT_THAT(MessageOf("{{ {}.update({1: 2}) }}"), HasSubstr("unsafe"));
  EXPECT_THAT(MessageOf("{% set x.y = 1 %}"), HasSubstr("non-namespace"));
  EXPECT_EQ(*Render("{{ x.__class__ }}{{ ''.__class__ is defined }}"), "False");
}

TEST(JinjaTemplateTest, OneTemplateServesManyThreads) {
  const auto parsed = Template::Parse(
      "{% macro m(i) %}<{{ i }}>{% endmacro %}{% for i in range(n) %}{{ m(i) }}{% endfor %}");
  ASSERT_TRUE(parsed.ok());
  std::vector<std::thread> threads;
  for (int n = 0; n < 8; ++n) {
    threads.emplace_back([&, n] {
      Dict variables;
      variables.Set(Value("n"), Value(Integer{n}));
      std::string want;
      for (int i = 0; i < n; ++i) want += "<" + std::to_string(i) + ">";
      for (int i = 0; i < 200; ++i) EXPECT_EQ(*parsed->Render(variables, kLimits, 0), want);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(JinjaTemplateTest, TheClockIsGiven) {
  const auto parsed = Template::Parse("{{ strftime_now('%Y-%m') }}");
  EXPECT_EQ(*parsed->Render(Dict(), kLimits, 1'800'000'000), "2027-01");
  EXPECT_FALSE(Render("{{ strftime_now('" + Repeated("%c", 200) + "') }}").ok());
}

// Templates cut, joined and bitten at random: any answer will do, but one.
TEST(JinjaTemplateTest, MutatedTemplatesAreAnswered) {
  std::ifstream file(std::string(REGATTA_SOURCE_DIR) + "/tests/common/jinja/golden.json");
  const auto golden = nlohmann::ordered_json::parse(file);
  const auto variables = FromJson(golden["variables"]);
  std::vector<std::string> seeds;
  for (const auto& one : golden["expressions"]) seeds.push_back(one["source"]);
  std::mt19937 random(5);
  const auto below = [&](size_t n) {
    return static_cast<size_t>(random() % std::max<size_t>(1, n));
  };
  static constexpr const char* kPieces[] = {"{{", "}}", "{%",       "%}", "{#",   "-",
                                            "(",  ")",  "[",        "]",  "'",    "|",
                                            ".",  ":",  "\xF0\x9F", "\0", "loop", "not "};
  int rendered = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string source = seeds[below(seeds.size())];
    for (size_t i = below(4) + 1; i > 0; --i) {
      const size_t at = below(source.size());
      switch (below(4)) {
        case 0:
          source.erase(at, below(6));
          break;
        case 1:
          source.insert(at, kPieces[below(std::size(kPieces))]);
          break;
        case 2:
          source.insert(at, seeds[below(seeds.size())]);
          break;
        default:
          source[at] = static_cast<char>(random());
      }
    }
    const auto parsed = Template::Parse(source);
    if (!parsed.ok()) continue;
    rendered += parsed->Render(variables->dict(), {20'000, 1 << 16}, 0).ok();
  }
  EXPECT_GT(rendered, 1000);
}

}  // namespace
}  // namespace regatta::jinja
