// Whether a server that is about to be started will get its address; asked before minutes of
// loading, with errors in terms of the flags.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace regatta {

// OK when this process can listen on `host` (a name or an IP address, --host) and `port` (--port).
// INVALID_ARGUMENT: no such host, or not one of this machine's; UNAVAILABLE: the port is taken;
// PERMISSION_DENIED: a port of the superuser's; DEADLINE_EXCEEDED: a name that nobody resolves
// within five seconds. Another process may still come in between.
absl::Status CheckListenAddress(const std::string& host, uint32_t port);

}  // namespace regatta
