// Whom a TLS client trusts: one set of rules for every connection of this program.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <string>

#include "absl/status/status.h"

namespace regatta {

// Certificates are verified by the system's authorities (SSL_CERT_FILE and SSL_CERT_DIR as OpenSSL
// has them), or, when `pinned_certificate` names a file, by those in it alone. TLS 1.2 and newer.
// FAILED_PRECONDITION names a file that cannot be read.
absl::Status SetTrust(boost::asio::ssl::context& context, const std::string& pinned_certificate);

// The certificate must be `host`'s, a name or an address, unless one is pinned.
void ExpectHost(SSL* ssl, const std::string& host, bool pinned);

}  // namespace regatta
