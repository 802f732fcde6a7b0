// Agreement with Hugging Face `tokenizers` on thousands of generated texts: digests of ids and text
// equal those that agreement.py stored. Another file of digests may be named on the command line.
#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "common/check.h"
#include "common/text/detokenizer.h"
#include "common/text/tokenizer.h"
#include "tests/common/text/generated_text.h"

namespace regatta {
namespace {

const std::string kFixtures = REGATTA_SOURCE_DIR "/tests/common/text/fixtures/";
std::string digest_file = kFixtures + "agreement.json";

using Ids = std::vector<int32_t>;

constexpr size_t kDigestBytes = 3;
constexpr size_t kLeastTexts = 5000;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  CHECK(file.good()) << path << " cannot be read";
  return {std::istreambuf_iterator<char>(file), {}};
}

// What agreement.py calls the outcome of one text.
struct Outcome {
  Ids plain, parsed;
  std::string decoded, skipped;
  Ids random_ids;
  std::string random_text;

  std::string Digest() const {
    std::string all;
    auto append = [&all](const auto& list) {
      auto size = static_cast<uint32_t>(list.size());
      all.append(reinterpret_cast<const char*>(&size), sizeof(size));
      all.append(reinterpret_cast<const char*>(list.data()), list.size() * sizeof(list[0]));
    };
    append(plain), append(parsed), append(decoded);
    append(skipped), append(random_ids), append(random_text);
    auto sum = static_cast<uint32_t>(
        crc32(0, reinterpret_cast<const Bytef*>(all.data()), static_cast<uInt>(all.size())));
    return std::string(reinterpret_cast<const char*>(&sum), kDigestBytes);
  }
};

Outcome Run(const Tokenizer& tokenizer, const std::string& text, Ids random_ids) {
  Outcome outcome;
  outcome.plain = tokenizer.Encode(text, /*add_special_tokens=*/false, /*parse_special=*/false);
  outcome.parsed = tokenizer.Encode(text, /*add_special_tokens=*/true);
  outcome.decoded = tokenizer.Decode(outcome.parsed, /*skip_special_tokens=*/false);
  outcome.skipped = tokenizer.Decode(outcome.parsed, /*skip_special_tokens=*/true);
  outcome.random_text = tokenizer.Decode(random_ids, /*skip_special_tokens=*/false);
  outcome.random_ids = std::move(random_ids);
  return outcome;
}

// The text of `ids` when they come in parts of random sizes.
std::string Detokenize(const Tokenizer& tokenizer, absl::Span<const int32_t> ids, bool skip,
                       std::mt19937& random) {
  Detokenizer detokenizer(tokenizer, skip);
  std::string text;
  while (!ids.empty()) {
    size_t count = std::min<size_t>(ids.size(), 1 + random() % 4);
    text += detokenizer.Append(ids.first(count));
    ids.remove_prefix(count);
  }
  return text + detokenizer.Finish();
}

void ExpectDetokenized(const Tokenizer& tokenizer, const Outcome& outcome, std::mt19937& random) {
  EXPECT_EQ(Detokenize(tokenizer, outcome.parsed, false, random), outcome.decoded);
  EXPECT_EQ(Detokenize(tokenizer, outcome.parsed, true, random), outcome.skipped);
  EXPECT_EQ(Detokenize(tokenizer, outcome.random_ids, false, random), outcome.random_text);
}

void ExpectAgreement(const std::string& name, const GeneratedTexts& texts,
                     const std::string& digests) {
  auto tokenizer = Tokenizer::Load(kFixtures + name + ".json");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  ASSERT_EQ(digests.size() % kDigestBytes, 0u);
  size_t count = digests.size() / kDigestBytes;
  ASSERT_GE(count, kLeastTexts);
  std::mt19937 random(31);
  for (size_t i = 0; i < count; ++i) {
    std::string text = texts.Text(i);
    SCOPED_TRACE("agreement.py show " + name + " " + std::to_string(i));
    Outcome outcome =
        Run(**tokenizer, text, texts.Ids(i, (*tokenizer)->vocab_size() + /*unknown=*/5));
    ASSERT_EQ(outcome.Digest(), digests.substr(i * kDigestBytes, kDigestBytes))
        << "text " << testing::PrintToString(text) << "\nplain "
        << testing::PrintToString(outcome.plain) << "\nparsed "
        << testing::PrintToString(outcome.parsed) << "\ndecoded " << outcome.decoded << "\nskipped "
        << outcome.skipped << "\nrandom ids " << testing::PrintToString(outcome.random_ids)
        << "\nrandom text " << outcome.random_text;
    ExpectDetokenized(**tokenizer, outcome, random);
    if (testing::Test::HasFailure()) return;
  }
  std::cout << name << ": " << count << " texts agree\n";
}

TEST(TokenizerAgreement, AgreesWithHuggingFaceOnGeneratedTexts) {
  GeneratedTexts texts(ReadFile(kFixtures + "pools.json"));
  nlohmann::json golden = nlohmann::json::parse(ReadFile(digest_file));
  ASSERT_GE(golden.size(), 14u);
  for (const auto& [name, written] : golden.items()) {
    std::string digests;
    ASSERT_TRUE(absl::Base64Unescape(written.get<std::string>(), &digests)) << name;
    ExpectAgreement(name, texts, digests);
  }
}

}  // namespace
}  // namespace regatta

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc > 1) regatta::digest_file = argv[1];
  return RUN_ALL_TESTS();
}
