// Safetensors bytes for tests: well-formed files, and the pieces to build broken ones from.
#pragma once

#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace regatta {

struct TensorToWrite {
  std::string name;
  std::string dtype;  // "F32", ...
  std::vector<int64_t> shape;
  std::string bytes;
};

// A file of any header text and data.
inline std::string RawSafetensors(const std::string& header, const std::string& data) {
  const uint64_t size = header.size();
  std::string file(sizeof(size), '\0');
  std::memcpy(file.data(), &size, sizeof(size));
  return file + header + data;
}

// The data section starts at a byte that is `offset` modulo 8.
inline std::string Safetensors(const std::vector<TensorToWrite>& tensors, size_t offset = 0) {
  nlohmann::json header = {{"__metadata__", {{"format", "pt"}}}};
  std::string data;
  for (const TensorToWrite& tensor : tensors) {
    header[tensor.name] = {{"dtype", tensor.dtype},
                           {"shape", tensor.shape},
                           {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
    data += tensor.bytes;
  }
  std::string text = header.dump();
  while (text.size() % 8 != offset) text += ' ';
  return RawSafetensors(text, data);
}

}  // namespace regatta
