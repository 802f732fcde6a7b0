// Random text for tests that compare two tokenizers: all planes, spaces, words, code, lookalikes of
// special tokens.
#pragma once

#include <random>
#include <string>

namespace regatta {

inline void AppendUtf8(char32_t c, std::string& text) {
  auto tail = [&](int shift) { text.push_back(static_cast<char>(0x80 | ((c >> shift) & 0x3F))); };
  if (c < 0x80) {
    text.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    text.push_back(static_cast<char>(0xC0 | c >> 6));
    tail(0);
  } else if (c < 0x10000) {
    text.push_back(static_cast<char>(0xE0 | c >> 12));
    tail(6), tail(0);
  } else {
    text.push_back(static_cast<char>(0xF0 | c >> 18));
    tail(12), tail(6), tail(0);
  }
}

// Any scalar value, the lower ones more often.
inline char32_t RandomScalar(std::mt19937& random) {
  constexpr char32_t kLimits[] = {0x80, 0x250, 0x3000, 0x10000, 0x20000, 0x110000};
  while (true) {
    char32_t c = random() % kLimits[random() % 6];
    if (c < 0xD800 || c > 0xDFFF) return c;
  }
}

// A word, a run or, if `rare`, any characters at all.
inline std::string RandomFragment(std::mt19937& random, bool rare) {
  static const char* const kWords[] = {"the",           "of",       "token",
                                       "pipeline",      "I'm",      "don't",
                                       "HTTP",          "water",    "Straße",
                                       "naïve",         "é",        "日本語",
                                       "привет",        "e\u0301",  "x += 1;",
                                       "a[i]",          "return 0", "0x41",
                                       "<s>",           "</s>",     "<unk>",
                                       "<0x41>",        "[INST]",   "\u2581",
                                       "\u2581\u2581a", "😀",        "👩‍👩‍👧‍👦",
                                       "1️⃣",       "1234567",  "3.14",
                                       "{\"k\": 1}"};
  static const char* const kSpaces[] = {" ", "  ", "   ", "\n", "\t", "\r\n", "\u00a0", "\u3000"};
  std::string text;
  switch (rare ? random() % 6 : 1 + random() % 5) {
    case 0:
      for (size_t n = 1 + random() % 6; n > 0; --n) AppendUtf8(RandomScalar(random), text);
      return text;
    case 1:
      return kSpaces[random() % std::size(kSpaces)];
    case 2:
      return std::string(1 + random() % 40, "a =-.0"[random() % 6]);
    default:
      return kWords[random() % std::size(kWords)];
  }
}

inline std::string RandomText(std::mt19937& random, bool rare = true) {
  std::string text;
  for (size_t n = random() % 14; n > 0; --n) {
    text += RandomFragment(random, rare) + (random() % 2 == 0 ? " " : "");
  }
  return text;
}

}  // namespace regatta
