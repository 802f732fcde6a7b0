// Ctrl-C and SIGTERM as a flag that long waits look at. The second one ends the program at once;
// the kernel then kills its children.
#pragma once

#include <atomic>

namespace regatta {

// Installs the handlers; idempotent. True from the first SIGINT, SIGTERM or SIGHUP on.
const std::atomic<bool>& InterruptFlag();

}  // namespace regatta
