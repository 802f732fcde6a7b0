// HttpFixture: an HttpServer with a few routes, and exchanges that wait for the test to answer
// them.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "router/http/health_routes.h"
#include "router/http/http_server.h"
#include "tests/router/http/raw_client.h"

namespace regatta {

class HttpFixture : public testing::Test {
 protected:
  HttpFixture() {
    options_.listen = "127.0.0.1:0";
    options_.threads = 2;
    options_.log = [this](const std::string& line) {
      absl::MutexLock lock(&mutex_);
      log_.push_back(line);
    };
  }
  ~HttpFixture() override {
    if (server_ != nullptr) server_->Stop();
  }

  // Serves with options_: POST /echo (the body), GET /hello, GET /v1/models/{id} (the path),
  // GET /hold and POST /hold (see NextHeld), and health.
  void Serve() {
    server_ = std::make_unique<HttpServer>(options_);
    server_->Route("GET", "/hello", [](std::shared_ptr<Exchange> exchange) {
      exchange->Reply(200, {{"content-type", "text/plain"}}, "hello");
    });
    server_->Route("POST", "/echo", [](std::shared_ptr<Exchange> exchange) {
      exchange->Reply(200, {}, exchange->request().body);
    });
    server_->Route("GET", "/v1/models/{id}", [](std::shared_ptr<Exchange> exchange) {
      exchange->Reply(200, {}, exchange->request().path);
    });
    const auto hold = [this](std::shared_ptr<Exchange> exchange) {
      absl::MutexLock lock(&mutex_);
      held_.push_back(std::move(exchange));
    };
    server_->Route("GET", "/hold", hold);
    server_->Route("POST", "/hold", hold);
    AddHealthRoutes(*server_, [this] { return ready_.load(); });
    const absl::Status status = server_->Start();
    ASSERT_TRUE(status.ok()) << status;
  }

  const std::string& address() const { return server_->address(); }

  // The oldest exchange of /hold that was not taken yet; null when none comes.
  std::shared_ptr<Exchange> NextHeld() {
    absl::MutexLock lock(&mutex_);
    auto some = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !held_.empty(); };
    if (!mutex_.AwaitWithTimeout(absl::Condition(&some), absl::Seconds(5))) return nullptr;
    std::shared_ptr<Exchange> exchange = std::move(held_.front());
    held_.pop_front();
    return exchange;
  }

  // Waits for a line of the log that contains `text`.
  bool Logged(const std::string& text, absl::Duration wait = absl::Seconds(5)) {
    absl::MutexLock lock(&mutex_);
    auto there = [this, &text]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      for (const std::string& line : log_) {
        if (absl::StrContains(line, text)) return true;
      }
      return false;
    };
    return mutex_.AwaitWithTimeout(absl::Condition(&there), wait);
  }

  HttpServerOptions options_;
  std::atomic<bool> ready_ = true;
  absl::Mutex mutex_;
  std::deque<std::shared_ptr<Exchange>> held_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> log_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<HttpServer> server_;
};

}  // namespace regatta
