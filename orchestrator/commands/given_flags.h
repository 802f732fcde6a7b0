// The flags of a command as words that can be kept, compared and parsed again.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace CLI {
class App;
}

namespace regatta {

// "--name=value" of every flag that was given to `command`, under its first name, in the order of
// the help text; a flag without a value has "true", one given as --no-name "false".
std::vector<std::string> GivenFlags(const CLI::App& command);

// "--name" of "--name=value".
std::string NameOfFlag(absl::string_view flag);

// Parses such words into what the flags of `command` are bound to. INVALID_ARGUMENT as a person who
// typed them would read it.
absl::Status ParseGivenFlags(const std::vector<std::string>& flags, CLI::App& command);

}  // namespace regatta
