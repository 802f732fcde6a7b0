// See given_flags.h.
#include "orchestrator/commands/given_flags.h"

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"

namespace regatta {

std::vector<std::string> GivenFlags(const CLI::App& command) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() == 0 || option->get_lnames().empty()) continue;
    for (const std::string& value : option->results()) {
      flags.push_back(absl::StrCat("--", option->get_lnames()[0], "=", value));
    }
  }
  return flags;
}

std::string NameOfFlag(absl::string_view flag) {
  return std::string(flag.substr(0, flag.find('=')));
}

absl::Status ParseGivenFlags(const std::vector<std::string>& flags, CLI::App& command) {
  try {
    command.parse(std::vector<std::string>(flags.rbegin(), flags.rend()));
    return absl::OkStatus();
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

}  // namespace regatta
