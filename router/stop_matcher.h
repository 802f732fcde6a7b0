// Stop strings in a text that arrives in pieces. Knows no tokens and no requests.
#pragma once

#include <string>
#include <vector>

namespace regatta {

// Lets text through until one of `stops` occurs, wherever the pieces are cut. Text that may be the
// beginning of a stop string is held back. The occurrence that is complete first counts (of several
// that end together, the longest).
class StopMatcher {
 public:
  // `stops` are not empty strings. `include_stop`: the occurrence itself is let through too.
  StopMatcher(std::vector<std::string> stops, bool include_stop)
      : stops_(std::move(stops)), include_stop_(include_stop) {}

  // The text that can be shown now. After a match: nothing more.
  std::string Append(const std::string& text);
  // What is held back, once no more text can come.
  std::string Flush();

  bool matched() const { return matched_; }

 private:
  // Cuts held_ at the first complete occurrence; false when there is none.
  bool CutAtMatch(size_t searched);
  // Length of the longest end of held_ that begins a stop string.
  size_t HeldLength() const;

  std::vector<std::string> stops_;
  bool include_stop_;
  bool matched_ = false;
  std::string held_;
};

}  // namespace regatta
