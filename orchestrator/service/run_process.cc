// Arguments, log and results of a running command; see run_process.h.
#include "orchestrator/service/run_process.h"

#include <signal.h>

#include <algorithm>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/service/run_figures.h"
#include "orchestrator/terminal/printable.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr char kErrorMark[] = "regatta: ";  // ExitCodeOf begins its lines so

void AddTls(const TlsOptions& tls, std::vector<std::string>& arguments) {
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) arguments.push_back(absl::StrCat(flag, "=", value));
  };
  add("--tls-cert", tls.cert);
  add("--tls-key", tls.key);
  add("--tls-ca", tls.ca);
  if (tls.insecure) arguments.push_back("--insecure");
}

// A directory whose writer has died, or there is none.
absl::Status CheckFree(const std::string& directory) {
  const absl::Status status = RunDirectory::Open(directory).status();
  if (!absl::IsFailedPrecondition(status)) return status;
  return absl::UnavailableError(status.message());
}

}  // namespace

absl::StatusOr<std::unique_ptr<RunProcess>> RunProcess::Start(
    const RunProcessOptions& options, const RunPaths& paths, const RunSummary& run,
    const std::vector<std::string>& flags) {
  std::vector<std::string> arguments = {options.program, run.command()};
  if (const std::optional<std::string> begun = paths.Results(); begun.has_value()) {
    RETURN_IF_ERROR(CheckFree(*begun));
    arguments.push_back(absl::StrCat("--resume=", *begun));
  } else {
    std::error_code ignored;
    fs::remove_all(paths.output(), ignored);  // of a process that died before its first result
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    arguments.push_back(absl::StrCat("--output=", paths.output()));
  }
  if (absl::StartsWith(run.target(), "grpc://")) AddTls(options.tls, arguments);
  std::error_code none;
  const uint64_t log_bytes = fs::exists(paths.log(), none) ? fs::file_size(paths.log(), none) : 0;
  ASSIGN_OR_RETURN(auto child,
                   ChildProcess::Start("regatta " + run.command(), arguments, paths.log()));
  return std::unique_ptr<RunProcess>(
      new RunProcess(paths, options.stop_grace, log_bytes, std::move(child)));
}

std::optional<std::string> RunProcess::Poll() {
  const std::optional<std::string> ended = child_->Ended();
  ReadLog();  // after that, so that nothing it said last is missed
  if (!ended.has_value() && absl::Now() >= kill_at_) {
    ::kill(-child_->pid(), SIGKILL);
    kill_at_ = absl::InfiniteFuture();
  }
  return ended;
}

void RunProcess::Stop() {
  child_->Terminate();
  kill_at_ = std::min(kill_at_, absl::Now() + stop_grace_);
}

void RunProcess::ReadLog() {
  constexpr uint64_t kMaxBytes = 64 << 10;  // older lines are of no interest any more
  std::error_code error;
  const uint64_t size = fs::file_size(paths_.log(), error);
  if (error || size <= log_read_) return;
  std::ifstream log(paths_.log(), std::ios::binary);
  const uint64_t from = size - log_read_ > kMaxBytes ? size - kMaxBytes : log_read_;
  std::string text(size - from, '\0');
  log.seekg(static_cast<std::streamoff>(from));
  if (!log.read(text.data(), static_cast<std::streamsize>(text.size()))) return;
  const size_t whole = text.rfind('\n');
  if (whole == std::string::npos) return;
  log_read_ = from + whole + 1;
  for (absl::string_view line : absl::StrSplit(text.substr(0, whole), '\n')) {
    if (absl::StrContains(line, " done, ")) line_ = Printable(line);
  }
}

bool RunProcess::Refresh(RunSummary& run) {
  const std::optional<std::string> directory = paths_.Results();
  if (!directory.has_value()) return false;
  std::error_code error;
  const auto time = fs::last_write_time(*directory + "/results.json", error);
  if (error || time == results_time_) return false;
  const absl::StatusOr<SweepReport> sweep = LoadResults(*directory);
  if (!sweep.ok()) return false;
  results_time_ = time;
  Summarise(*sweep, run);
  return true;
}

std::string RunProcess::Error() const {
  constexpr int kLines = 50;
  const std::string tail = child_->LogTail(kLines);
  absl::string_view error, last;
  for (absl::string_view line : absl::StrSplit(tail, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (absl::StartsWith(line, kErrorMark)) error = line.substr(sizeof(kErrorMark) - 1);
    if (!line.empty()) last = line;
  }
  const std::string text(error.empty() ? last : error);
  // The client's own names, and only what a message can carry.
  return Printable(absl::StrReplaceAll(text, {{paths_.input() + "/", ""}}));
}

}  // namespace regatta
