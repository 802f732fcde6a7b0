// Exit codes and quoting shared by the subcommands; see commands.h.
#include "orchestrator/commands/commands.h"

#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "orchestrator/terminal/printable.h"

namespace regatta {
std::string ShellQuoted(const std::string& word) {
  constexpr char kPlain[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+./:,@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  return absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

int ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return kExitOk;
  std::cerr << "regatta: " << Printable(status.message()) << "\n";
  switch (status.code()) {
    case absl::StatusCode::kCancelled:
      return kExitInterrupted;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kOutOfRange:
      return kExitBadInput;
    default:
      return kExitFailed;
  }
}

std::string QuoteCommandLine(int argc, char** argv) {
  std::string line;
  for (int i = 0; i < argc; ++i) absl::StrAppend(&line, i > 0 ? " " : "", ShellQuoted(argv[i]));
  return line;
}

}  // namespace regatta
