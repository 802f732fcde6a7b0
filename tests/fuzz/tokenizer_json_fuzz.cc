// tokenizer.json, then a text that the tokenizer it describes takes apart and puts together. An
// input that is no such file is a text for a tokenizer of bytes, which must give all text back.
#include "common/text/utf8.h"
#include "tests/common/text/tiny_tokenizer.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/text_round_trip.h"

namespace regatta {
namespace {

void CheckLossless(std::string_view text) {
  static const Tokenizer& tokenizer = *LoadTiny().release();
  CheckRoundTrip(tokenizer, text);
  std::string expected;
  AppendUtf8Lossy(text, expected);
  const std::vector<int32_t> ids =
      tokenizer.Encode(text, /*add_special_tokens=*/false, /*parse_special=*/false);
  CHECK_EQ(tokenizer.Decode(ids, /*skip_special_tokens=*/false), expected);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  const std::string_view file = input.Until(kNextPart);
  const std::string_view text = input.Rest();
  const auto tokenizer = Tokenizer::FromJson(file);
  if (tokenizer.ok()) {
    CheckRoundTrip(**tokenizer, kAnyText);
    CheckRoundTrip(**tokenizer, text);
  } else {
    CHECK(!tokenizer.status().message().empty());
    CheckLossless(file);
  }
  return 0;
}

}  // namespace regatta
