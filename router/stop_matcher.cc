// Stop strings across piece boundaries; see stop_matcher.h.
#include "router/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace regatta {

bool StopMatcher::CutAtMatch(size_t searched) {
  size_t best_end = std::string::npos;
  size_t best_start = 0;
  for (const std::string& stop : stops_) {
    // An occurrence must end in the new text, everything before was searched already.
    const size_t from = searched >= stop.size() ? searched - stop.size() + 1 : 0;
    const size_t start = held_.find(stop, from);
    if (start == std::string::npos) continue;
    const size_t end = start + stop.size();
    if (end < best_end || (end == best_end && start < best_start)) {
      best_end = end;
      best_start = start;
    }
  }
  if (best_end == std::string::npos) return false;
  held_.resize(include_stop_ ? best_end : best_start);
  return true;
}

size_t StopMatcher::HeldLength() const {
  size_t longest = 0;
  for (const std::string& stop : stops_) {
    for (size_t length = std::min(stop.size() - 1, held_.size()); length > longest; --length) {
      if (held_.compare(held_.size() - length, length, stop, 0, length) == 0) {
        longest = length;
        break;
      }
    }
  }
  return longest;
}

std::string StopMatcher::Append(const std::string& text) {
  if (matched_) return std::string();
  const size_t searched = held_.size();
  held_ += text;
  matched_ = CutAtMatch(searched);
  const size_t shown = matched_ ? held_.size() : held_.size() - HeldLength();
  std::string result = held_.substr(0, shown);
  held_.erase(0, shown);
  return result;
}

std::string StopMatcher::Flush() { return std::exchange(held_, std::string()); }

}  // namespace regatta
