// One event loop for all connections; see null_http_server.h.
#include "orchestrator/openai/null_http_server.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/clock.h"

namespace regatta {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Error = boost::system::error_code;
using tcp = asio::ip::tcp;

constexpr uint32_t kEventsPerTurn = 4096;
constexpr char kStreamHead[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
constexpr char kStreamEnd[] = "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";

std::string WholeAnswer(absl::string_view status, absl::string_view body) {
  return absl::StrCat("HTTP/1.1 ", status,
                      "\r\nContent-Type: application/json\r\nContent-Length: ", body.size(),
                      "\r\n\r\n", body);
}

// What the engine must know of a body: how long prompt and answer are.
GenerateRequest RequestOf(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  GenerateRequest request;
  request.set_max_tokens(16);
  if (!json.is_object()) return request;
  const auto tokens = json.find("max_tokens");
  if (tokens != json.end() && tokens->is_number_unsigned()) {
    request.set_max_tokens(tokens->get<uint32_t>());
  }
  const auto prompt = json.find("prompt");
  if (prompt != json.end() && prompt->is_array()) {
    request.mutable_token_ids()->mutable_ids()->Resize(static_cast<int>(prompt->size()), 0);
  }
  return request;
}

}  // namespace

class NullHttpServer::Loop {
 public:
  explicit Loop(const NullTiming& timing) : engine_(timing) {}

  absl::Status Listen(const std::string& address);
  void Run() {
    Accept();
    thread_ = std::thread([this] { io_.run(); });
  }
  ~Loop() {
    io_.stop();
    if (thread_.joinable()) thread_.join();
  }
  const std::string& address() const { return address_; }

 private:
  // A client: reads a request, streams its answer, reads the next.
  struct Connection {
    explicit Connection(tcp::socket s) : socket(std::move(s)) {}
    tcp::socket socket;
    boost::beast::flat_buffer buffer;
    http::request<http::string_body> request;
    bool chat = false;
    uint32_t prompt_tokens = 0, output_tokens = 0;
    std::string pending, writing;
    bool ended = false;  // the answer is
  };

  void Accept();
  void ReadRequest(uint64_t id);
  void Answer(uint64_t id);
  void AppendEvent(Connection& connection, const TokenDelta& delta);
  void Flush(uint64_t id);
  void AwaitDue();
  void EmitDue();
  void Drop(uint64_t id);

  asio::io_context io_{1};
  tcp::acceptor acceptor_{io_};
  asio::steady_timer timer_{io_};
  NullEngine engine_;  // tags are the connections' ids
  std::map<uint64_t, Connection> connections_;
  uint64_t next_id_ = 0;
  std::string address_;
  std::thread thread_;
};

absl::Status NullHttpServer::Loop::Listen(const std::string& address) {
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  Error error;
  const auto host = asio::ip::make_address(address.substr(0, colon), error);
  if (error || colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port) ||
      port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("'", address, "' is no IP:PORT"));
  }
  const tcp::endpoint endpoint(host, static_cast<uint16_t>(port));
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on '", address, "': ", error.message()));
  }
  address_ = absl::StrCat(address.substr(0, colon), ":", acceptor_.local_endpoint().port());
  return absl::OkStatus();
}

void NullHttpServer::Loop::Accept() {
  acceptor_.async_accept([this](Error error, tcp::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error) {
      socket.set_option(tcp::no_delay(true), error);
      const uint64_t id = next_id_++;
      connections_.emplace(id, std::move(socket));
      ReadRequest(id);
    }
    Accept();
  });
}

void NullHttpServer::Loop::ReadRequest(uint64_t id) {
  Connection& connection = connections_.at(id);
  connection.request = {};
  http::async_read(connection.socket, connection.buffer, connection.request,
                   [this, id](Error error, size_t) {
                     if (error) return Drop(id);
                     Answer(id);
                   });
}

void NullHttpServer::Loop::Answer(uint64_t id) {
  Connection& connection = connections_.at(id);
  const absl::string_view path(connection.request.target().data(),
                               connection.request.target().size());
  connection.ended = false;
  connection.output_tokens = 0;
  connection.chat = path == "/v1/chat/completions";
  if (path == "/v1/completions" || connection.chat) {
    const GenerateRequest request = RequestOf(connection.request.body());
    connection.prompt_tokens = request.token_ids().ids_size();
    connection.pending += kStreamHead;
    engine_.Start(id, request, RealClock().NowNs());
    return AwaitDue();
  }
  connection.ended = true;
  connection.pending +=
      path == "/v1/models"
          ? WholeAnswer("200 OK", R"({"object":"list","data":[{"id":"null","object":"model"}]})")
          : WholeAnswer("404 Not Found", R"({"error":{"message":"no such path"}})");
  Flush(id);
}

// One server-sent event, in the shape of vLLM's, as one chunk.
void NullHttpServer::Loop::AppendEvent(Connection& connection, const TokenDelta& delta) {
  connection.output_tokens += delta.count();
  const bool last = delta.finish_reason() != FINISH_REASON_NONE;
  const absl::string_view finish = last ? R"("length")" : "null";
  const int64_t now_ns = RealClock().NowNs();
  const std::string choice = connection.chat
                                 ? absl::StrCat(R"("delta":{"content":")", now_ns, R"("})")
                                 : absl::StrCat(R"("text":")", now_ns, R"(")");
  const std::string event = absl::StrCat(
      R"(data: {"id":"cmpl-null","object":"text_completion","created":0,"model":"null",)",
      R"("choices":[{"index":0,)", choice, R"(,"logprobs":null,"finish_reason":)", finish,
      R"(,"stop_reason":null}],"usage":{"prompt_tokens":)", connection.prompt_tokens,
      R"(,"total_tokens":)", connection.prompt_tokens + connection.output_tokens,
      R"(,"completion_tokens":)", connection.output_tokens, "}}\n\n");
  absl::StrAppend(&connection.pending, absl::Hex(event.size()), "\r\n", event, "\r\n");
  if (!last) return;
  connection.pending += kStreamEnd;
  connection.ended = true;
}

void NullHttpServer::Loop::Flush(uint64_t id) {
  Connection& connection = connections_.at(id);
  if (!connection.writing.empty() || connection.pending.empty()) return;
  connection.writing.swap(connection.pending);
  asio::async_write(connection.socket, asio::buffer(connection.writing),
                    [this, id](Error error, size_t) {
                      if (error) return Drop(id);
                      Connection& written = connections_.at(id);
                      written.writing.clear();
                      if (!written.pending.empty()) return Flush(id);
                      if (std::exchange(written.ended, false)) ReadRequest(id);
                    });
}

void NullHttpServer::Loop::AwaitDue() {
  const int64_t due_ns = engine_.NextDueNs();
  if (engine_.running() == 0) return;
  const std::chrono::steady_clock::time_point when{std::chrono::nanoseconds(due_ns)};
  timer_.expires_at(when);
  timer_.async_wait([this](Error error) {
    if (!error) EmitDue();
  });
}

void NullHttpServer::Loop::EmitDue() {
  engine_.Advance(RealClock().NowNs(), kEventsPerTurn, [&](uint64_t id, const TokenDelta& delta) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) return;
    AppendEvent(found->second, delta);
    Flush(id);  // at once, so that the time is true; what follows in this turn goes together
  });
  AwaitDue();
}

void NullHttpServer::Loop::Drop(uint64_t id) {
  engine_.Cancel(id, RealClock().NowNs());
  connections_.erase(id);
}

NullHttpServer::NullHttpServer(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}

NullHttpServer::~NullHttpServer() = default;

const std::string& NullHttpServer::address() const { return loop_->address(); }

absl::StatusOr<std::unique_ptr<NullHttpServer>> NullHttpServer::Start(const std::string& address,
                                                                      const NullTiming& timing) {
  auto loop = std::make_unique<Loop>(timing);
  if (absl::Status status = loop->Listen(address); !status.ok()) return status;
  loop->Run();
  return std::unique_ptr<NullHttpServer>(new NullHttpServer(std::move(loop)));
}

}  // namespace regatta
