// The soft limit follows the hard one; see connection_limit.h.
#include "orchestrator/http/connection_limit.h"

#include <sys/resource.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace regatta {

absl::Status AllowConnections(uint64_t connections) {
  constexpr uint64_t kOtherFiles = 256;
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return absl::InternalError(absl::StrCat("getrlimit: ", std::strerror(errno)));
  }
  const uint64_t wanted = connections + kOtherFiles;
  if (limit.rlim_cur >= wanted) return absl::OkStatus();
  if (limit.rlim_max < wanted) {
    return absl::ResourceExhaustedError(absl::StrCat(connections, " connections at once need ",
                                                     wanted, " open files, this process may have ",
                                                     limit.rlim_max, " (ulimit -Hn)"));
  }
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("setrlimit: ", std::strerror(errno)));
}

}  // namespace regatta
