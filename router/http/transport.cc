// Non-blocking bytes; see transport.h.
#include "router/http/transport.h"

#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <cerrno>

#include "common/check.h"

namespace regatta {
namespace {

// What may wait in the kernel of one connection; more waits with us, where it is counted.
constexpr int kMaxUnsentBytes = 256 << 10;
// A peer that vanished without a word is noticed after about two minutes.
constexpr int kProbeAfterSeconds = 60;
constexpr int kProbeIntervalSeconds = 15;
constexpr int kProbes = 4;

void SetOption(int socket, int level, int name, int value) {
  // Best effort: a connection without one of these works.
  (void)setsockopt(socket, level, name, &value, sizeof value);
}

Io ErrnoResult() {
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return Io::kWantWrite;
  return Io::kBroken;
}

}  // namespace

Transport::Transport(Socket socket, SSL_CTX* tls) : socket_(std::move(socket)) {
  const int handle = socket_.native_handle();
  SetOption(handle, IPPROTO_TCP, TCP_NODELAY, 1);
  SetOption(handle, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kMaxUnsentBytes);
  SetOption(handle, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetOption(handle, IPPROTO_TCP, TCP_KEEPIDLE, kProbeAfterSeconds);
  SetOption(handle, IPPROTO_TCP, TCP_KEEPINTVL, kProbeIntervalSeconds);
  SetOption(handle, IPPROTO_TCP, TCP_KEEPCNT, kProbes);
  error_code ignored;  // A socket that is broken already fails at its first read.
  socket_.native_non_blocking(true, ignored);
  if (tls == nullptr) return;
  ssl_.reset(SSL_new(tls));
  CHECK(ssl_ != nullptr && SSL_set_fd(ssl_.get(), handle) == 1);
  SSL_set_accept_state(ssl_.get());
}

Io Transport::TlsResult(int result) const {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return Io::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return Io::kWantWrite;
    case SSL_ERROR_ZERO_RETURN:
      return Io::kEnd;
    default:
      return Io::kBroken;
  }
}

Io Transport::Handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  return result == 1 ? Io::kDone : TlsResult(result);
}

Io Transport::Read(char* data, size_t size, size_t& count) {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    const int result = SSL_read_ex(ssl_.get(), data, size, &count);
    return result == 1 ? Io::kDone : TlsResult(result);
  }
  const ssize_t result = recv(socket_.native_handle(), data, size, MSG_DONTWAIT);
  if (result == 0) return Io::kEnd;
  if (result < 0) return ErrnoResult() == Io::kWantWrite ? Io::kWantRead : Io::kBroken;
  count = static_cast<size_t>(result);
  return Io::kDone;
}

Io Transport::Write(const char* data, size_t size, size_t& count) {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    const int result = SSL_write_ex(ssl_.get(), data, size, &count);
    return result == 1 ? Io::kDone : TlsResult(result);
  }
  const ssize_t result = send(socket_.native_handle(), data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (result < 0) return ErrnoResult();
  count = static_cast<size_t>(result);
  return Io::kDone;
}

void Transport::EndWriting() {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
  }
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
}

void Transport::Close() {
  error_code ignored;
  socket_.close(ignored);
}

void Transport::Abort() {
  error_code ignored;
  socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  socket_.close(ignored);
}

}  // namespace regatta
