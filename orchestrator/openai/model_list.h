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

// How long a server is asked again, from the first question on.
struct ModelPatience {
  absl::Duration silent;    // while nothing there speaks HTTP
  absl::Duration starting;  // once it has answered that it does not serve yet (HTTP 502 to 504)
};

using OnModelRetry = std::function<void(const absl::Status& why, absl::Duration limit)>;

// The first model that GET /v1/models lists; asks again until the server answers or `patience` is
// at its end, and tells `on_retry`, where it is given, why and which limit holds. UNAVAILABLE or
// DEADLINE_EXCEEDED in the end, UNAUTHENTICATED (with what to do) and the like at once; CANCELLED
// by `stop`.
absl::StatusOr<ListedModel> FirstModel(const HttpUrl& url, const std::string& api_key,
                                       const ModelPatience& patience, const std::atomic<bool>& stop,
                                       const OnModelRetry& on_retry = nullptr);

}  // namespace regatta
