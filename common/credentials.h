// TLS on every gRPC hop: one set of flags for all three programs. Plaintext is allowed on loopback,
// elsewhere only with --insecure.
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace regatta {

// PEM files. All empty = plaintext. With `ca`, servers demand client certificates signed by it
// (mTLS) and clients verify servers.
struct TlsOptions {
  std::string cert;
  std::string key;
  std::string ca;
  bool insecure = false;  // allow plaintext off loopback
  bool enabled() const { return !cert.empty() || !key.empty() || !ca.empty(); }
};

// Errors: NOT_FOUND (file, with its flag), INVALID_ARGUMENT (incomplete set, a key of another
// certificate), FAILED_PRECONDITION (plaintext off loopback). `address` is host:port as bound or
// dialled.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const TlsOptions& tls, const std::string& address);
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(
    const TlsOptions& tls, const std::string& address);

// INVALID_ARGUMENT names `flag` where `address` is not host:port with a port of `least_port` to
// 65535: gRPC takes a port modulo 65536, and one of its own where there is none.
absl::Status CheckAddress(const std::string& flag, const std::string& address, uint32_t least_port);

// True for 127.0.0.0/8, [::1], localhost and unix: addresses.
bool IsLoopback(const std::string& address);

}  // namespace regatta
