// Connection: one client's connection. Reads requests one after another, hands each to its handler,
// and writes what comes of it. All of it happens on one thread.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "router/http/asio.h"
#include "router/http/http_exchange.h"
#include "router/http/io_thread.h"
#include "router/http/request_check.h"
#include "router/http/request_parser.h"
#include "router/http/server_state.h"
#include "router/http/transport.h"

namespace regatta {

class Connection final : public std::enable_shared_from_this<Connection>, private ExchangeOwner {
 public:
  // `peer_ip` has entered the gate; it leaves with the connection.
  Connection(IoThread& thread, ServerState& state, Socket socket, std::string peer_ip,
             std::string peer);

  // Begins to serve; with `refuse`, to say that there are too many connections.
  void Start(bool refuse);

  // OnDeadline is to be called at that time.
  int64_t deadline_ns() const { return deadline_ns_; }
  void OnDeadline(int64_t now_ns);
  // Closes unless a request has begun.
  void CloseIfIdle();
  // Cuts the client off.
  void Abort();

 private:
  enum class Phase {
    kHandshake,
    kRequest,  // reading one, or waiting for it
    kAnswer,   // a handler or the server itself answers
    kLinger,   // all is written; the client may still read it
    kClosed,
  };
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  // connection.cc: bytes in and out.
  void Handshake();
  void OnReadable();
  void OnWritable();
  void Await(Io what);
  void AwaitReadable();
  void AwaitWritable();
  void Read();
  bool IsAhead() const;
  void OnEnd(bool broken);
  bool Write();
  void Linger();
  void Discard();
  void Close(bool abort);
  void SetDeadline(absl::Duration from_now);

  // connection_requests.cc: what the bytes mean.
  void Parse();
  bool ParseOne();
  void OnHeader();
  void OnBodyBytes();
  void OnRequest();
  void Answer(const HttpAnswer& answer);
  void OnExchangeReady() override;
  void Frame(HttpExchange::Taken taken);
  void KeepAlive();
  void FinishAnswer();
  HeadContext Context();
  void AddHead(const HttpAnswer& answer, std::string& out);
  void Refuse(unsigned status, absl::string_view message);

  IoThread& thread_;
  ServerState& state_;
  Transport transport_;
  const std::string peer_ip_;
  const std::string peer_;
  Phase phase_ = Phase::kHandshake;
  int64_t deadline_ns_ = kNever;
  bool awaits_readable_ = false;
  bool awaits_writable_ = false;
  bool end_of_input_ = false;

  std::string input_;      // read, not understood yet
  size_t input_used_ = 0;  // of it
  bool parsing_ = false;

  // Of the request.
  std::unique_ptr<RequestParser> parser_;  // until it is complete
  const HttpHandler* handler_ = nullptr;
  StatusCounts* counts_ = nullptr;  // of its route, once that is known
  std::optional<BodyShare> body_share_;
  int64_t body_start_ns_ = 0;
  std::string request_id_;
  std::string cors_;
  bool http10_ = false;
  bool is_head_ = false;
  bool keep_alive_ = true;

  // Of its answer.
  std::shared_ptr<HttpExchange> exchange_;
  std::string output_;
  size_t output_used_ = 0;
  bool streaming_ = false;
  bool answer_ends_ = false;  // with what is in output_
  size_t discarded_ = 0;      // bytes read since
};

}  // namespace regatta
