// Asio's operations; see wire.h.
#include "orchestrator/openai/wire.h"

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <utility>

#include "common/clock.h"
#include "orchestrator/http/tls_trust.h"
#include "orchestrator/openai/arrival_time.h"

namespace regatta {

namespace asio = boost::asio;

Wire::Wire(asio::io_context& io, const Peer& peer) : peer_(peer), socket_(io) {}

void Wire::Open(Done done) {
  asio::async_connect(
      socket_, peer_.endpoints,
      [this, done = std::move(done)](Error error, const asio::ip::tcp::endpoint&) mutable {
        if (error) return done(error);
        socket_.set_option(asio::ip::tcp::no_delay(true), error);
        AskForArrivalTimes(socket_.native_handle());
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
  if (!tls_) return ReadPlain(std::move(on_bytes));
  tls_->async_read_some(
      asio::buffer(buffer_), [this, on_bytes = std::move(on_bytes)](Error error, size_t size) {
        on_bytes(error, absl::string_view(buffer_.data(), size), RealClock().NowNs());
      });
}

// By hand, for the time of arrival. Where the last read left no room there is more: no need to
// wait.
void Wire::ReadPlain(OnBytes on_bytes) {
  auto read = [this, on_bytes = std::move(on_bytes)](Error error = Error()) {
    if (error) return on_bytes(error, "", RealClock().NowNs());
    const Arrival arrival =
        ReceiveWithTime(socket_.native_handle(), buffer_.data(), buffer_.size());
    full_ = arrival.size == buffer_.size();
    if (arrival.error == EAGAIN || arrival.error == EINTR) return ReadPlain(on_bytes);
    if (arrival.error != 0) error = Error(arrival.error, boost::system::system_category());
    if (arrival.error == 0 && arrival.size == 0) error = asio::error::eof;
    arrived_ns_ = std::max(arrived_ns_, arrival.at_ns);
    on_bytes(error, absl::string_view(buffer_.data(), arrival.size), arrived_ns_);
  };
  if (full_) {
    asio::post(socket_.get_executor(), std::move(read));
  } else {
    socket_.async_wait(Socket::wait_read, std::move(read));
  }
}

void Wire::Close() {
  Error ignored;
  socket_.close(ignored);
}

}  // namespace regatta
