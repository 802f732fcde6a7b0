// A parsed command as a record; see run_record.h.
#include "orchestrator/commands/run_record.h"

#include <CLI/CLI.hpp>

#include "orchestrator/commands/given_flags.h"

namespace regatta {

RunRecord RunRecordOf(const CLI::App& command, const CommandContext& context) {
  RunRecord record;
  record.command = command.get_name();
  record.command_line = context.command_line;
  record.configuration = command.config_to_str(/*default_also=*/true);
  record.flags = GivenFlags(command);
  return record;
}

}  // namespace regatta
