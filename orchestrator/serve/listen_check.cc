// One bind, undone at once; see listen_check.h.
#include "orchestrator/serve/listen_check.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/address_lookup.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

constexpr absl::Duration kLookupTimeout = absl::Seconds(5);

absl::Status Explain(int error, const std::string& host, uint32_t port) {
  const std::string address = absl::StrCat(host, ":", port);
  switch (error) {
    case 0:
      return absl::OkStatus();
    case EADDRINUSE:
      return absl::UnavailableError(absl::StrCat(
          "--port: another program listens on ", address, " (ss -ltnp 'sport = :", port,
          "' shows which); give another port, or 0 for any free one"));
    case EADDRNOTAVAIL:
      return absl::InvalidArgumentError(
          absl::StrCat("--host: '", host, "' is no address of this machine; 0.0.0.0 = all of its"));
    case EACCES:
      return absl::PermissionDeniedError(
          absl::StrCat("--port: ", port, " is the superuser's; give one from 1024 on"));
    default:
      return absl::UnavailableError(
          absl::StrCat("--host, --port: cannot listen on ", address, ": ", std::strerror(error)));
  }
}

// The errno of listening there as a server does that starts again soon; 0 = it can.
int ListenError(const addrinfo& address) {
  const int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const bool can = ::bind(fd, address.ai_addr, address.ai_addrlen) == 0 && ::listen(fd, 1) == 0;
  const int error = can ? 0 : errno;
  ::close(fd);
  return error;
}

}  // namespace

absl::Status CheckListenAddress(const std::string& host, uint32_t port) {
  ASSIGN_OR_RETURN(const AddressList found, LookUpAddress("--host", host, port, kLookupTimeout));
  return Explain(ListenError(*found), host, port);  // the first one, as the router takes it
}

}  // namespace regatta
