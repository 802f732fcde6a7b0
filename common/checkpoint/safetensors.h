// Checkpoints in Hugging Face layout, mapped into memory: one safetensors file, or shards and their
// index. Knows names, shapes and bytes; what they mean is tensor_table.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "common/checkpoint/safetensors_header.h"

namespace regatta {

// One tensor in a mapped file. `data` may be unaligned; it lives as long as the Checkpoint.
// A file that another process truncates while it is mapped kills the reader (SIGBUS), as with any
// memory map; checkpoints are written once.
struct StoredTensor {
  const StoredType* type = nullptr;
  std::vector<int64_t> shape;
  const std::byte* data = nullptr;
  uint64_t num_bytes = 0;
  const std::string* path = nullptr;  // of its file, for messages
};

// A file's bytes, mapped read-only. NOT_FOUND or INVALID_ARGUMENT (not a regular file) name it.
class MappedFile {
 public:
  static absl::StatusOr<std::unique_ptr<MappedFile>> Open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  absl::string_view bytes() const { return {static_cast<const char*>(data_), size_}; }

 private:
  MappedFile(std::string path, void* data, size_t size)
      : path_(std::move(path)), data_(data), size_(size) {}

  const std::string path_;
  void* const data_;
  const size_t size_;
};

class Checkpoint {
 public:
  // Maps model.safetensors of `model_dir`, or else every shard that model.safetensors.index.json
  // names. Errors: NOT_FOUND (neither; or the missing shards, or tensors that their shard lacks),
  // INVALID_ARGUMENT (a broken file or index, or an index that points out of the directory).
  static absl::StatusOr<Checkpoint> Open(const std::string& model_dir);

  const std::string& directory() const { return directory_; }
  // Null when there is none of that name.
  const StoredTensor* Find(const std::string& name) const;
  size_t num_tensors() const { return tensors_.size(); }
  std::vector<std::string> Names() const;  // sorted

 private:
  absl::Status AddFile(const std::string& path);
  absl::Status AddShards(const std::string& model_dir, const std::string& index_path);

  std::string directory_;
  std::vector<std::unique_ptr<MappedFile>> files_;
  std::unordered_map<std::string, StoredTensor> tensors_;
};

}  // namespace regatta
