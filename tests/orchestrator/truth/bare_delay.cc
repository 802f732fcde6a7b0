// A socket, a clock, two threads; see bare_delay.h.
#include "tests/orchestrator/truth/bare_delay.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>

#include "common/check.h"
#include "common/clock.h"

namespace regatta {

BareDelay::BareDelay() {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(address);
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  CHECK(::bind(listener, any, size) == 0 && ::listen(listener, 1) == 0);
  CHECK(::getsockname(listener, any, &size) == 0);
  sender_ = ::socket(AF_INET, SOCK_STREAM, 0);
  CHECK(::connect(sender_, any, size) == 0);
  receiver_ = ::accept(listener, nullptr, nullptr);
  CHECK(receiver_ >= 0);
  ::close(listener);
  const int on = 1;
  ::setsockopt(sender_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  receiving_ = std::thread([this] { Receive(); });
  sending_ = std::thread([this] { Send(); });
}

void BareDelay::Send() {
  ::prctl(PR_SET_TIMERSLACK, 1000);
  while (!stop_.load()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const int64_t now_ns = RealClock().NowNs();
    if (::send(sender_, &now_ns, sizeof(now_ns), MSG_NOSIGNAL) != sizeof(now_ns)) break;
  }
  ::shutdown(sender_, SHUT_WR);
}

void BareDelay::Receive() {
  int64_t sent_ns = 0;
  while (::recv(receiver_, &sent_ns, sizeof(sent_ns), MSG_WAITALL) == sizeof(sent_ns)) {
    delays_ms_.push_back((RealClock().NowNs() - sent_ns) / 1e6);
  }
}

void BareDelay::Stop() {
  if (!sending_.joinable()) return;
  stop_.store(true);
  sending_.join();
  receiving_.join();
  ::close(sender_);
  ::close(receiver_);
}

KnownFigure BareDelay::Finish() {
  Stop();
  CHECK(!delays_ms_.empty());
  return SummaryOf(std::move(delays_ms_));
}

}  // namespace regatta
