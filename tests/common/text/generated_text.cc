// Each draw is made in the order in which the Python code makes it.
#include "tests/common/text/generated_text.h"

#include <unicode/utf8.h>

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/check.h"

namespace regatta {
namespace {

std::string Utf8Of(UChar32 c) {
  uint8_t bytes[U8_MAX_LENGTH];
  int32_t size = 0;
  U8_APPEND_UNSAFE(bytes, size, c);
  return std::string(reinterpret_cast<const char*>(bytes), size);
}

}  // namespace

// splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
class GeneratedTexts::Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0xD1342543DE82EF95) {}

  uint32_t Below(uint32_t limit) {
    uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return static_cast<uint32_t>(((z ^ z >> 31) >> 32) % limit);
  }

  template <typename T>
  const auto& Pick(const T& pool) {
    return pool[Below(static_cast<uint32_t>(pool.size()))];
  }

 private:
  uint64_t state_;
};

GeneratedTexts::GeneratedTexts(const std::string& pools) {
  auto document = nlohmann::ordered_json::parse(pools, nullptr, /*allow_exceptions=*/false);
  CHECK(!document.is_discarded()) << "pools.json is not valid JSON";
  strings_ = document["strings"].get<decltype(strings_)>();
  for (int byte : document["ill_formed"]) ill_formed_.push_back(static_cast<char>(byte));
  for (const auto& [name, ranges] : document["characters"].items()) {
    std::vector<std::string>& pool = name == "marks" ? marks_ : planes_.emplace_back();
    for (const auto& range : ranges) {
      UChar32 last = range[1];
      for (UChar32 c = range[0]; c <= last; ++c) pool.push_back(Utf8Of(c));
    }
    CHECK(!pool.empty()) << name;
  }
}

std::string GeneratedTexts::Text(uint64_t index) const {
  Random random(index);
  std::string text;
  for (uint32_t n = 1 + random.Below(6); n > 0; --n) {
    text += Fragment(random);
    text += random.Pick(strings_.at("joints"));
  }
  return text;
}

std::vector<int32_t> GeneratedTexts::Ids(uint64_t index, int32_t limit) const {
  Random random(~index);
  std::vector<int32_t> ids(random.Below(12));
  for (int32_t& id : ids) id = static_cast<int32_t>(random.Below(limit));
  return ids;
}

std::string GeneratedTexts::Fragment(Random& random) const {
  static const char* const kPools[] = {"code", "spaces", "scripts", "emoji", "specials"};
  auto repeat = [&](uint32_t least, uint32_t limit, auto append) {
    std::string text;
    for (uint32_t n = least + random.Below(limit); n > 0; --n) text += append();
    return text;
  };
  uint32_t kind = random.Below(16);
  if (kind < 4) return Sentence(random);
  if (kind < 9) return random.Pick(strings_.at(kPools[kind - 4]));
  switch (kind) {
    case 9:
      return repeat(1, 6, [&] { return Character(random); });
    case 10:
      return repeat(1, 12, [&] { return static_cast<char>('0' + random.Below(10)); });
    case 11:
      return repeat(1, 7, [&] { return static_cast<char>(random.Below(0x80)); });
    case 12: {
      const std::string& unit = random.Pick(strings_.at("runs"));
      return repeat(2, 68, [&] { return unit; });
    }
    case 13: {
      std::string base = Character(random);
      return base + repeat(1, 5, [&] { return random.Pick(marks_); });
    }
    case 14: {
      const std::string& special = random.Pick(strings_.at("specials"));
      return special.substr(0, random.Below(static_cast<uint32_t>(special.size()) + 1));
    }
    default:
      return repeat(1, 5, [&] { return random.Pick(ill_formed_); });
  }
}

std::string GeneratedTexts::Sentence(Random& random) const {
  std::vector<std::string> words(1 + random.Below(8));
  for (std::string& word : words) {
    word = random.Pick(strings_.at("words"));
    if (random.Below(10) != 0) continue;
    absl::AsciiStrToLower(&word);
    word[0] = absl::ascii_toupper(word[0]);
  }
  return absl::StrCat(absl::StrJoin(words, " "), random.Pick(strings_.at("ends")));
}

std::string GeneratedTexts::Character(Random& random) const {
  return random.Pick(random.Pick(planes_));
}

}  // namespace regatta
