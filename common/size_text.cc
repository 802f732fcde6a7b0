// See size_text.h.
#include "common/size_text.h"

#include <cmath>

#include "absl/strings/str_format.h"

namespace regatta {

std::string SizeText(double bytes) {
  constexpr double kKib = 1024, kMib = 1024 * kKib, kGib = 1024 * kMib;
  const double size = std::abs(bytes);
  // A unit begins where the one below it would be rounded up to 1024.
  if (size >= kGib - 0.05 * kMib) return absl::StrFormat("%.2f GiB", bytes / kGib);
  if (size >= kMib - 0.05 * kKib) return absl::StrFormat("%.1f MiB", bytes / kMib);
  if (size >= kKib - 0.5) return absl::StrFormat("%.1f KiB", bytes / kKib);
  return absl::StrFormat("%.0f B", bytes);
}

}  // namespace regatta
