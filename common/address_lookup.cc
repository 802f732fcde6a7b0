// The resolver on a thread that may outlive the question; see address_lookup.h.
#include "common/address_lookup.h"

#include <sys/socket.h>

#include <optional>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"

namespace regatta {
namespace {

// Shared by who asks and the thread that looks up, whichever is there longer.
struct Lookup {
  absl::Mutex mutex;
  std::optional<int> error ABSL_GUARDED_BY(mutex);  // of getaddrinfo, once it has ended
  AddressList found ABSL_GUARDED_BY(mutex){nullptr, &::freeaddrinfo};

  void Run(const std::string& name, uint32_t port, Resolve resolve) {
    addrinfo hints = {};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* list = nullptr;
    const int code =
        resolve(name.empty() ? nullptr : name.c_str(), std::to_string(port).c_str(), &hints, &list);
    absl::MutexLock lock(&mutex);
    if (code == 0) found.reset(list);
    error = code;
  }
};

}  // namespace

absl::StatusOr<AddressList> LookUpAddress(absl::string_view flag, const std::string& host,
                                          uint32_t port, absl::Duration timeout, Resolve resolve) {
  absl::string_view name = host;
  if (absl::ConsumePrefix(&name, "[")) absl::ConsumeSuffix(&name, "]");
  const auto lookup = std::make_shared<Lookup>();
  std::thread([lookup, name = std::string(name), port, resolve] {
    lookup->Run(name, port, resolve);
  }).detach();
  absl::MutexLock lock(&lookup->mutex);
  const auto ended = [&] { return lookup->error.has_value(); };
  if (!lookup->mutex.AwaitWithTimeout(absl::Condition(&ended), timeout)) {
    return absl::DeadlineExceededError(absl::StrCat(
        flag, ": nobody says within ", absl::FormatDuration(timeout), " which address '", host,
        "' is; give an IP address, or see to this machine's name service"));
  }
  if (*lookup->error != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(flag, ": '", host, "' is unknown: ", ::gai_strerror(*lookup->error)));
  }
  return std::move(lookup->found);
}

}  // namespace regatta
