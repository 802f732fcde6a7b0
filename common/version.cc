// The commit is given by CMake; see version.h.
#include "common/version.h"

namespace regatta {

const char* BuildCommit() { return REGATTA_COMMIT[0] != '\0' ? REGATTA_COMMIT : "unknown"; }

}  // namespace regatta
