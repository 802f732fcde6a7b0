// What this machine makes of a message, whoever measures it: how long eight bytes over loopback TCP
// take to wake a thread that waits for them.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "tests/orchestrator/truth/known_run.h"

namespace regatta {

// Sends one every 5 ms from construction to Finish. CHECKs that sockets are to be had.
class BareDelay {
 public:
  BareDelay();
  ~BareDelay() { Stop(); }
  // Of all delays, in ms.
  KnownFigure Finish();

 private:
  void Send();
  void Receive();
  void Stop();

  int sender_ = -1, receiver_ = -1;
  std::atomic<bool> stop_ = false;
  std::vector<double> delays_ms_;
  std::thread sending_, receiving_;
};

}  // namespace regatta
