// FakeExchange: one HTTP request whose answer a test can look at; posted tasks run when asked to.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/check.h"
#include "router/http/exchange.h"

namespace regatta {

class FakeExchange final : public Exchange {
 public:
  explicit FakeExchange(HttpRequest request) : request_(std::move(request)) {}

  const HttpRequest& request() const override { return request_; }

  void Reply(unsigned status, HttpHeaders headers, std::string body) override {
    absl::MutexLock lock(&mutex_);
    if (gone_) return;
    CHECK(status_ == 0) << "answered twice";
    status_ = status;
    headers_ = std::move(headers);
    body_ = std::move(body);
    complete_ = true;
    on_gone_ = nullptr;
  }
  void StartEvents(HttpHeaders headers) override {
    absl::MutexLock lock(&mutex_);
    if (gone_) return;
    CHECK(status_ == 0) << "answered twice";
    status_ = 200;
    headers_ = std::move(headers);
    events_ = true;
  }
  bool SendEvents(std::string_view bytes) override {
    absl::MutexLock lock(&mutex_);
    if (gone_) return false;
    CHECK(events_ && !complete_) << "events outside of a stream";
    body_ += bytes;
    ++sends_;
    return !slow_;
  }
  void EndEvents() override {
    absl::MutexLock lock(&mutex_);
    if (gone_) return;
    CHECK(events_ && !complete_);
    complete_ = true;
    on_gone_ = nullptr;
  }
  void OnGone(std::function<void()> gone) override {
    absl::MutexLock lock(&mutex_);
    on_gone_ = std::move(gone);
  }
  void Post(std::function<void()> task) override {
    absl::MutexLock lock(&mutex_);
    tasks_.push_back(std::move(task));
    ++posts_;
  }

  // Runs posted tasks, as the connection's thread would.
  void Run() {
    for (;;) {
      std::function<void()> task;
      {
        absl::MutexLock lock(&mutex_);
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      task();
    }
  }
  // The client goes away.
  void Leave() {
    std::function<void()> gone;
    {
      absl::MutexLock lock(&mutex_);
      gone_ = true;
      gone = std::exchange(on_gone_, nullptr);
    }
    if (gone) gone();
  }
  // From now on the client reads too slowly.
  void SlowDown() {
    absl::MutexLock lock(&mutex_);
    slow_ = true;
  }

  bool AwaitAnswer(absl::Duration timeout = absl::Seconds(20)) {
    absl::MutexLock lock(&mutex_);
    return mutex_.AwaitWithTimeout(
        absl::Condition(
            +[](FakeExchange* self) { return self->status_ != 0; }, this),
        timeout);
  }

  unsigned status() const { return status_; }
  bool complete() const { return complete_; }
  bool streaming() const { return events_; }
  bool watched() const { return on_gone_ != nullptr; }
  int posts() const { return posts_; }
  int sends() const { return sends_; }
  const std::string& body() const { return body_; }
  std::string header(const std::string& name) const {
    for (const auto& [key, value] : headers_) {
      if (key == name) return value;
    }
    return "";
  }
  nlohmann::json json() const { return nlohmann::json::parse(body_); }
  nlohmann::json error() const { return json().at("error"); }

  // The data of every event. Each event must be framed as one "data: ...\n\n".
  std::vector<std::string> events() const {
    std::vector<std::string> data;
    for (size_t begin = 0; begin < body_.size();) {
      const size_t end = body_.find("\n\n", begin);
      CHECK(body_.compare(begin, 6, "data: ") == 0) << body_.substr(begin);
      CHECK(end != std::string::npos) << body_.substr(begin);
      data.push_back(body_.substr(begin + 6, end - begin - 6));
      begin = end + 2;
    }
    return data;
  }
  // The same as JSON, without the [DONE] that must come last when `done`.
  std::vector<nlohmann::json> chunks(bool done = true) const {
    std::vector<std::string> data = events();
    if (done) {
      CHECK(!data.empty() && data.back() == "[DONE]") << body_;
      data.pop_back();
    }
    std::vector<nlohmann::json> parsed;
    for (const std::string& event : data) parsed.push_back(nlohmann::json::parse(event));
    return parsed;
  }

 private:
  const HttpRequest request_;
  absl::Mutex mutex_;
  std::deque<std::function<void()>> tasks_;
  std::function<void()> on_gone_;
  unsigned status_ = 0;
  HttpHeaders headers_;
  std::string body_;
  bool events_ = false;
  bool complete_ = false;
  bool gone_ = false;
  bool slow_ = false;
  int posts_ = 0;
  int sends_ = 0;
};

}  // namespace regatta
