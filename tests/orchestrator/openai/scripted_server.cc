// Blocking sockets on one thread; see scripted_server.h.
#include "tests/orchestrator/openai/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/check.h"

namespace regatta::testing {
namespace {

// One request with a Content-Length; empty when the client has gone.
std::string ReadRequest(int connection) {
  std::string text;
  size_t wanted = std::string::npos;
  char bytes[4096];
  while (text.size() < wanted) {
    const ssize_t size = ::read(connection, bytes, sizeof(bytes));
    if (size <= 0) return "";
    text.append(bytes, size);
    const size_t head = text.find("\r\n\r\n");
    if (head == std::string::npos || wanted != std::string::npos) continue;
    const size_t length = text.find("Content-Length: ");
    wanted = head + 4 + (length < head ? std::atoi(text.c_str() + length + 16) : 0);
  }
  return text;
}

}  // namespace

ScriptedServer::ScriptedServer(std::vector<Script> scripts)
    : scripts_(std::move(scripts)), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  CHECK(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
  CHECK(::listen(listener_, 64) == 0);
  CHECK(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Serve(); });
}

ScriptedServer::~ScriptedServer() {
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
    if (open_ >= 0) ::shutdown(open_, SHUT_RDWR);
  }
  ::shutdown(listener_, SHUT_RDWR);
  thread_.join();
  ::close(listener_);
}

std::string ScriptedServer::url() const { return absl::StrCat("http://127.0.0.1:", port_); }

std::vector<std::string> ScriptedServer::requests() const {
  absl::MutexLock lock(&mutex_);
  return requests_;
}

int ScriptedServer::connections() const {
  absl::MutexLock lock(&mutex_);
  return connections_;
}

void ScriptedServer::Serve() {
  while (true) {
    const int connection = ::accept(listener_, nullptr, nullptr);
    if (connection < 0) return;
    {
      absl::MutexLock lock(&mutex_);
      ++connections_;
      open_ = connection;
      if (ending_) ::shutdown(connection, SHUT_RDWR);
    }
    Talk(connection);
    absl::MutexLock lock(&mutex_);
    open_ = -1;
    ::close(connection);
  }
}

void ScriptedServer::Talk(int connection) {
  for (std::string request; !(request = ReadRequest(connection)).empty();) {
    {
      absl::MutexLock lock(&mutex_);
      requests_.push_back(request);
    }
    if (scripts_.empty()) return;
    const Script script = scripts_.front();
    scripts_.erase(scripts_.begin());
    for (const std::string& piece : script.pieces) {
      if (::send(connection, piece.data(), piece.size(), MSG_NOSIGNAL) < 0) return;
      if (script.pause) absl::SleepFor(absl::Milliseconds(2));
    }
    if (script.close) return;
  }
}

std::string ChunkedHead(const std::string& type) {
  return absl::StrCat("HTTP/1.1 200 OK\r\nContent-Type: ", type,
                      "\r\nTransfer-Encoding: chunked\r\n\r\n");
}

std::string Chunk(const std::string& bytes) {
  return absl::StrFormat("%x\r\n%s\r\n", bytes.size(), bytes);
}

std::string Whole(int status, const std::string& type, const std::string& body) {
  return absl::StrCat("HTTP/1.1 ", status, " X\r\nContent-Type: ", type,
                      "\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
}

}  // namespace regatta::testing
