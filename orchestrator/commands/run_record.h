// What a typed command is to the run that it begins.
#pragma once

#include "orchestrator/benchmark/benchmark_session.h"
#include "orchestrator/commands/commands.h"

namespace regatta {

// Name, line, flags and configuration of `command`, which has been parsed.
RunRecord RunRecordOf(const CLI::App& command, const CommandContext& context);

}  // namespace regatta
