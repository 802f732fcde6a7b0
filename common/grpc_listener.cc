// gRPC tells why it cannot listen in a log line alone; see grpc_listener.h.
#include "common/grpc_listener.h"

#include <grpc/support/log.h>

#include <utility>

#include "absl/base/attributes.h"
#include "absl/base/const_init.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace regatta {
namespace {

ABSL_CONST_INIT absl::Mutex kept_mutex(absl::kConstInit);
std::string& KeptLines() {
  static auto* lines = new std::string;
  return *lines;
}

void KeepLine(gpr_log_func_args* line) {
  const absl::MutexLock lock(&kept_mutex);
  absl::StrAppend(&KeptLines(), line->message, "\n");
}

// ": Address already in use" of a line that says os_error:"Address already in use"; else "".
std::string CauseIn(absl::string_view lines) {
  constexpr absl::string_view kName = "os_error:\"";
  const size_t found = lines.find(kName);
  if (found == lines.npos) return "";
  const absl::string_view cause = lines.substr(found + kName.size());
  return absl::StrCat(": ", cause.substr(0, cause.find('"')));
}

}  // namespace

absl::StatusOr<std::unique_ptr<grpc::Server>> StartListening(grpc::ServerBuilder& builder,
                                                             const std::string& address,
                                                             const int& port) {
  gpr_set_log_function(KeepLine);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  gpr_set_log_function(nullptr);  // gRPC's own
  const absl::MutexLock lock(&kept_mutex);
  const std::string lines = std::move(KeptLines());
  KeptLines().clear();
  if (server != nullptr && port != 0) return server;
  return absl::UnavailableError(
      absl::StrCat("--listen: cannot listen on '", address, "'", CauseIn(lines)));
}

}  // namespace regatta
