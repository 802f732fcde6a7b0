// Spawns, waits, reads /proc; see router_process.h.
#include "tests/bench/router_process.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/check.h"

namespace regatta {
namespace {

std::string AwaitWord(const std::string& path) {
  std::string word;
  for (int i = 0; i < 200 && word.empty(); ++i) {
    absl::SleepFor(absl::Milliseconds(50));
    std::ifstream(path) >> word;
  }
  CHECK(!word.empty()) << "the router did not start";
  return word;
}

}  // namespace

RouterProcess::RouterProcess(const std::string& worker, const std::vector<std::string>& more) {
  static int routers = 0;
  directory_ = std::filesystem::temp_directory_path() /
               absl::StrCat("router-bench-", getpid(), "-", routers++);
  std::filesystem::create_directory(directory_);
  const std::string address_file = directory_ / "address", http_file = directory_ / "http";
  std::vector<std::string> arguments = {REGATTA_BIN_DIR "/regatta-router",
                                        "--model=" REGATTA_SOURCE_DIR "/tests/models/regatta-dense",
                                        "--workers=" + worker,
                                        "--listen=127.0.0.1:0",
                                        "--address-file=" + address_file,
                                        "--http=127.0.0.1:0",
                                        "--http-address-file=" + http_file,
                                        "--drain-timeout=0",
                                        "--exit-with-parent"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  CHECK_EQ(posix_spawn(&pid_, argv[0], nullptr, nullptr, argv.data(), environ), 0);
  address_ = AwaitWord(address_file);
  http_address_ = AwaitWord(http_file);
}

RouterProcess::~RouterProcess() {
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
  std::filesystem::remove_all(directory_);
}

double RouterProcess::ResidentMb() const {
  std::ifstream statm(absl::StrCat("/proc/", pid_, "/statm"));
  uint64_t total = 0, resident = 0;
  statm >> total >> resident;
  return static_cast<double>(resident * sysconf(_SC_PAGESIZE)) / 1e6;
}

double RouterProcess::CpuSeconds() const {
  clockid_t clock;
  CHECK_EQ(clock_getcpuclockid(pid_, &clock), 0);
  timespec time;
  CHECK_EQ(clock_gettime(clock, &time), 0);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace regatta
