// Listener: accepts connections and hands them to threads in turn.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "router/http/io_thread.h"
#include "router/http/server_state.h"

namespace regatta {

class Listener {
 public:
  // Accepts on the first of `threads`.
  Listener(ServerState& state, const std::vector<std::unique_ptr<IoThread>>& threads);

  // Before the threads run. INVALID_ARGUMENT: not host:port; UNAVAILABLE: cannot listen there.
  absl::Status Open(const std::string& address);
  // host:port as bound.
  std::string address() const;
  // From any thread.
  void Close();

 private:
  void Accept();
  void Take(error_code error, Socket socket, IoThread& thread);

  ServerState& state_;
  const std::vector<std::unique_ptr<IoThread>>& threads_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  size_t next_thread_ = 0;
  bool paused_before_ = false;
};

}  // namespace regatta
