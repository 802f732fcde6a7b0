// How a router says that it means to take a rank from another one (proto/worker.proto, Dissolve).
#pragma once

namespace regatta {

inline constexpr char kTakeOverMetadata[] = "regatta-take-over";  // of the call; its value is "1"

}  // namespace regatta
