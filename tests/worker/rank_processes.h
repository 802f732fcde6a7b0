// Runs one process per rank, as in production, and collects what each has to say. Test-only.
#pragma once

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/check.h"

namespace regatta {

// Forks `count` children that run body(rank) and returns their strings by rank; "died" for one that
// was killed. Children that outlive `timeout` are killed. Dead ones stay zombies until all have
// ended, as under a parent that does not wait.
inline std::vector<std::string> RunRanks(int count, absl::FunctionRef<std::string(int)> body,
                                         absl::Duration timeout = absl::Seconds(60)) {
  struct Child {
    pid_t pid;
    int pipe;
  };
  std::vector<Child> children;
  for (int rank = 0; rank < count; ++rank) {
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    const pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0) {
      close(ends[0]);
      const std::string said = body(rank);
      CHECK_EQ(write(ends[1], said.data(), said.size()), static_cast<ssize_t>(said.size()));
      _exit(0);
    }
    close(ends[1]);
    children.push_back({pid, ends[0]});
  }
  const absl::Time deadline = absl::Now() + timeout;
  std::vector<std::string> said(count);
  for (int rank = 0; rank < count; ++rank) {
    const Child& child = children[rank];
    while (true) {
      pollfd waiting = {child.pipe, POLLIN, 0};
      const int64_t left_ms =
          std::max<int64_t>(0, absl::ToInt64Milliseconds(deadline - absl::Now()));
      if (poll(&waiting, 1, static_cast<int>(left_ms)) == 0) {
        kill(child.pid, SIGKILL);
        said[rank] = "timed out";
        break;
      }
      char buffer[4096];
      const ssize_t n = read(child.pipe, buffer, sizeof(buffer));
      if (n <= 0) break;
      said[rank].append(buffer, n);
    }
    close(child.pipe);
  }
  for (int rank = 0; rank < count; ++rank) {
    int status = 0;
    waitpid(children[rank].pid, &status, 0);
    if (said[rank] != "timed out" && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
      said[rank] = "died";
    }
  }
  return said;
}

}  // namespace regatta
