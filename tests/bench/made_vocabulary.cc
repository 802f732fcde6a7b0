// Words and marks drawn from a seed; see made_vocabulary.h.
#include "tests/bench/made_vocabulary.h"

#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

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

}  // namespace

std::unique_ptr<Tokenizer> MakeLargeVocabulary() {
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

}  // namespace regatta
