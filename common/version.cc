// For what is linked without a commit; see version.h.
#include "common/version.h"

namespace regatta {

__attribute__((weak)) const char* BuildCommit() { return "unknown"; }

}  // namespace regatta
