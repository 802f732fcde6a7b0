// Sockets for tests; see raw_client.h.
#include "tests/router/http/raw_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/check.h"

namespace regatta {
namespace {

constexpr absl::Duration kWait = absl::Seconds(5);

// Takes any certificate: tests look at its name.
SSL_CTX* ClientContext() {
  static SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  return context;
}

}  // namespace

RawClient::RawClient(const std::string& address, int receive_buffer) {
  const size_t colon = address.rfind(':');
  sockaddr_in target = {};
  target.sin_family = AF_INET;
  int port = 0;
  CHECK(absl::SimpleAtoi(address.substr(colon + 1), &port)) << address;
  target.sin_port = htons(static_cast<uint16_t>(port));
  CHECK_EQ(inet_pton(AF_INET, address.substr(0, colon).c_str(), &target.sin_addr), 1) << address;
  socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK_GE(socket_, 0);
  if (receive_buffer > 0) {
    setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  }
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  CHECK_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&target), sizeof target), 0) << address;
}

RawClient::~RawClient() { Close(); }

bool RawClient::StartTls() {
  ssl_.reset(SSL_new(ClientContext()));
  SSL_set_fd(ssl_.get(), socket_);
  return SSL_connect(ssl_.get()) == 1;
}

std::string RawClient::CertificateName() const {
  const std::unique_ptr<X509, void (*)(X509*)> certificate(SSL_get1_peer_certificate(ssl_.get()),
                                                           X509_free);
  char name[256] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name,
                            sizeof name);
  return name;
}

std::string RawClient::TlsVersion() const { return SSL_get_version(ssl_.get()); }

bool RawClient::Send(const std::string& bytes) {
  if (bytes.empty()) return true;
  if (ssl_ != nullptr)
    return SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) > 0;
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t result = send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (result <= 0) return false;
    sent += static_cast<size_t>(result);
  }
  return true;
}

RawClient::Input RawClient::Receive(absl::Time deadline) {
  const bool pending = ssl_ != nullptr && SSL_pending(ssl_.get()) > 0;
  pollfd poll_socket = {socket_, POLLIN, 0};
  const auto left_ms = absl::ToInt64Milliseconds(deadline - absl::Now());
  if (!pending && poll(&poll_socket, 1, static_cast<int>(std::max<int64_t>(0, left_ms))) <= 0) {
    return Input::kNothing;
  }
  char buffer[16 << 10];
  const auto count = ssl_ != nullptr ? SSL_read(ssl_.get(), buffer, sizeof buffer)
                                     : recv(socket_, buffer, sizeof buffer, 0);
  if (count <= 0) return Input::kEnd;
  input_.append(buffer, static_cast<size_t>(count));
  return Input::kData;
}

bool RawClient::Have(size_t bytes, absl::Time deadline) {
  while (input_.size() < bytes) {
    if (Receive(deadline) != Input::kData) return false;
  }
  return true;
}

std::string RawClient::ReadUntil(const std::string& marker, absl::Duration wait) {
  const absl::Time deadline = absl::Now() + wait;
  size_t found = input_.find(marker);
  while (found == std::string::npos && Receive(deadline) == Input::kData) {
    found = input_.find(marker);
  }
  const size_t length = found == std::string::npos ? input_.size() : found + marker.size();
  std::string text = input_.substr(0, length);
  input_.erase(0, length);
  return text;
}

std::string RawClient::ReadChunks(std::string& error) {
  std::string body;
  while (true) {
    const std::string line = ReadUntil("\r\n");
    char* end = nullptr;
    const size_t size = std::strtoul(line.c_str(), &end, 16);
    if (end == line.c_str() || std::string(end) != "\r\n") {
      error = absl::StrCat("bad chunk line '", line, "'");
      return body;
    }
    if (!Have(size + 2, absl::Now() + kWait) || input_.substr(size, 2) != "\r\n") {
      error = "a chunk does not end";
      return body;
    }
    body += input_.substr(0, size);
    input_.erase(0, size + 2);
    if (size == 0) return body;
  }
}

RawResponse RawClient::ReadResponse(bool head) {
  RawResponse response;
  const std::string text = ReadUntil("\r\n\r\n");
  if (text.size() < 12 || text.substr(0, 9) != "HTTP/1.1 ") {
    response.error = absl::StrCat("no head: '", text, "'");
    return response;
  }
  CHECK(absl::SimpleAtoi(text.substr(9, 3), &response.status)) << text;
  const std::vector<std::string> lines = absl::StrSplit(text, "\r\n");
  for (size_t i = 1; i < lines.size(); ++i) {
    const size_t colon = lines[i].find(": ");
    if (colon == std::string::npos) continue;
    response.headers[absl::AsciiStrToLower(lines[i].substr(0, colon))] = lines[i].substr(colon + 2);
  }
  size_t length = 0;
  if (head || response.status < 200 || response.status == 204) return response;
  if (response.headers.count("transfer-encoding") > 0) {
    response.body = ReadChunks(response.error);
  } else if (response.headers.count("content-length") > 0) {
    CHECK(absl::SimpleAtoi(response.headers["content-length"], &length)) << text;
    if (!Have(length, absl::Now() + kWait)) response.error = "the body is short";
    response.body = input_.substr(0, length);
    input_.erase(0, length);
  } else {
    bool closed = false;
    response.body = ReadAll(closed);
    if (!closed) response.error = "a body of unknown length does not end";
  }
  return response;
}

RawResponse RawClient::Ask(const std::string& bytes, bool head) {
  Send(bytes);
  return ReadResponse(head);
}

std::string RawClient::ReadAll(bool& closed, absl::Duration wait) {
  const absl::Time deadline = absl::Now() + wait;
  Input last;
  do {
    last = Receive(deadline);
  } while (last == Input::kData);
  closed = last == Input::kEnd;
  return std::exchange(input_, "");
}

bool RawClient::IsClosed(absl::Duration wait) {
  return input_.empty() && Receive(absl::Now() + wait) == Input::kEnd;
}

void RawClient::EndWriting() { shutdown(socket_, SHUT_WR); }

void RawClient::Close() {
  ssl_.reset();
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
}

void RawClient::Reset() {
  const linger now = {1, 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  Close();
}

std::string Get(const std::string& path, const std::string& more_headers) {
  return absl::StrCat("GET ", path, " HTTP/1.1\r\nhost: test\r\n", more_headers, "\r\n");
}

std::string Post(const std::string& path, const std::string& body,
                 const std::string& more_headers) {
  return absl::StrCat("POST ", path, " HTTP/1.1\r\nhost: test\r\ncontent-length: ", body.size(),
                      "\r\n", more_headers, "\r\n", body);
}

}  // namespace regatta
