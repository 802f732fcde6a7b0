// Asio's operations; see wire.h.
#include "orchestrator/openai/wire.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <utility>

#include "orchestrator/http/tls_trust.h"

namespace regatta {

namespace asio = boost::asio;

Wire::Wire(asio::io_context& io, const Peer& peer) : peer_(peer), socket_(io) {}

void Wire::Open(Done done) {
  asio::async_connect(
      socket_, peer_.endpoints,
      [this, done = std::move(done)](Error error, const asio::ip::tcp::endpoint&) mutable {
        if (error) return done(error);
        socket_.set_option(asio::ip::tcp::no_delay(true), error);
        if (peer_.tls == nullptr) return done(error);
        tls_.emplace(socket_, *peer_.tls);
        ExpectHost(tls_->native_handle(), peer_.host, /*pinned=*/false);
        tls_->async_handshake(asio::ssl::stream_base::client, std::move(done));
      });
}

void Wire::Write(absl::string_view bytes, Done done) {
  const auto handler = [done = std::move(done)](Error error, size_t) { done(error); };
  const asio::const_buffer buffer(bytes.data(), bytes.size());
  if (tls_) {
    asio::async_write(*tls_, buffer, handler);
  } else {
    asio::async_write(socket_, buffer, handler);
  }
}

void Wire::Read(OnBytes on_bytes) {
  auto handler = [this, on_bytes = std::move(on_bytes)](Error error, size_t size) {
    on_bytes(error, absl::string_view(buffer_.data(), size));
  };
  if (tls_) {
    tls_->async_read_some(asio::buffer(buffer_), std::move(handler));
  } else {
    socket_.async_read_some(asio::buffer(buffer_), std::move(handler));
  }
}

void Wire::Close() {
  Error ignored;
  socket_.close(ignored);
}

}  // namespace regatta
