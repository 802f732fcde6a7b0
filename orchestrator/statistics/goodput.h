// Requests that met their service-level objectives.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/results.pb.h"

namespace regatta {

// "ttft:500", "tpot:20", "e2el:10000", in milliseconds, as vllm bench and aiperf spell them; also
// aiperf's time_to_first_token, inter_token_latency and request_latency. Several may share a
// string, parted by blanks or commas. INVALID_ARGUMENT names the part and what it could be.
absl::StatusOr<std::vector<Objective>> ParseObjectives(const std::vector<std::string>& texts);

// Fills the counts of `goodput` by its objectives. A completed request is good when every one of
// them is met: ttft and e2el from its scheduled time, tpot where it has more than one token. The
// fraction is of all requests, failed ones included; rates are per second of `seconds`.
void FillGoodput(const std::vector<RequestRecord>& requests, double seconds, Goodput& goodput);

}  // namespace regatta
