// OpenSSL's settings; see tls_trust.h.
#include "orchestrator/http/tls_trust.h"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <boost/asio/ip/address.hpp>

#include "absl/strings/str_cat.h"

namespace regatta {
namespace {

bool IsIpAddress(const std::string& host) {
  boost::system::error_code error;
  boost::asio::ip::make_address(host, error);
  return !error;
}

}  // namespace

absl::Status SetTrust(boost::asio::ssl::context& context, const std::string& pinned_certificate) {
  boost::system::error_code error;
  if (pinned_certificate.empty()) {
    context.set_default_verify_paths(error);
  } else {
    context.load_verify_file(pinned_certificate, error);
  }
  if (error) {
    const std::string what = pinned_certificate.empty()
                                 ? "the system's authorities"
                                 : absl::StrCat("certificate '", pinned_certificate, "'");
    return absl::FailedPreconditionError(absl::StrCat("cannot read ", what, ": ", error.message()));
  }
  context.set_verify_mode(boost::asio::ssl::verify_peer, error);
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  return absl::OkStatus();
}

void ExpectHost(SSL* ssl, const std::string& host, bool pinned) {
  const bool is_address = IsIpAddress(host);
  if (!is_address) SSL_set_tlsext_host_name(ssl, host.c_str());
  if (pinned) {
    // The certificate itself may be what is trusted, not only who signed it.
    X509_VERIFY_PARAM_set_flags(SSL_get0_param(ssl), X509_V_FLAG_PARTIAL_CHAIN);
  } else if (is_address) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
  } else {
    SSL_set1_host(ssl, host.c_str());
  }
}

}  // namespace regatta
