// Server side TLS contexts; see server_tls.h.
#include "common/edge/server_tls.h"

#include <openssl/err.h>

#include "absl/strings/str_cat.h"
#include "common/check.h"

namespace regatta {
namespace {

// OpenSSL's oldest complaint of this thread; forgets all of them.
std::string OpenSslError() {
  const unsigned long code = ERR_get_error();  // NOLINT: OpenSSL's type.
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(code);
  return reason == nullptr ? "cannot be read" : reason;
}

// HTTP/1.1 is all that is spoken here; clients that offer it hear that it was chosen.
int ChooseProtocol(SSL*, const unsigned char** out, unsigned char* out_length,
                   const unsigned char* in, unsigned in_length, void*) {
  static constexpr unsigned char kOurs[] = "\x08http/1.1";
  const int result = SSL_select_next_proto(const_cast<unsigned char**>(out), out_length, kOurs,
                                           sizeof kOurs - 1, in, in_length);
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

}  // namespace

absl::StatusOr<std::shared_ptr<SSL_CTX>> LoadServerTls(const std::string& cert,
                                                       const std::string& key) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  CHECK(context != nullptr) << OpenSslError();
  ERR_clear_error();
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Idle connections keep no buffers; a write may be repeated from where its bytes have moved to.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_alpn_select_cb(context.get(), ChooseProtocol, nullptr);
  if (SSL_CTX_use_certificate_chain_file(context.get(), cert.c_str()) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("--http-tls-cert: '", cert, "': ", OpenSslError()));
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("--http-tls-key: '", key, "': ", OpenSslError()));
  }
  return context;
}

}  // namespace regatta
