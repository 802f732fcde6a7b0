// What the flags of an HTTP server's limits take: of the router, and of who starts one.
#pragma once

#include "common/number_range.h"

namespace regatta {

inline constexpr NumberRange kHttpBodyBytesRange{1, 1 << 30, true};
inline constexpr NumberRange kHttpConnectionsRange{1, 1 << 20, true};
inline constexpr NumberRange kHttpConnectionsPerPeerRange{0, 1 << 20, true};  // 0 = no limit

}  // namespace regatta
