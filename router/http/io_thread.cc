// Event loops of the HTTP server; see io_thread.h.
#include "router/http/io_thread.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <ctime>

#include "absl/random/uniform_int_distribution.h"
#include "absl/strings/str_cat.h"
#include "router/http/connection.h"
#include "router/http/http_exchange.h"

namespace regatta {
namespace {

// Deadlines are kept this exactly.
constexpr std::chrono::milliseconds kTick{50};

}  // namespace

IoThread::IoThread()
    : context_(1),
      work_(context_.get_executor()),
      timer_(context_),
      mailbox_(std::make_shared<Mailbox>([this] { Post([this] { ServeMailbox(); }); })),
      read_buffer_(std::make_unique<char[]>(kReadBytes)) {}

IoThread::~IoThread() { Stop(); }

void IoThread::Start() {
  thread_ = std::thread([this] { context_.run(); });
}

void IoThread::Stop() {
  if (!thread_.joinable()) return;
  Post([this] {
    const auto all = connections_;  // Which they leave.
    for (const auto& connection : all) connection->Abort();
    ServeMailbox();
    mailbox_->Close();
    context_.stop();
  });
  thread_.join();
}

void IoThread::CloseIdle() {
  Post([this] {
    const auto all = connections_;  // Which some leave.
    for (const auto& connection : all) connection->CloseIfIdle();
  });
}

void IoThread::Add(std::shared_ptr<Connection> connection) {
  connections_.insert(std::move(connection));
  ArmTimer();
}

void IoThread::Remove(std::shared_ptr<Connection> connection) {
  connections_.erase(connection);
  Post([last = std::move(connection)] {});
}

void IoThread::ServeMailbox() {
  mailbox_->TakeAll(mail_);
  for (auto& exchange : mail_) {
    exchange->Serve();
    exchange.reset();
  }
  mail_.clear();
}

void IoThread::ArmTimer() {
  if (timer_armed_ || connections_.empty()) return;
  timer_armed_ = true;
  timer_.expires_after(kTick);
  timer_.async_wait([this](error_code) {
    timer_armed_ = false;
    Tick();
    ArmTimer();
  });
}

void IoThread::Tick() {
  const int64_t now_ns = NowNs();
  std::vector<std::shared_ptr<Connection>> due;
  for (const auto& connection : connections_) {
    if (connection->deadline_ns() <= now_ns) due.push_back(connection);
  }
  for (const auto& connection : due) connection->OnDeadline(now_ns);
}

const std::string& IoThread::Date() {
  const std::time_t now = std::time(nullptr);
  if (now == date_s_) return date_;
  date_s_ = now;
  std::tm utc;
  gmtime_r(&now, &utc);
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  char text[40];
  std::snprintf(text, sizeof text, "%s, %02d %s %d %02d:%02d:%02d GMT", kDays[utc.tm_wday],
                utc.tm_mday, kMonths[utc.tm_mon], 1900 + utc.tm_year, utc.tm_hour, utc.tm_min,
                utc.tm_sec);
  date_ = text;
  return date_;
}

std::string IoThread::NewRequestId() {
  return absl::StrCat("req-", absl::Hex(absl::Uniform<uint64_t>(random_), absl::kZeroPad16),
                      absl::Hex(absl::Uniform<uint64_t>(random_), absl::kZeroPad16));
}

}  // namespace regatta
