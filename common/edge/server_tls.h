// TLS of the HTTP edge: certificates for servers, TLS 1.2 and newer.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace regatta {

// Reads a PEM certificate chain and its key. INVALID_ARGUMENT names the flag and OpenSSL's reason.
absl::StatusOr<std::shared_ptr<SSL_CTX>> LoadServerTls(const std::string& cert,
                                                       const std::string& key);

}  // namespace regatta
