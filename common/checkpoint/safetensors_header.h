// The header of a safetensors file: JSON that places named tensors in the bytes behind it. A pure
// function of bytes; trusts none of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace regatta {

// An element type of the format.
struct StoredType {
  const char* name;  // "BF16", as in the header
  int bits;
};

struct TensorEntry {
  std::string name;
  const StoredType* type = nullptr;
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // bytes [begin, end) of the data section
  uint64_t end = 0;
};

// Where the tensors are and where the data section starts.
struct SafetensorsHeader {
  std::vector<TensorEntry> entries;  // in the order of their data
  uint64_t data_offset = 0;
};

inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;  // the format's own limit

// Parses the header of `file` (the whole file's bytes; only the header's are read) and checks what
// the format promises: known dtypes, shape x dtype equal to the byte range, no name twice, ranges
// that cover the data section without overlap or gap. INVALID_ARGUMENT names the tensor, the value
// and the limit.
// Source: https://github.com/huggingface/safetensors#format
absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(absl::string_view file);

}  // namespace regatta
