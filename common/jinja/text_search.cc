// memmem of the C library is linear (two-way search, Crochemore and Perrin 1991); see
// text_search.h.
#include "common/jinja/text_search.h"

#include <string.h>

#include <algorithm>
#include <string>

#include "common/check.h"
#include "common/status_macros.h"

namespace regatta::jinja {

size_t FindText(std::string_view text, std::string_view wanted) {
  if (wanted.empty()) return 0;
  const void* found = ::memmem(text.data(), text.size(), wanted.data(), wanted.size());
  return found == nullptr ? std::string_view::npos
                          : static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

absl::StatusOr<std::vector<size_t>> FindPlaces(std::string_view text, std::string_view wanted,
                                               int64_t most, Side from, Runtime& runtime) {
  CHECK(!wanted.empty());
  RETURN_IF_ERROR(runtime.SpendText(text.size()));
  RETURN_IF_ERROR(runtime.SpendText(wanted.size()));
  std::string text_backwards, wanted_backwards;
  std::string_view rest = text, sought = wanted;
  if (from == Side::kRight) {
    rest = text_backwards.assign(text.rbegin(), text.rend());
    sought = wanted_backwards.assign(wanted.rbegin(), wanted.rend());
  }
  std::vector<size_t> places;
  for (size_t passed = 0; most < 0 || static_cast<int64_t>(places.size()) < most;) {
    const size_t at = FindText(rest, sought);
    if (at == std::string_view::npos) break;
    RETURN_IF_ERROR(runtime.Spend(1));
    passed += at;
    places.push_back(from == Side::kLeft ? passed : text.size() - passed - wanted.size());
    passed += wanted.size();
    rest.remove_prefix(at + wanted.size());
  }
  if (from == Side::kRight) std::reverse(places.begin(), places.end());
  return places;
}

}  // namespace regatta::jinja
