// Constrained output on one core: compiling schemas, and a mask per token of output.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "common/check.h"
#include "common/text/tokenizer.h"
#include "router/grammar/json_constraint.h"
#include "router/grammar/token_trie.h"
#include "tests/bench/made_vocabulary.h"

namespace regatta {
namespace {

const Tokenizer& Vocabulary(int which) {
  static const std::unique_ptr<Tokenizer> vocabularies[] = {
      MakeLargeVocabulary(),
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
    constraint->FillMask(absl::MakeSpan(mask), kAnyMaskWork);
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
