// See search_flags.h.
#include "orchestrator/commands/search_flags.h"

#include <CLI/CLI.hpp>

#include "common/flags.h"
#include "orchestrator/benchmark/sweep.h"

namespace regatta {

void AddSearchFlags(CLI::App& command, SearchLimits& limits, CLI::Option* needed) {
  CLI::Option* const points =
      command.add_option("--max-points", limits.max_points, "loads that the search may measure")
          ->check(WholeRange(1, 1000))
          ->capture_default_str()
          ->group("Search");
  CLI::Option* const concurrency = command
                                       .add_option("--max-concurrency", limits.max_concurrency,
                                                   "users at once that the search may try")
                                       ->check(WholeRange(1, kMaxConcurrency))
                                       ->capture_default_str()
                                       ->group("Search");
  if (needed == nullptr) return;
  needed->group("Search");
  points->needs(needed);
  concurrency->needs(needed);
}

}  // namespace regatta
