// Flags of the commands that choose their loads while they measure.
#pragma once

#include "orchestrator/search/adaptive_search.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace regatta {

// Binds --max-points and --max-concurrency to `limits`, which must outlive `command`. With `needed`
// they are only taken beside that flag.
void AddSearchFlags(CLI::App& command, SearchLimits& limits, CLI::Option* needed);

}  // namespace regatta
