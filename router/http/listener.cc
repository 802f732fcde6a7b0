// Accepting; see listener.h.
#include "router/http/listener.h"

#include <boost/asio/ip/v6_only.hpp>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/address_lookup.h"
#include "common/status_macros.h"
#include "router/http/connection.h"

namespace regatta {
namespace {

// Without descriptors or memory accepting fails at once, again and again.
constexpr std::chrono::milliseconds kPauseAfterError{100};
constexpr absl::Duration kLookupTimeout = absl::Seconds(10);

std::string ToString(const tcp::endpoint& endpoint) {
  const std::string ip = endpoint.address().to_string();
  return endpoint.address().is_v6() ? absl::StrCat("[", ip, "]:", endpoint.port())
                                    : absl::StrCat(ip, ":", endpoint.port());
}

// The first of the addresses that `address`, the value of --http, names.
absl::StatusOr<tcp::endpoint> ListenEndpoint(const std::string& address) {
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port) ||
      port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("--http: '", address, "' is not host:port with a port of 0 to 65535"));
  }
  ASSIGN_OR_RETURN(const AddressList found,
                   LookUpAddress("--http", address.substr(0, colon), port, kLookupTimeout));
  tcp::endpoint endpoint;
  endpoint.resize(found->ai_addrlen);
  std::memcpy(endpoint.data(), found->ai_addr, found->ai_addrlen);
  return endpoint;
}

}  // namespace

Listener::Listener(ServerState& state, const std::vector<std::unique_ptr<IoThread>>& threads)
    : state_(state),
      threads_(threads),
      acceptor_(threads.front()->context()),
      pause_(threads.front()->context()) {}

absl::Status Listener::Open(const std::string& address) {
  ASSIGN_OR_RETURN(const tcp::endpoint endpoint, ListenEndpoint(address));
  error_code error;
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && endpoint.address().is_v6()) {
    acceptor_.set_option(asio::ip::v6_only(false), error);
  }
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", address, ": ", error.message()));
  }
  Accept();
  return absl::OkStatus();
}

std::string Listener::address() const {
  error_code error;
  return ToString(acceptor_.local_endpoint(error));
}

void Listener::Close() {
  threads_.front()->Post([this] {
    error_code ignored;
    acceptor_.close(ignored);
  });
}

void Listener::Accept() {
  IoThread& thread = *threads_[next_thread_];
  next_thread_ = (next_thread_ + 1) % threads_.size();
  acceptor_.async_accept(thread.context(), [this, &thread](error_code error, Socket socket) {
    Take(error, std::move(socket), thread);
  });
}

void Listener::Take(error_code error, Socket socket, IoThread& thread) {
  if (!acceptor_.is_open()) return;
  if (error && error != asio::error::connection_aborted) {
    if (!std::exchange(paused_before_, true)) {
      state_.Log(absl::StrCat("connections cannot be accepted: ", error.message()));
    }
    pause_.expires_after(kPauseAfterError);
    pause_.async_wait([this](error_code) {
      if (acceptor_.is_open()) Accept();
    });
    return;
  }
  paused_before_ = false;
  error_code gone;
  const tcp::endpoint peer = socket.remote_endpoint(gone);
  if (!error && !gone) {
    std::string ip = peer.address().to_string();
    const ConnectionGate::Verdict verdict = state_.gate.Enter(ip);
    if (verdict != ConnectionGate::Verdict::kDrop) {
      const bool refuse = verdict == ConnectionGate::Verdict::kRefuse;
      thread.Post([&thread, &state = state_, socket = std::move(socket), ip = std::move(ip),
                   peer = ToString(peer), refuse]() mutable {
        std::make_shared<Connection>(thread, state, std::move(socket), std::move(ip),
                                     std::move(peer))
            ->Start(refuse);
      });
    }
  }
  Accept();
}

}  // namespace regatta
