// The digest by which the Hub names a file: SHA-256 of what Git LFS holds, else git's SHA-1 of a
// blob ("blob <size>\0" and the contents).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace regatta {

class Checksum {
 public:
  // `etag` is what the file should have: 64 hexadecimal digits, 40 of git, or anything else, which
  // cannot be checked. `size` in bytes.
  Checksum(const std::string& etag, uint64_t size);
  ~Checksum();

  bool checkable() const;
  void Add(absl::string_view bytes);
  // Whether everything added makes the etag. Call once; true for what is not checkable.
  bool Matches();

 private:
  struct State;
  const std::string expected_;
  std::unique_ptr<State> state_;
};

}  // namespace regatta
