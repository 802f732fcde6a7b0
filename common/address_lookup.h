// Looking up an address with a deadline: the system's resolver has none of ours.
#pragma once

#include <netdb.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace regatta {

using AddressList = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;
using Resolve = int (*)(const char*, const char*, const addrinfo*, addrinfo**);  // getaddrinfo

// The addresses of `host` (a name or an IP address, in brackets or not; empty = every one, to
// listen at) with `port`; at least one. INVALID_ARGUMENT: there is no such host; DEADLINE_EXCEEDED:
// nobody has said within `timeout`. Errors name `flag`, where the host was given. A lookup that is
// given up ends by itself, on a thread apart.
absl::StatusOr<AddressList> LookUpAddress(absl::string_view flag, const std::string& host,
                                          uint32_t port, absl::Duration timeout,
                                          Resolve resolve = &::getaddrinfo);

}  // namespace regatta
