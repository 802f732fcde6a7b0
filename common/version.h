// What this build is.
#pragma once

namespace regatta {

inline constexpr char kVersion[] = "0.1.0";
inline constexpr int kProtocolVersion =
    2;  // of proto/worker.proto; workers and routers of different numbers refuse one another

// Commit that the program was built from, "-dirty" appended when the tree had changes; "unknown"
// outside git and in tests.
const char* BuildCommit();

}  // namespace regatta
