// IoThread: one thread, its event loop and its connections, which nobody else touches.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/random/random.h"
#include "common/clock.h"
#include "router/http/asio.h"
#include "router/http/mailbox.h"

namespace regatta {

class Connection;

class IoThread {
 public:
  static constexpr size_t kReadBytes = 64 << 10;

  IoThread();
  ~IoThread();

  void Start();
  // Aborts all connections, then ends the thread.
  void Stop();

  asio::io_context& context() { return context_; }
  // From any thread; ignored once stopped.
  template <typename Task>
  void Post(Task task) {
    asio::post(context_, std::move(task));
  }
  // Closes connections that are between two requests.
  void CloseIdle();

  // The rest is for the thread itself.
  // Owns the connection until Remove, and then until what the thread is doing is over.
  void Add(std::shared_ptr<Connection> connection);
  void Remove(std::shared_ptr<Connection> connection);
  const std::shared_ptr<Mailbox>& mailbox() const { return mailbox_; }
  int64_t NowNs() const { return clock_.NowNs(); }
  // Where connections read to before they look at it: kReadBytes long.
  char* read_buffer() { return read_buffer_.get(); }
  // Now, as in the header `date`.
  const std::string& Date();
  std::string NewRequestId();

 private:
  void ServeMailbox();
  void ArmTimer();
  void Tick();

  const RealClock clock_;
  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  asio::basic_waitable_timer<std::chrono::steady_clock> timer_;
  bool timer_armed_ = false;
  const std::shared_ptr<Mailbox> mailbox_;
  std::vector<std::shared_ptr<HttpExchange>> mail_;  // being served
  absl::flat_hash_set<std::shared_ptr<Connection>> connections_;
  const std::unique_ptr<char[]> read_buffer_;
  int64_t date_s_ = 0;  // of date_
  std::string date_;
  absl::BitGen random_;
  std::thread thread_;
};

}  // namespace regatta
