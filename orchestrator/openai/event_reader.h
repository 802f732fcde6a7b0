// EventReader: the data of server-sent events (WHATWG HTML 9.2.6) out of bytes that come in any
// pieces. Event types, ids and comments are passed over.
#pragma once

#include <cstddef>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"

namespace regatta {

class EventReader {
 public:
  using OnData = absl::FunctionRef<void(absl::string_view data)>;

  static constexpr size_t kMaxEventBytes = size_t{16} << 20;

  // Calls `on_data` for every event that `bytes` completes. False when one is larger than
  // kMaxEventBytes; the reader cannot go on then.
  bool Feed(absl::string_view bytes, OnData on_data);

 private:
  void TakeLine(absl::string_view line, OnData on_data);

  std::string partial_;  // of a line
  std::string data_;     // lines of the event so far, each with its line feed
  bool after_return_ = false;
};

}  // namespace regatta
