// gRPC credentials from the TLS flags; see credentials.h.
#include "common/credentials.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <fstream>
#include <memory>
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

std::unique_ptr<BIO, int (*)(BIO*)> Memory(const std::string& pem) {
  return {BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free};
}

// Keys that ask for a password are refused: nobody is there to type it.
int NoPassword(char*, int, int, void*) { return 0; }

// gRPC says of a key that is not the certificate's only that it cannot listen.
absl::Status CheckKey(const TlsOptions& tls, const std::string& cert_pem,
                      const std::string& key_pem) {
  const std::unique_ptr<X509, void (*)(X509*)> cert(
      PEM_read_bio_X509(Memory(cert_pem).get(), nullptr, NoPassword, nullptr), X509_free);
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(
      PEM_read_bio_PrivateKey(Memory(key_pem).get(), nullptr, NoPassword, nullptr), EVP_PKEY_free);
  const bool match = cert && key && X509_check_private_key(cert.get(), key.get()) == 1;
  ERR_clear_error();  // what is said here; gRPC would find it in this thread
  if (!cert) {
    return absl::InvalidArgumentError(
        absl::StrCat("--tls-cert: '", tls.cert, "' holds no certificate that can be read"));
  }
  if (!key) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--tls-key: '", tls.key, "' holds no private key that can be read without a password"));
  }
  if (match) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "--tls-key: '", tls.key, "' is not the key of the certificate '", tls.cert, "', --tls-cert"));
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

absl::Status CheckAddress(const std::string& flag, const std::string& address,
                          uint32_t least_port) {
  uint32_t port = 0;
  const size_t colon = address.rfind(':');
  if (colon != std::string::npos && absl::SimpleAtoi(address.substr(colon + 1), &port) &&
      port >= least_port && port <= 65535) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      flag, ": '", address, "' is not host:port with a port of ", least_port, " to 65535"));
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const TlsOptions& tls, const std::string& address) {
  if (!absl::StartsWith(address, "unix:")) RETURN_IF_ERROR(CheckAddress("--listen", address, 0));
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
  RETURN_IF_ERROR(CheckKey(tls, pair.cert_chain, pair.private_key));
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
    RETURN_IF_ERROR(CheckKey(tls, options.pem_cert_chain, options.pem_private_key));
  }
  return grpc::SslCredentials(options);
}

}  // namespace regatta
