// When bytes reached this host: the kernel's own time of what a TCP socket receives, so that a
// thread that is woken late, or has much to do, records nothing late.
#pragma once

#include <cstddef>
#include <cstdint>

namespace regatta {

// Has the kernel keep the times of what the socket receives. Where it cannot, arrivals have the
// time at which they are read.
void AskForArrivalTimes(int socket);

struct Arrival {
  size_t size = 0;    // 0 without an error: the other end has closed
  int error = 0;      // errno; EAGAIN: nothing is there
  int64_t at_ns = 0;  // RealClock, of the last byte; never after the call
};

// What is there, at most `size` bytes into `data`; does not wait. The kernel's clock can be set: a
// time more than a second ago, or in the future, is taken for none.
Arrival ReceiveWithTime(int socket, char* data, size_t size);

}  // namespace regatta
