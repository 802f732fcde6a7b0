// Headers of safetensors files: what is accepted must place every tensor inside the file.
#include "common/check.h"
#include "common/checkpoint/safetensors_header.h"
#include "tests/fuzz/fuzz_input.h"

namespace regatta {
namespace {

// Bytes that the shape asks for, in 128 bits so that the check itself cannot overflow twice over.
unsigned __int128 BytesOf(const TensorEntry& entry) {
  unsigned __int128 bits = static_cast<unsigned>(entry.type->bits);
  for (const int64_t dimension : entry.shape) {
    CHECK_GE(dimension, 0) << entry.name;
    if (dimension == 0) return 0;
    bits *= static_cast<uint64_t>(dimension);
    CHECK(bits >> 70 == 0) << entry.name;  // Larger than any file.
  }
  return bits / 8;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view file = FuzzInput(data, size).Rest();
  const auto header = ParseSafetensorsHeader({file.data(), file.size()});
  if (!header.ok()) {
    CHECK(!header.status().message().empty());
    return 0;
  }
  CHECK_LE(header->data_offset, size);
  uint64_t end = 0;
  for (const TensorEntry& entry : header->entries) {
    CHECK_EQ(entry.begin, end) << entry.name;
    CHECK_GE(entry.end, entry.begin) << entry.name;
    CHECK(BytesOf(entry) == entry.end - entry.begin) << entry.name;
    end = entry.end;
  }
  CHECK_EQ(header->data_offset + end, size);
  return 0;
}

}  // namespace regatta
