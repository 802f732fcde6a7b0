// A look at what serves, once requests have failed; see survival.h.
#include "orchestrator/benchmark/survival.h"

#include "absl/strings/str_cat.h"
#include "orchestrator/statistics/load_name.h"

namespace regatta {
namespace {

// Nothing is there any more; other errors are answers.
bool IsGone(const absl::Status& check) {
  return absl::IsUnavailable(check) || absl::IsDeadlineExceeded(check) || absl::IsAborted(check);
}

}  // namespace

absl::Status CheckSurvival(const PointReport& point, const Serving& serving, bool is_kept) {
  const RegattaInfo& info = point.regatta();
  const bool completed = point.request_info().num_requests() > 0;
  if (completed && info.failed_requests() == 0) return absl::OkStatus();
  const absl::Status check = serving.Check();
  if (check.ok() || (completed && !IsGone(check))) return absl::OkStatus();
  return absl::Status(
      check.code(),
      absl::StrCat(serving.Name(), " does not serve any more; ", LoadName(LoadOf(info)),
                   is_kept ? "" : " is not kept,", " of whose ", info.issued_requests(),
                   " requests ", info.failed_requests(), " failed: ", check.message()));
}

}  // namespace regatta
