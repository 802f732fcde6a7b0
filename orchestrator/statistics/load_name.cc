// Words for loads; see load_name.h.
#include "orchestrator/statistics/load_name.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace regatta {
namespace {

// Neither a rate nor a limit: everything is sent at once.
bool IsBurst(const LoadKey& load) { return load.first <= 0 || std::isinf(load.first); }

}  // namespace

std::string LoadName(const LoadKey& load) {
  const auto& [rate, concurrency] = load;
  if (IsBurst(load)) {
    return concurrency == 0 ? "all at once" : absl::StrCat("concurrency ", concurrency);
  }
  const std::string limit =
      concurrency == 0 ? "" : absl::StrCat(", at most ", concurrency, " at once");
  return absl::StrCat(rate, " req/s", limit);
}

std::string LoadLabel(const LoadKey& load) {
  const auto& [rate, concurrency] = load;
  if (IsBurst(load)) return concurrency == 0 ? "all" : absl::StrCat("c=", concurrency);
  return absl::StrCat(rate, "/s", concurrency == 0 ? "" : absl::StrCat(" c=", concurrency));
}

}  // namespace regatta
