// What an OpenAI-compatible server serves.
#pragma once

#include <atomic>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "orchestrator/http/http_url.h"

namespace regatta {

// The first name that GET /v1/models lists; asks again until the server answers or `timeout` has
// passed. UNAVAILABLE, UNAUTHENTICATED (with what to do) and the like; CANCELLED by `stop`.
absl::StatusOr<std::string> FirstModel(const HttpUrl& url, const std::string& api_key,
                                       absl::Duration timeout, const std::atomic<bool>& stop);

}  // namespace regatta
