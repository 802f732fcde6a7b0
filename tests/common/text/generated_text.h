// Texts made from a seed, byte for byte the same as generated_text.py makes: what the Python
// library made of them need not be stored with the texts.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace regatta {

class GeneratedTexts {
 public:
  // `pools`: the contents of fixtures/pools.json, which the texts are put together from. CHECKed.
  explicit GeneratedTexts(const std::string& pools);

  // Text `index`: words, code, white space, scripts, emoji, lookalikes of special tokens,
  // characters of all planes, marks, and ill-formed UTF-8.
  std::string Text(uint64_t index) const;

  // Up to eleven numbers below `limit` that belong to text `index`.
  std::vector<int32_t> Ids(uint64_t index, int32_t limit) const;

 private:
  class Random;

  std::string Fragment(Random& random) const;
  std::string Sentence(Random& random) const;
  std::string Character(Random& random) const;

  std::map<std::string, std::vector<std::string>> strings_;
  std::vector<std::vector<std::string>> planes_;  // Characters, by plane or part of one.
  std::vector<std::string> marks_;
  std::string ill_formed_;  // Bytes that no text or only a part of one begins with.
};

}  // namespace regatta
