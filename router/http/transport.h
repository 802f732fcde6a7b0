// Transport: the bytes of one connection, plain or TLS, never blocking. Nothing is buffered here,
// so that a connection that waits costs little memory.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <utility>

#include "router/http/asio.h"

namespace regatta {

// What became of a call that moves bytes.
enum class Io {
  kDone,
  kWantRead,   // again when there is something to read
  kWantWrite,  // again when there is room to write
  kEnd,        // the other side sends nothing more
  kBroken,
};

class Transport {
 public:
  // `tls` is null for plain text.
  Transport(Socket socket, SSL_CTX* tls);

  bool is_tls() const { return ssl_ != nullptr; }
  // TLS: until kDone nothing else is called.
  Io Handshake();
  // Reads up to `size` > 0 bytes; `count` of them with kDone.
  Io Read(char* data, size_t size, size_t& count);
  // Writes up to `size` > 0 bytes. After kWant... the same bytes must come again.
  Io Write(const char* data, size_t size, size_t& count);

  // Tells the other side that nothing more comes.
  void EndWriting();
  void Close();
  // Closes such that the other side notices at once, and the system forgets what is unsent.
  void Abort();

  // Call `done` once, with true; false when the transport was closed meanwhile.
  template <typename Done>
  void WhenReadable(Done done) {
    Await(Socket::wait_read, std::move(done));
  }
  template <typename Done>
  void WhenWritable(Done done) {
    Await(Socket::wait_write, std::move(done));
  }

 private:
  template <typename Done>
  void Await(Socket::wait_type what, Done done) {
    socket_.async_wait(what, [done = std::move(done)](error_code error) mutable { done(!error); });
  }
  Io TlsResult(int result) const;

  struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  Socket socket_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
};

}  // namespace regatta
