// Exit codes and quoting shared by the subcommands; see commands.h.
#include "orchestrator/commands/commands.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
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

int FinishOutput(int exit_code) {
  errno = 0;
  std::cout.flush();
  if (std::cout) return exit_code;
  const std::string cause = errno == 0 ? "" : absl::StrCat(": ", std::strerror(errno));
  pollfd out = {STDOUT_FILENO, POLLOUT, 0};
  const bool reader_left = ::poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
  if (reader_left) return exit_code;
  std::cerr << "regatta: not all could be written to standard output" << cause << "\n";
  return exit_code == kExitOk ? kExitFailed : exit_code;
}

std::string QuoteCommandLine(int argc, char** argv) {
  std::string line;
  for (int i = 0; i < argc; ++i) absl::StrAppend(&line, i > 0 ? " " : "", ShellQuoted(argv[i]));
  return line;
}

}  // namespace regatta
