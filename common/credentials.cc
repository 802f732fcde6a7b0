// gRPC credentials from the TLS flags; see credentials.h.
#include "common/credentials.h"

#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

absl::StatusOr<std::string> ReadPem(const char* flag, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat(flag, ": cannot read '", path, "'"));
  std::ostringstream text;
  text << file.rdbuf();
  if (!absl::StrContains(text.str(), "-----BEGIN ")) {
    return absl::InvalidArgumentError(absl::StrCat(flag, ": '", path, "' is not a PEM file"));
  }
  return text.str();
}

absl::Status CheckPlaintextAllowed(const TlsOptions& tls, const std::string& address) {
  if (tls.insecure || IsLoopback(address)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("plaintext gRPC on '", address,
                   "' is refused off loopback: give --tls-cert, --tls-key and --tls-ca "
                   "(`regatta certs init DIR` makes a test authority), or --insecure"));
}

absl::Status CheckPair(const TlsOptions& tls) {
  if (tls.cert.empty() == tls.key.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("--tls-cert and --tls-key must be given together");
}

}  // namespace

bool IsLoopback(const std::string& address) {
  return absl::StartsWith(address, "127.") || absl::StartsWith(address, "localhost:") ||
         absl::StartsWith(address, "[::1]") || absl::StartsWith(address, "unix:");
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const TlsOptions& tls, const std::string& address) {
  if (!tls.enabled()) {
    RETURN_IF_ERROR(CheckPlaintextAllowed(tls, address));
    return grpc::InsecureServerCredentials();
  }
  RETURN_IF_ERROR(CheckPair(tls));
  if (tls.cert.empty()) {
    return absl::InvalidArgumentError("a TLS server needs --tls-cert and --tls-key");
  }
  // Without an authority anybody could call: the gRPC ports are for members of the cluster only.
  if (tls.ca.empty()) {
    return absl::InvalidArgumentError("a TLS server needs --tls-ca to check its clients");
  }
  grpc::SslServerCredentialsOptions options(
      GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  grpc::SslServerCredentialsOptions::PemKeyCertPair pair;
  ASSIGN_OR_RETURN(pair.private_key, ReadPem("--tls-key", tls.key));
  ASSIGN_OR_RETURN(pair.cert_chain, ReadPem("--tls-cert", tls.cert));
  ASSIGN_OR_RETURN(options.pem_root_certs, ReadPem("--tls-ca", tls.ca));
  options.pem_key_cert_pairs.push_back(std::move(pair));
  return grpc::SslServerCredentials(options);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(
    const TlsOptions& tls, const std::string& address) {
  if (!tls.enabled()) {
    RETURN_IF_ERROR(CheckPlaintextAllowed(tls, address));
    return grpc::InsecureChannelCredentials();
  }
  RETURN_IF_ERROR(CheckPair(tls));
  grpc::SslCredentialsOptions options;
  if (!tls.ca.empty()) {
    ASSIGN_OR_RETURN(options.pem_root_certs, ReadPem("--tls-ca", tls.ca));
  }
  if (!tls.cert.empty()) {
    ASSIGN_OR_RETURN(options.pem_cert_chain, ReadPem("--tls-cert", tls.cert));
    ASSIGN_OR_RETURN(options.pem_private_key, ReadPem("--tls-key", tls.key));
  }
  return grpc::SslCredentials(options);
}

}  // namespace regatta
