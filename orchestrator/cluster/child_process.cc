// fork, exec and signals; see child_process.h.
#include "orchestrator/cluster/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"

namespace regatta {
namespace {

absl::Status SystemError(absl::string_view what) {
  return absl::InternalError(absl::StrCat(what, ": ", std::strerror(errno)));
}

// In the child, between fork and exec: async-signal-safe calls only. Reports a failure through
// `error_fd`, which exec closes.
[[noreturn]] void BecomeProgram(char* const* argv, int log_fd, int error_fd, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // it died before the line above
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
  ::dup2(log_fd, STDOUT_FILENO);
  ::dup2(log_fd, STDERR_FILENO);
  ::execv(argv[0], argv);
  const int error = errno;
  [[maybe_unused]] const ssize_t written = ::write(error_fd, &error, sizeof(error));
  ::_exit(127);
}

// The errno of a failed exec; 0 when it succeeded, which closes the pipe.
int ExecError(int read_fd) {
  int error = 0;
  ssize_t count;
  do {
    count = ::read(read_fd, &error, sizeof(error));
  } while (count < 0 && errno == EINTR);
  return count == sizeof(error) ? error : 0;
}

std::string DescribeEnd(int status) {
  if (WIFEXITED(status)) return absl::StrCat("exit code ", WEXITSTATUS(status));
  const int signal = WTERMSIG(status);
  return absl::StrCat("signal ", signal, " (", ::strsignal(signal), ")");
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(
    const std::string& name, const std::vector<std::string>& arguments,
    const std::string& log_path) {
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const int log_fd = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log_fd < 0) return SystemError(absl::StrCat("cannot open log '", log_path, "'"));
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) {
    ::close(log_fd);
    return SystemError("pipe2");
  }
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) BecomeProgram(argv.data(), log_fd, pipe_fds[1], parent);
  ::close(log_fd);
  ::close(pipe_fds[1]);
  const int error = pid > 0 ? ExecError(pipe_fds[0]) : 0;
  ::close(pipe_fds[0]);
  if (pid < 0) return SystemError("fork");
  auto child = std::unique_ptr<ChildProcess>(new ChildProcess(name, pid, log_path));
  if (error != 0) {
    return absl::NotFoundError(
        absl::StrCat("cannot execute '", arguments[0], "': ", std::strerror(error)));
  }
  return child;
}

ChildProcess::~ChildProcess() {
  if (Ended().has_value()) return;
  ::kill(-pid_, SIGKILL);
  ::kill(pid_, SIGKILL);  // in case it has not reached setpgid
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
}

std::optional<std::string> ChildProcess::Ended() {
  if (ended_.has_value()) return ended_;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  ended_ = DescribeEnd(status);
  ::kill(-pid_, SIGKILL);  // children it may have left in its group
  return ended_;
}

void ChildProcess::Terminate() {
  if (!Ended().has_value()) ::kill(pid_, SIGTERM);
}

std::string ChildProcess::LogTail(int lines) const {
  std::ifstream log(log_path_);
  std::deque<std::string> tail;
  for (std::string line; std::getline(log, line);) {
    tail.push_back(line);
    if (tail.size() > static_cast<size_t>(lines)) tail.pop_front();
  }
  return absl::StrJoin(tail, "\n");
}

void StopAll(const std::vector<std::unique_ptr<ChildProcess>>& children, absl::Duration grace) {
  for (const auto& child : children) child->Terminate();
  const absl::Time deadline = absl::Now() + grace;
  const auto ended = [](const auto& child) { return child->Ended().has_value(); };
  while (!std::all_of(children.begin(), children.end(), ended) && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  for (const auto& child : children) {
    if (!child->Ended().has_value()) ::kill(-child->pid(), SIGKILL);
  }
}

}  // namespace regatta
