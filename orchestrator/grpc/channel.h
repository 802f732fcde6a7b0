// From `--url grpc://HOST:PORT` to a connected gRPC channel.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/credentials.h"

namespace regatta {

// HOST:PORT of a grpc:// URL. INVALID_ARGUMENT names the flag that gave it, the URL and what is
// wrong with it.
absl::StatusOr<std::string> AddressOfUrl(const std::string& url, absl::string_view flag = "--url");

// A channel to host:port, connected within `timeout`; UNAVAILABLE names the address otherwise,
// and says so where HTTP is spoken there. TLS errors as in MakeChannelCredentials.
absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const std::string& address,
                                                       const TlsOptions& tls,
                                                       absl::Duration timeout);

}  // namespace regatta
