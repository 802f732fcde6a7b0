// tokenizer.model (a protobuf message read by hand), then tokenizer_config.json, added_tokens.json
// and a text.
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/text_round_trip.h"

namespace regatta {

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  const std::string_view model = input.Until(kNextPart);
  const std::string_view config = input.Until(kNextPart);
  const std::string_view added_tokens = input.Until(kNextPart);
  const auto tokenizer = Tokenizer::FromSentencePiece(model, config, added_tokens);
  if (!tokenizer.ok()) {
    CHECK(!tokenizer.status().message().empty());
    return 0;
  }
  CheckRoundTrip(**tokenizer, kAnyText);
  CheckRoundTrip(**tokenizer, input.Rest());
  return 0;
}

}  // namespace regatta
