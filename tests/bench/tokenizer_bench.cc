// Tokenizer throughput in MB of text per second and core, on English-like text: bytes and
// characters (sentencepiece) as symbols, small and large vocabularies.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/check.h"
#include "common/text/detokenizer.h"
#include "common/text/tokenizer.h"

namespace regatta {
namespace {

constexpr size_t kWords = 50'000;
constexpr size_t kLargeVocabulary = 128'000;
constexpr size_t kPieceVocabulary = 32'000;
constexpr char kLlama3Pattern[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// Pronounceable words; short ones come first, as in a frequency list.
std::vector<std::string> MakeLexicon() {
  const std::vector<std::string> onsets = {"b",  "c",  "d",  "f",  "g",  "h", "l",  "m",
                                           "n",  "p",  "r",  "s",  "t",  "w", "th", "st",
                                           "ch", "pr", "tr", "sh", "br", ""};
  const std::vector<std::string> vowels = {"a", "e", "i", "o", "u", "ea", "ou", "io", "ai"};
  const std::vector<std::string> codas = {"", "", "n", "s", "t", "r", "l", "ng", "nt", "d", "ck"};
  std::mt19937 random(1);
  auto pick = [&](const std::vector<std::string>& list) { return list[random() % list.size()]; };
  std::set<std::string> seen;
  std::vector<std::string> lexicon;
  while (lexicon.size() < kWords) {
    std::string word;
    size_t syllables = 1 + lexicon.size() / (kWords / 3 + 1) + random() % 2;
    for (size_t i = 0; i < syllables; ++i) word += pick(onsets) + pick(vowels) + pick(codas);
    if (seen.insert(word).second) lexicon.push_back(word);
  }
  std::stable_sort(lexicon.begin(), lexicon.begin() + 1000,
                   [](const auto& a, const auto& b) { return a.size() < b.size(); });
  return lexicon;
}

const std::vector<std::string>& Lexicon() {
  static const auto& lexicon = *new std::vector<std::string>(MakeLexicon());
  return lexicon;
}

// Sentences whose word frequencies follow Zipf's law, with capitals, punctuation, numbers and
// paragraphs.
std::string MakeText(size_t bytes) {
  std::mt19937 random(2);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::string text;
  while (text.size() < bytes) {
    size_t words = 5 + random() % 18;
    for (size_t i = 0; i < words; ++i) {
      std::string word = Lexicon()[static_cast<size_t>(std::pow(kWords, uniform(random))) - 1];
      if (i == 0) word[0] = static_cast<char>(std::toupper(word[0]));
      if (random() % 60 == 0) word = std::to_string(random() % 10'000);
      text += (i == 0 ? "" : " ") + word + (random() % 12 == 0 ? "," : "");
    }
    text += random() % 6 == 0 ? ".\n\n" : ". ";
  }
  text.resize(bytes);
  return text;
}

// Adds the beginnings of the lexicon's words behind `space`, merged letter by letter, until there
// are `limit` tokens.
void AddWords(const std::string& space, size_t limit, nlohmann::json& vocab,
              nlohmann::json& merges) {
  for (const std::string& word : Lexicon()) {
    std::string token = space;
    for (char c : word) {
      if (vocab.size() == limit) return;
      std::string longer = token + c;
      size_t id = vocab.size();
      if (vocab.emplace(longer, id).second) merges.push_back({token, std::string(1, c)});
      token = longer;
    }
  }
}

// Letters and signs, `space` and `line`.
nlohmann::json MakeAlphabet(const std::string& space, const std::string& line) {
  nlohmann::json vocab;
  for (char c = '!'; c <= '~'; ++c) vocab.emplace(std::string(1, c), vocab.size());
  vocab.emplace(space, vocab.size());
  vocab.emplace(line, vocab.size());
  return vocab;
}

// A vocabulary of 128,000 tokens over bytes.
std::string MakeLargeTokenizerJson() {
  nlohmann::json vocab = MakeAlphabet("Ġ", "Ċ"), merges = nlohmann::json::array();
  AddWords("Ġ", kLargeVocabulary, vocab, merges);
  nlohmann::json split = {{"type", "Split"},
                          {"pattern", {{"Regex", kLlama3Pattern}}},
                          {"behavior", "Isolated"},
                          {"invert", false}};
  nlohmann::json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  nlohmann::json document = {
      {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}}},
      {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {split, bytes}}}},
      {"decoder", {{"type", "ByteLevel"}}}};
  return document.dump();
}

// A vocabulary of 32,000 tokens over characters, in the form of Llama 2 and Mistral.
std::string MakePieceTokenizerJson() {
  const std::string mark = "\u2581";
  nlohmann::json vocab = MakeAlphabet(mark, "<0x0A>"), merges = nlohmann::json::array();
  AddWords(mark, kPieceVocabulary, vocab, merges);
  nlohmann::json prepend = {{"type", "Prepend"}, {"prepend", mark}};
  nlohmann::json replace = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", mark}};
  nlohmann::json document = {
      {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}, {"byte_fallback", true}}},
      {"normalizer", {{"type", "Sequence"}, {"normalizers", {prepend, replace}}}},
      {"decoder", {{"type", "ByteFallback"}}}};
  return document.dump();
}

const Tokenizer& Fixture(const std::string& name) {
  static auto& loaded = *new std::map<std::string, std::unique_ptr<Tokenizer>>;
  std::unique_ptr<Tokenizer>& tokenizer = loaded[name];
  if (tokenizer == nullptr) {
    std::string path = REGATTA_SOURCE_DIR "/tests/common/text/fixtures/" + name + ".json";
    tokenizer = Tokenizer::Load(path).value();
  }
  return *tokenizer;
}

const Tokenizer& LargeTokenizer() {
  static const auto& tokenizer =
      *new std::unique_ptr<Tokenizer>(Tokenizer::FromJson(MakeLargeTokenizerJson()).value());
  return *tokenizer;
}

const Tokenizer& PieceTokenizer() {
  static const auto& tokenizer =
      *new std::unique_ptr<Tokenizer>(Tokenizer::FromJson(MakePieceTokenizerJson()).value());
  return *tokenizer;
}

void Encode(benchmark::State& state, const Tokenizer& tokenizer, const std::string& text) {
  size_t tokens = 0;
  for (auto _ : state) {
    std::vector<int32_t> ids = tokenizer.Encode(text, /*add_special_tokens=*/false);
    tokens = ids.size();
    benchmark::DoNotOptimize(ids.data());
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
  state.counters["bytes_per_token"] =
      static_cast<double>(text.size()) / static_cast<double>(tokens);
}

void BM_EncodeSmallVocabulary(benchmark::State& state) {
  Encode(state, Fixture("llama3_style"), MakeText(state.range(0)));
}
BENCHMARK(BM_EncodeSmallVocabulary)->Arg(1 << 10)->Arg(1 << 20)->Unit(benchmark::kMicrosecond);

void BM_EncodeLargeVocabulary(benchmark::State& state) {
  Encode(state, LargeTokenizer(), MakeText(state.range(0)));
}
BENCHMARK(BM_EncodeLargeVocabulary)->Arg(1 << 10)->Arg(1 << 20)->Unit(benchmark::kMicrosecond);

void BM_EncodeSmallPieces(benchmark::State& state) {
  Encode(state, Fixture("llama2_style"), MakeText(state.range(0)));
}
BENCHMARK(BM_EncodeSmallPieces)->Arg(1 << 10)->Arg(1 << 20)->Unit(benchmark::kMicrosecond);

void BM_EncodeLargePieces(benchmark::State& state) {
  Encode(state, PieceTokenizer(), MakeText(state.range(0)));
}
BENCHMARK(BM_EncodeLargePieces)->Arg(1 << 10)->Arg(1 << 20)->Unit(benchmark::kMicrosecond);

// One piece of so many equal letters or blanks, which must not cost more than its share.
void BM_EncodeLongRun(benchmark::State& state, const std::string& name, char c) {
  Encode(state, Fixture(name), std::string(state.range(0), c));
}
BENCHMARK_CAPTURE(BM_EncodeLongRun, letters, "llama3_style", 'a')
    ->RangeMultiplier(4)
    ->Range(1 << 18, 1 << 22)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_EncodeLongRun, blanks, "llama3_style", ' ')
    ->RangeMultiplier(4)
    ->Range(1 << 18, 1 << 22)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_EncodeLongRun, piece_letters, "llama2_style", 'a')
    ->RangeMultiplier(4)
    ->Range(1 << 18, 1 << 22)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_EncodeLongRun, piece_blanks, "llama2_style", ' ')
    ->RangeMultiplier(4)
    ->Range(1 << 18, 1 << 22)
    ->Unit(benchmark::kMillisecond);

// Letters in no order and without a break.
void BM_EncodeLongWord(benchmark::State& state, const std::string& name) {
  std::mt19937 random(3);
  std::string word(state.range(0), ' ');
  for (char& c : word) c = static_cast<char>('a' + random() % 26);
  Encode(state, Fixture(name), word);
}
BENCHMARK_CAPTURE(BM_EncodeLongWord, bytes, "llama3_style")
    ->RangeMultiplier(4)
    ->Range(1 << 18, 1 << 22)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_EncodeLongWord, pieces, "llama2_style")
    ->RangeMultiplier(4)
    ->Range(1 << 18, 1 << 22)
    ->Unit(benchmark::kMillisecond);

void BM_LoadLargeVocabulary(benchmark::State& state) {
  std::string json = MakeLargeTokenizerJson();
  for (auto _ : state) CHECK(Tokenizer::FromJson(json).ok());
}
BENCHMARK(BM_LoadLargeVocabulary)->Unit(benchmark::kMillisecond);

// One token at a time, as a stream does.
void BM_Detokenize(benchmark::State& state) {
  const Tokenizer& tokenizer = Fixture("llama3_style");
  std::vector<int32_t> ids = tokenizer.Encode(MakeText(1 << 16), /*add_special_tokens=*/false);
  for (auto _ : state) {
    Detokenizer detokenizer(tokenizer, /*skip_special_tokens=*/true);
    for (int32_t id : ids) benchmark::DoNotOptimize(detokenizer.Append({id}));
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * ids.size()));
}
BENCHMARK(BM_Detokenize);

}  // namespace
}  // namespace regatta
