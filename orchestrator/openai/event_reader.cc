// Lines to events; see event_reader.h.
#include "orchestrator/openai/event_reader.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace regatta {
namespace {

// Of "\n", "\r\n" or "\r": two searches that run over many bytes at once.
size_t LineEnd(absl::string_view bytes) {
  const size_t feed = bytes.find('\n');
  return std::min(feed, bytes.substr(0, feed).find('\r'));
}

}  // namespace

bool EventReader::Feed(absl::string_view bytes, OnData on_data) {
  while (!bytes.empty()) {
    // The second half of a line end that came in two pieces.
    if (after_return_ && bytes.front() == '\n') bytes.remove_prefix(1);
    after_return_ = false;
    const size_t end = LineEnd(bytes);
    if (end == absl::string_view::npos) {
      partial_.append(bytes.data(), bytes.size());
      return partial_.size() + data_.size() <= kMaxEventBytes;
    }
    const absl::string_view rest = bytes.substr(0, end);
    if (partial_.empty()) {
      TakeLine(rest, on_data);
    } else {
      partial_.append(rest.data(), rest.size());
      TakeLine(partial_, on_data);
      partial_.clear();
    }
    after_return_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    if (data_.size() > kMaxEventBytes) return false;
  }
  return true;
}

void EventReader::TakeLine(absl::string_view line, OnData on_data) {
  if (line.empty()) {
    if (data_.empty()) return;
    on_data(absl::string_view(data_).substr(0, data_.size() - 1));
    data_.clear();
    return;
  }
  if (line == "data") line = "data:";
  if (!absl::ConsumePrefix(&line, "data:")) return;
  absl::ConsumePrefix(&line, " ");
  data_.append(line.data(), line.size());
  data_.push_back('\n');
}

}  // namespace regatta
