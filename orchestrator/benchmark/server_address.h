// Which server a target is, however it is spelled: runs of one server wait for one another.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "common/address_lookup.h"

namespace regatta {

// "127.0.0.1:8000" for grpc://localhost:8000 and for http://127.0.0.1:8000/v1 alike: the smallest
// address of the host, IPv4 before IPv6, all of loopback as one. A name of which the resolver says
// nothing within `timeout` stands for itself, as does what is no URL.
std::string ServerAddress(const std::string& target, absl::Duration timeout = absl::Seconds(2),
                          Resolve resolve = &::getaddrinfo);

}  // namespace regatta
