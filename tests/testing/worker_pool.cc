// Worker processes of a test; see worker_pool.h.
#include "tests/testing/worker_pool.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/check.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

pid_t StartWorker(const std::string& address_file) {
  std::string program = REGATTA_BIN_DIR "/regatta-worker";
  std::vector<std::string> arguments = {program,       "--device",          "cpu", "--listen",
                                        "127.0.0.1:0", "--threads",         "1",   "--address-file",
                                        address_file,  "--exit-with-parent"};
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    execv(program.c_str(), argv.data());
    _exit(127);
  }
  return pid;
}

std::string AwaitLine(const std::string& path) {
  for (int i = 0; i < 2000; ++i) {
    std::ifstream file(path);
    if (std::string line; std::getline(file, line)) return line;
    absl::SleepFor(absl::Milliseconds(10));
  }
  CHECK(false) << "no " << path;
  return "";
}

}  // namespace

WorkerPool::WorkerPool(int count) {
  TempDir dir;
  for (int i = 0; i < count; ++i) {
    workers_.push_back({StartWorker(dir.File(absl::StrCat("worker", i))), ""});
  }
  for (int i = 0; i < count; ++i) {
    workers_[i].address = AwaitLine(dir.File(absl::StrCat("worker", i)));
  }
}

WorkerPool::~WorkerPool() {
  for (const Process& worker : workers_) {
    kill(worker.pid, SIGKILL);
    waitpid(worker.pid, nullptr, 0);
  }
}

void WorkerPool::Kill(int worker) { kill(workers_[worker].pid, SIGKILL); }

}  // namespace regatta
