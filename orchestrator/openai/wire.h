// Wire: one connection to a server, plain or TLS, on an event loop.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace regatta {

// Where wires lead. Must outlive them.
struct Peer {
  std::string host;  // whose certificate is wanted
  boost::asio::ip::tcp::resolver::results_type endpoints;
  std::unique_ptr<boost::asio::ssl::context> tls;  // null: plain
};

// Handlers run in the loop, never within the call; after Close with an error. One read and one
// write at a time.
class Wire {
 public:
  using Error = boost::system::error_code;
  using Done = std::function<void(Error)>;
  // What came, and when (RealClock) the kernel had the last of it; over TLS when it was read.
  using OnBytes = std::function<void(Error, absl::string_view, int64_t arrived_ns)>;

  Wire(boost::asio::io_context& io, const Peer& peer);

  // Connects, and agrees on TLS.
  void Open(Done done);
  // `bytes` must stay until `done`.
  void Write(absl::string_view bytes, Done done);
  // What has come, once something has. The bytes are valid within the call; times never go back.
  void Read(OnBytes on_bytes);
  void Close();

  int64_t idle_since_ns = 0;  // for the owner

 private:
  using Socket = boost::asio::ip::tcp::socket;

  void ReadPlain(OnBytes on_bytes);

  const Peer& peer_;
  Socket socket_;
  std::optional<boost::asio::ssl::stream<Socket&>> tls_;
  int64_t arrived_ns_ = 0;  // of what was read last
  bool full_ = false;       // that filled the buffer
  std::array<char, 16 << 10> buffer_;
};

}  // namespace regatta
