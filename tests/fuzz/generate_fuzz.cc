// A GenerateRequest as it comes over gRPC: taken within all limits, or refused with a reason.
#include "common/check.h"
#include "router/request.h"
#include "tests/common/text/tiny_tokenizer.h"
#include "tests/fuzz/fuzz_input.h"

namespace regatta {
namespace {

void CheckTaken(const Request& request, const RequestLimits& limits) {
  const SequenceSpec& spec = request.spec;
  CHECK(!spec.tokens.empty());
  CHECK_EQ(spec.prompt_length, spec.tokens.size());
  CHECK_LE(spec.prompt_length + spec.max_output_tokens, limits.max_seq_len);
  for (const uint32_t token : spec.tokens) {
    CHECK_LT(token, static_cast<uint32_t>(limits.model.vocab_size));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Tokenizer& tokenizer = *LoadTiny().release();
  static const ModelSpec& model = *[] {
    auto* model = new ModelSpec;
    model->name = "tiny";
    model->vocab_size = 303;
    model->max_position = 128;
    model->eos_token_ids = {301};
    return model;
  }();
  GenerateRequest request;
  if (size > INT32_MAX || !request.ParseFromArray(data, static_cast<int>(size))) return 0;
  for (const bool chunked : {false, true}) {
    const RequestLimits limits{.model = model,
                               .tokenizer = &tokenizer,
                               .max_seq_len = 100,
                               .max_num_tokens = 64,
                               .chunked_prefill = chunked};
    const auto made = MakeRequest(request, limits, /*now_ns=*/1000);
    if (made.ok()) {
      CheckTaken(**made, limits);
    } else {
      CHECK(!made.status().message().empty());
    }
  }
  return 0;
}

}  // namespace regatta
