// config.json, generation_config.json and hf_quant_config.json of a checkpoint: data, never code.
#include "common/check.h"
#include "common/model_spec.h"
#include "tests/fuzz/fuzz_input.h"

namespace regatta {

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  const std::string config(input.Until(kNextPart));
  const std::string generation(input.Until(kNextPart));
  const std::string quantization(input.Rest());
  const auto spec = ParseModelSpec("fuzzed", config, generation, quantization);
  if (!spec.ok()) {
    CHECK(!spec.status().message().empty());
    return 0;
  }
  CHECK_GT(spec->NumParameters(), 0);
  CHECK_GE(spec->NumQuantizableParameters(), 0);
  CHECK_LE(spec->NumQuantizableParameters(), spec->NumParameters());
  CHECK_GT(spec->KvBytesPerToken(/*bytes_per_element=*/2, /*tp=*/1), 0);
  CHECK_GT(spec->WeightBytesPerParameter(/*plain_bytes=*/2), 0);
  for (int layer = 0; layer < spec->num_layers; ++layer) {
    spec->LayerIsMoe(layer);
    spec->LayerIsSliding(layer);
  }
  return 0;
}

}  // namespace regatta
