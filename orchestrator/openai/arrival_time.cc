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

// How long ago by the clock that the kernel stamps with; 0 without a stamp to be believed.
int64_t AgeNs(msghdr& message) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPNS) continue;
    timespec stamp = {}, now = {};
    std::memcpy(&stamp, CMSG_DATA(part), sizeof(stamp));
    ::clock_gettime(CLOCK_REALTIME, &now);
    const int64_t age_ns = NsOf(now) - NsOf(stamp);
    return age_ns < 0 || age_ns > kSecondNs ? 0 : age_ns;
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
  Arrival arrival;
  arrival.at_ns = RealClock().NowNs();
  if (received < 0) {
    arrival.error = errno;
    return arrival;
  }
  arrival.size = static_cast<size_t>(received);
  arrival.at_ns -= AgeNs(message);
  return arrival;
}

}  // namespace regatta
