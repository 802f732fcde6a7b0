// Numbers of a message that was read: protobuf's JSON takes "NaN" and "Infinity", figures do not.
#pragma once

#include <google/protobuf/message.h>

#include "absl/status/status.h"

namespace regatta {

// INVALID_ARGUMENT names the first field, "runs[3].performance.avg_request_latency_ms", that is not
// a number of at most 1e100 in size, beyond which products of figures overflow. The rate of a
// planned load may be infinite: everything at once.
absl::Status CheckFinite(const google::protobuf::Message& message);

}  // namespace regatta
