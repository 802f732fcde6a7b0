// Constrained output on one core: compiling schemas, and a mask per token of output. The large
// vocabulary is made up: 128,000 words, numbers, runs of white space, punctuation of JSON and
// programs, and characters of several scripts, in about the proportions of published ones.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "common/check.h"
#include "common/text/tokenizer.h"
#include "router/grammar/json_constraint.h"
#include "router/grammar/token_trie.h"
#include "tests/common/text/tiny_tokenizer.h"

namespace regatta {
namespace {

constexpr size_t kLargeVocabulary = 128'000;

void AppendUtf8(uint32_t code_point, std::string& out) {
  if (code_point < 0x800) {
    out += static_cast<char>(0xc0 | code_point >> 6);
  } else {
    out += static_cast<char>(0xe0 | code_point >> 12);
    out += static_cast<char>(0x80 | (code_point >> 6 & 0x3f));
  }
  out += static_cast<char>(0x80 | (code_point & 0x3f));
}

class VocabularyMaker {
 public:
  std::vector<std::string> Make() {
    for (int i = 0; i < 1000; ++i) Add(std::to_string(i));
    for (int i = 1; i <= 128; ++i) Add(std::string(static_cast<size_t>(i), ' '));
    for (int i = 1; i <= 32; ++i) {
      for (const char* end : {"", " ", "}", "\"", "\t"}) Add("\n" + std::string(i, ' ') + end);
      Add(std::string(static_cast<size_t>(i), '\n'));
      Add(std::string(static_cast<size_t>(i), '\t'));
    }
    while (tokens_.size() < 6'000) Add(Marks(1 + Draw(4)));
    while (tokens_.size() < 10'000) Add(Word(true) + Marks(1 + Draw(2)));
    while (tokens_.size() < 13'000) Add(Marks(1) + Word(false));
    while (tokens_.size() < 45'000) Add(Foreign());
    while (tokens_.size() < kLargeVocabulary - 260) Add((Draw(3) ? " " : "") + Word(true));
    return {tokens_.begin(), tokens_.end()};
  }

 private:
  void Add(const std::string& token) { tokens_.insert(token); }
  size_t Draw(size_t below) { return random_() % below; }

  std::string Marks(size_t count) {
    static constexpr std::string_view kMarks = "\"\"\"{}[]:,,.;()<>=+-*/\\!?'#$%&|_ \n";
    std::string text;
    for (size_t i = 0; i < count; ++i) text += kMarks[Draw(kMarks.size())];
    return text;
  }

  std::string Word(bool may_be_capital) {
    static constexpr std::string_view kConsonants = "bcdfghjklmnpqrstvwxyz", kVowels = "aeiou";
    std::string word;
    for (size_t i = 1 + Draw(3) + Draw(3); i > 0; --i) {
      word += kConsonants[Draw(kConsonants.size())];
      word += kVowels[Draw(kVowels.size())];
      if (Draw(3) == 0) word += kConsonants[Draw(kConsonants.size())];
    }
    if (may_be_capital && Draw(4) == 0) word[0] = static_cast<char>(word[0] - 'a' + 'A');
    return word;
  }

  // Characters of one script, at times cut in the middle of one.
  std::string Foreign() {
    static constexpr uint32_t kScripts[] = {0x4e00, 0x0410, 0x0620, 0xac00, 0x3040, 0x0905};
    const size_t script = Draw(std::size(kScripts));
    std::string text;
    for (size_t i = 1 + Draw(4); i > 0; --i) {
      AppendUtf8(kScripts[script] + static_cast<uint32_t>(Draw(script == 0 ? 4000 : 48)), text);
    }
    if (Draw(20) == 0) text.pop_back();
    if (Draw(20) == 0) text.erase(0, 1);
    return text;
  }

  std::mt19937 random_{1};
  std::set<std::string> tokens_;
};

std::unique_ptr<Tokenizer> MakeLargeTokenizer() {
  nlohmann::json json = TinyTokenizerJson(), vocab;
  auto add = [&](std::string_view bytes) {
    std::string text;
    for (char byte : bytes) text += ByteCharacter(static_cast<uint8_t>(byte));
    vocab.emplace(text, vocab.size());
  };
  for (int byte = 0; byte < 256; ++byte) add(std::string(1, static_cast<char>(byte)));
  for (const std::string& token : VocabularyMaker().Make()) add(token);
  const int size = static_cast<int>(vocab.size());
  json["model"]["vocab"] = vocab;
  json["model"]["merges"] = nlohmann::json::array();
  json["added_tokens"] = {TinyAddedToken(size, "<|end|>", true)};
  json["post_processor"] = nullptr;
  return LoadTiny(json);
}

const Tokenizer& Vocabulary(int which) {
  static const std::unique_ptr<Tokenizer> vocabularies[] = {
      MakeLargeTokenizer(),
      Tokenizer::Load(REGATTA_SOURCE_DIR "/tests/models/regatta-dense").value()};
  return *vocabularies[which];
}

uint32_t EndToken(const Tokenizer& tokenizer) {
  for (const char* name : {"<|end|>", "<|end_of_text|>"}) {
    if (auto id = tokenizer.TokenId(name)) return static_cast<uint32_t>(*id);
  }
  return 0;
}

// An order with customer, addresses and lines: about 2 KB.
nlohmann::ordered_json TypicalSchema() {
  using Json = nlohmann::ordered_json;
  auto object = [](Json properties) {
    Json required = Json::array();
    for (const auto& [name, value] : properties.items()) required.push_back(name);
    return Json{{"type", "object"},
                {"properties", properties},
                {"required", required},
                {"additionalProperties", false}};
  };
  auto text = [](const char* description) {
    return Json{{"type", "string"}, {"description", description}};
  };
  Json address = object({{"street", text("Street and number, as written on the order form")},
                         {"city", text("City or town, without the postal code")},
                         {"zip", {{"type", "string"}, {"pattern", "^[0-9]{5}(-[0-9]{4})?$"}}},
                         {"country", {{"enum", {"DE", "FR", "GB", "US", "JP", "IN"}}}}});
  Json line = object({{"sku", {{"type", "string"}, {"pattern", "^[A-Z]{2,4}-[0-9]{3,8}$"}}},
                      {"title", {{"type", "string"}, {"maxLength", 120}}},
                      {"quantity", {{"type", "integer"}, {"minimum", 1}, {"maximum", 999}}},
                      {"price", {{"type", "number"}, {"minimum", 0}}},
                      {"discount", {{"anyOf", {{{"type", "number"}}, {{"type", "null"}}}}}}});
  return object({{"id", {{"type", "string"}, {"format", "uuid"}}},
                 {"created", {{"type", "string"}, {"format", "date-time"}}},
                 {"status", {{"enum", {"new", "paid", "shipped", "delivered", "returned"}}}},
                 {"customer", object({{"name", text("Full name of the person who ordered")},
                                      {"email", {{"type", "string"}, {"format", "email"}}},
                                      {"vip", {{"type", "boolean"}}}})},
                 {"shipping", address},
                 {"billing", address},
                 {"lines", {{"type", "array"}, {"items", line}, {"minItems", 1}, {"maxItems", 50}}},
                 {"notes", {{"type", "array"}, {"items", text("A remark")}, {"maxItems", 5}}},
                 {"summary", text("One sentence that sums up the order for the warehouse")}});
}

std::unique_ptr<OutputConstraint> Compile(ConstraintCompiler& compiler, const std::string& schema) {
  Constraint constraint;
  schema.empty() ? constraint.set_json_object(true) : constraint.set_json_schema(schema);
  std::unique_ptr<OutputConstraint> answer;
  absl::Notification answered;
  compiler.Compile(constraint, [&](absl::StatusOr<std::unique_ptr<OutputConstraint>> result) {
    CHECK(result.ok()) << result.status();
    answer = *std::move(result);
    answered.Notify();
  });
  answered.WaitForNotification();
  return answer;
}

std::string SchemaText(int which) {
  if (which == 0) return "";
  return which == 1 ? TypicalSchema().dump() : R"({"type":"string","pattern":"^[a-zA-Z ,.]*$"})";
}

// Draws tokens and times every mask. The first pass over a grammar computes what later ones find.
void BM_Mask(benchmark::State& state) {
  const Tokenizer& tokenizer = Vocabulary(static_cast<int>(state.range(0)));
  const std::string schema = SchemaText(static_cast<int>(state.range(1)));
  const bool warm = state.range(2) != 0;
  std::vector<uint32_t> mask(static_cast<size_t>(tokenizer.vocab_size() + 31) / 32);
  std::vector<double> times;
  auto compiler = MakeJsonConstraintCompiler(tokenizer, {EndToken(tokenizer)});
  std::mt19937 random(2);
  std::unique_ptr<OutputConstraint> constraint;
  for (auto _ : state) {
    if (constraint == nullptr) {
      if (!warm) compiler = MakeJsonConstraintCompiler(tokenizer, {EndToken(tokenizer)});
      constraint = Compile(*compiler, schema);
    }
    const auto begin = std::chrono::steady_clock::now();
    constraint->FillMask(absl::MakeSpan(mask));
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    times.push_back(seconds);
    state.SetIterationTime(seconds);
    uint32_t token;
    do {
      token = random() % static_cast<uint32_t>(tokenizer.vocab_size());
      // Closers are rare among tokens, not in texts.
      if (random() % 64 == 0) token = std::string_view("\"}],")[random() % 4];
    } while ((mask[token / 32] >> token % 32 & 1) == 0);
    constraint->Accept(token);
    if (token == EndToken(tokenizer) || times.size() % 400 == 0) constraint = nullptr;
  }
  std::sort(times.begin(), times.end());
  auto quantile = [&](double q) {
    return 1e6 * times[static_cast<size_t>(q * (times.size() - 1))];
  };
  state.counters["p50_us"] = quantile(0.5);
  state.counters["p99_us"] = quantile(0.99);
  state.counters["max_us"] = quantile(1);
}
BENCHMARK(BM_Mask)
    ->ArgNames({"small", "schema", "warm"})
    ->ArgsProduct({{0, 1}, {0, 1, 2}, {0, 1}})
    ->UseManualTime()
    ->Iterations(4000)
    ->Unit(benchmark::kMicrosecond);

void BM_Compile(benchmark::State& state) {
  const Tokenizer& tokenizer = Vocabulary(0);
  JsonConstraintOptions options;
  options.max_grammars = 0;
  auto compiler = MakeJsonConstraintCompiler(tokenizer, {EndToken(tokenizer)}, options);
  const std::string schema = SchemaText(static_cast<int>(state.range(0)));
  for (auto _ : state) Compile(*compiler, schema);
  state.counters["bytes"] = static_cast<double>(schema.size());
}
BENCHMARK(BM_Compile)->DenseRange(0, 2)->UseRealTime()->Unit(benchmark::kMillisecond);

void BM_TokenTable(benchmark::State& state) {
  const Tokenizer& tokenizer = Vocabulary(static_cast<int>(state.range(0)));
  for (auto _ : state) {
    const grammar::TokenTable table(tokenizer, {});
    state.counters["table_bytes"] = static_cast<double>(table.bytes());
    state.counters["nodes"] = table.all().size();
    state.counters["tokens"] = table.vocab_size();
  }
}
BENCHMARK(BM_TokenTable)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace regatta
