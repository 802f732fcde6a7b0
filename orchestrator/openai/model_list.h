// What an OpenAI-compatible server serves.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "orchestrator/http/http_url.h"

namespace regatta {

struct ListedModel {
  std::string name;
  uint32_t max_model_len = 0;  // tokens in and out of one request; 0 = the server does not tell
};

// The first model that GET /v1/models lists; asks again until the server answers or `timeout` has
// passed, and tells `on_retry`, where it is given, why. UNAVAILABLE or DEADLINE_EXCEEDED in the
// end, UNAUTHENTICATED (with what to do) and the like at once; CANCELLED by `stop`.
absl::StatusOr<ListedModel> FirstModel(
    const HttpUrl& url, const std::string& api_key, absl::Duration timeout,
    const std::atomic<bool>& stop,
    const std::function<void(const absl::Status& why)>& on_retry = nullptr);

}  // namespace regatta
