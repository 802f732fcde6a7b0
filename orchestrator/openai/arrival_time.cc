// SO_TIMESTAMPNS, moved to the monotonic clock; see arrival_time.h.
#include "orchestrator/openai/arrival_time.h"

#include <sys/socket.h>
#include <time.h>

#include <cerrno>
#include <cstring>

#include "common/clock.h"

namespace regatta {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

int64_t NsOf(const timespec& time) { return time.tv_sec * kSecondNs + time.tv_nsec; }

// One instant by our clock and by the one that the kernel stamps with.
struct Instant {
  int64_t monotonic_ns = 0;
  int64_t real_ns = 0;
};

// A thread that loses its core between the readings reads again; what remains makes times late, not
// early.
Instant Now() {
  constexpr int64_t kTogetherNs = 2'000;
  const RealClock clock;
  Instant now;
  for (int tries = 0; tries < 4; ++tries) {
    timespec real = {};
    const int64_t before_ns = clock.NowNs();
    ::clock_gettime(CLOCK_REALTIME, &real);
    now = {clock.NowNs(), NsOf(real)};
    if (now.monotonic_ns - before_ns <= kTogetherNs) break;
  }
  return now;
}

// The kernel's stamp; 0 if there is none.
int64_t StampNs(msghdr& message) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPNS) continue;
    timespec stamp = {};
    std::memcpy(&stamp, CMSG_DATA(part), sizeof(stamp));
    return NsOf(stamp);
  }
  return 0;
}

}  // namespace

void AskForArrivalTimes(int socket) {
  const int on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
}

Arrival ReceiveWithTime(int socket, char* data, size_t size) {
  iovec buffer = {data, size};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(timespec))];
  msghdr message = {};
  message.msg_iov = &buffer;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t received = ::recvmsg(socket, &message, MSG_DONTWAIT);
  if (received < 0) return {.error = errno, .at_ns = RealClock().NowNs()};
  const Instant now = Now();
  Arrival arrival;
  arrival.at_ns = now.monotonic_ns;
  arrival.size = static_cast<size_t>(received);
  const int64_t age_ns = now.real_ns - StampNs(message);
  if (age_ns > 0 && age_ns <= kSecondNs) arrival.at_ns -= age_ns;
  return arrival;
}

}  // namespace regatta
