// RawClient: a socket that says exactly what a test wants, and waits no longer than a few seconds.
#pragma once

#include <openssl/ssl.h>

#include <map>
#include <memory>
#include <string>

#include "absl/time/time.h"

namespace regatta {

struct RawResponse {
  int status = 0;                              // 0: the connection ended, or nothing came in time
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // without chunk framing
  std::string error;                           // why it is not a proper response
};

class RawClient {
 public:
  // `address` is host:port. With `receive_buffer`, the kernel keeps about so many unread bytes.
  explicit RawClient(const std::string& address, int receive_buffer = 0);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  // Speaks TLS from now on; false when the handshake failed.
  bool StartTls();
  // Of the server's certificate; after StartTls.
  std::string CertificateName() const;
  std::string TlsVersion() const;

  // False when the server has closed.
  bool Send(const std::string& bytes);
  // Reads until `marker` is there; everything up to it and with it. Without the marker: what came
  // until the end or the deadline.
  std::string ReadUntil(const std::string& marker, absl::Duration wait = absl::Seconds(5));
  // One response. `head` = to a HEAD request.
  RawResponse ReadResponse(bool head = false);
  // Sends and reads one.
  RawResponse Ask(const std::string& bytes, bool head = false);
  // What comes until the server closes; `closed` tells whether it did.
  std::string ReadAll(bool& closed, absl::Duration wait = absl::Seconds(5));
  // The server closes, or resets, before anything else comes.
  bool IsClosed(absl::Duration wait = absl::Seconds(5));

  void EndWriting();
  void Close();
  void Reset();
  int handle() const { return socket_; }

 private:
  enum class Input { kData, kEnd, kNothing };
  Input Receive(absl::Time deadline);
  std::string ReadChunks(std::string& error);
  bool Have(size_t bytes, absl::Time deadline);

  struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  int socket_ = -1;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  std::string input_;  // received, not read
};

// A GET request of HTTP/1.1.
std::string Get(const std::string& path, const std::string& more_headers = "");
// A POST request with a body.
std::string Post(const std::string& path, const std::string& body,
                 const std::string& more_headers = "");

}  // namespace regatta
