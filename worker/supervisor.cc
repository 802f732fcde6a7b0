// Starting, watching and ending worker processes; see supervisor.h.
#include "worker/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/atomic_file.h"
#include "worker/address.h"
#include "worker/health_report.h"

namespace regatta {
namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kFirstBackoff{100};
constexpr milliseconds kLongestBackoff{10'000};
constexpr milliseconds kHealthyAfter{30'000};  // of running, the back-off starts again
constexpr milliseconds kGrace{3'000};          // from SIGTERM to SIGKILL
constexpr milliseconds kOverslept{1'000};      // a wait that ends this late was not slept through

struct Child {
  std::string device;
  std::string listen;           // asked for; its own address once it has said so
  pid_t pid = 0;                // 0 = not running
  int output = -1;              // its stdout
  std::string said;             // of which no whole line has come yet
  bool listening = false;       // it has told its address at least once
  bool answers = false;         // has answered a health check, and is not killed for hanging
  Steady::time_point answered;  // last
  Steady::time_point started, restart_at;
  milliseconds backoff = kFirstBackoff;
};

void Log(const std::string& line) { std::fprintf(stderr, "regatta-worker: %s\n", line.c_str()); }

std::string HowItEnded(int status) {
  if (WIFSIGNALED(status)) return absl::StrCat("was killed by signal ", WTERMSIG(status));
  return absl::StrCat("exited with code ", WEXITSTATUS(status));
}

class Supervisor {
 public:
  explicit Supervisor(const SupervisorOptions& options) : options_(options) {
    for (const std::string& device : options.devices) {
      Child child;
      child.device = device;
      child.listen = AddressPlus(options.listen, static_cast<int>(children_.size()));
      children_.push_back(child);
    }
  }

  int Run() {
    sigset_t signals;
    sigemptyset(&signals);
    for (int signal : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&signals, signal);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    signals_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    for (Child& child : children_) Start(child);
    while (!stopping_ || AnyRuns()) {
      Wait();
      ReadSignals();
      for (Child& child : children_) ReadOutput(child);
      Reap();
      const Steady::time_point now = Steady::now();
      for (Child& child : children_) {
        if (!stopping_ && child.pid == 0 && now >= child.restart_at) Start(child);
        if (stopping_ && child.pid != 0 && now >= kill_at_) kill(child.pid, SIGKILL);
        if (!stopping_ && now >= HangsAt(child)) KillHung(child);
      }
    }
    return exit_code_;
  }

 private:
  bool AnyRuns() const {
    return std::any_of(children_.begin(), children_.end(),
                       [](const Child& child) { return child.pid != 0; });
  }

  void Start(Child& child) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return Stop(absl::StrCat("pipe: ", std::strerror(errno)), 1);
    std::vector<std::string> arguments = {"regatta-worker", "--device",   child.device,
                                          "--listen",       child.listen, "--exit-with-parent"};
    if (options_.hang_timeout > milliseconds(0)) arguments.push_back("--report-health");
    arguments.insert(arguments.end(), options_.worker_arguments.begin(),
                     options_.worker_arguments.end());
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const pid_t self = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGTERM);
      if (getppid() != self) _exit(0);  // ended before the line above took effect
      dup2(ends[1], STDOUT_FILENO);
      sigset_t none;
      sigemptyset(&none);
      sigprocmask(SIG_SETMASK, &none, nullptr);
      execv("/proc/self/exe", argv.data());
      _exit(127);
    }
    close(ends[1]);
    if (pid < 0) {
      close(ends[0]);
      return Stop(absl::StrCat("fork: ", std::strerror(errno)), 1);
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    child.pid = pid;
    child.output = ends[0];
    child.said.clear();
    child.answers = false;
    child.started = Steady::now();
  }

  // When it will have been silent for too long; one that has never answered may still be starting.
  Steady::time_point HangsAt(const Child& child) const {
    const bool watched = child.pid != 0 && child.answers;
    return watched ? child.answered + options_.hang_timeout : Steady::time_point::max();
  }

  // It dies like any other: Reap starts it again.
  void KillHung(Child& child) {
    const auto timeout = std::chrono::duration<double>(options_.hang_timeout).count();
    Log(absl::StrCat("worker on ", child.listen, " has not answered its health check for ", timeout,
                     " s (--hang-timeout); killing it"));
    kill(child.pid, SIGKILL);
    child.answers = false;
  }

  // Until something happens, or a restart or kill is due.
  void Wait() {
    std::vector<pollfd> files = {{signals_, POLLIN, 0}};
    Steady::time_point due = Steady::now() + std::chrono::seconds(10);
    if (stopping_) due = std::min(due, kill_at_);
    for (const Child& child : children_) {
      if (child.output >= 0) files.push_back({child.output, POLLIN, 0});
      if (stopping_) continue;
      due = std::min(due, child.pid == 0 ? child.restart_at : HangsAt(child));
    }
    const auto left = std::chrono::ceil<milliseconds>(due - Steady::now()).count();
    poll(files.data(), files.size(), static_cast<int>(std::max<int64_t>(left, 0)));
    // Whoever froze this process (a container that is paused) may have frozen the workers too.
    const Steady::time_point now = Steady::now();
    if (now < due + kOverslept) return;
    for (Child& child : children_) child.answered = now;
  }

  void ReadSignals() {
    signalfd_siginfo info;
    while (read(signals_, &info, sizeof(info)) == sizeof(info)) {
      if (info.ssi_signo != SIGCHLD) Stop("", 0);
    }
  }

  // A worker's first line is its address, which is passed on once all have told theirs; later ones
  // tell that it answers, or come from libraries.
  void ReadOutput(Child& child) {
    if (child.output < 0) return;
    char buffer[1024];
    ssize_t n = 0;
    while ((n = read(child.output, buffer, sizeof(buffer))) > 0) child.said.append(buffer, n);
    if (n == 0) {
      close(child.output);
      child.output = -1;
    }
    size_t begin = 0;
    for (size_t end = 0; (end = child.said.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
      ReadLine(child, child.said.substr(begin, end - begin));
    }
    child.said.erase(0, begin);
  }

  void ReadLine(Child& child, const std::string& line) {
    if (!child.listening) {
      child.listen = ParseListeningLine(line);
      child.listening = true;
      Announce();
    } else if (line == kAnswersLine) {
      child.answers = true;
      child.answered = Steady::now();
    }
  }

  void Announce() {
    std::vector<std::string> addresses;
    for (const Child& child : children_) {
      if (!child.listening) return;
      addresses.push_back(child.listen);
    }
    for (const std::string& address : addresses) PrintListeningLine(address);
    if (options_.address_file.empty()) return;
    const absl::Status written = WriteFileAtomically(
        options_.address_file, absl::StrCat(absl::StrJoin(addresses, "\n"), "\n"));
    if (!written.ok()) Stop(absl::StrCat("--address-file: ", std::string(written.message())), 1);
  }

  void Reap() {
    int status = 0;
    for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      const auto child = std::find_if(children_.begin(), children_.end(),
                                      [pid](const Child& one) { return one.pid == pid; });
      if (child == children_.end()) continue;
      ReadOutput(*child);
      child->pid = 0;
      if (child->output >= 0) close(child->output);
      child->output = -1;
      if (stopping_) continue;
      const std::string what = absl::StrCat("worker on ", child->listen, " ", HowItEnded(status));
      // A worker that never listened has a bad flag or address, which a restart does not mend.
      if (!child->listening) {
        return Stop(what, WIFEXITED(status) ? std::max(WEXITSTATUS(status), 1) : 1);
      }
      const Steady::time_point now = Steady::now();
      if (now - child->started > kHealthyAfter) child->backoff = kFirstBackoff;
      Log(absl::StrCat(what, "; starting it again in ", child->backoff.count(), " ms"));
      child->restart_at = now + child->backoff;
      child->backoff = std::min(child->backoff * 2, kLongestBackoff);
    }
  }

  void Stop(const std::string& why, int exit_code) {
    if (!why.empty()) Log(why);
    exit_code_ = std::max(exit_code_, exit_code);
    for (const Child& child : children_) {
      if (child.pid != 0) kill(child.pid, SIGTERM);
    }
    if (!stopping_) kill_at_ = Steady::now() + kGrace;
    stopping_ = true;
  }

  const SupervisorOptions& options_;
  std::vector<Child> children_;
  int signals_ = -1;
  bool stopping_ = false;
  Steady::time_point kill_at_;
  int exit_code_ = 0;
};

}  // namespace

int Supervise(const SupervisorOptions& options) { return Supervisor(options).Run(); }

}  // namespace regatta
