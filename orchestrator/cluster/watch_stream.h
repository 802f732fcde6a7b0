// WatchStream: the states of a router's Watch, read on a thread of its own.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

#include "proto/cluster.pb.h"

namespace regatta {

class WatchStream {
 public:
  using OnState = std::function<void(const ClusterState&)>;

  // Calls `on_state` from that thread until Stop. A router without Watch, one that dies, or no
  // channel: no more calls, and nothing is disturbed.
  WatchStream(const std::shared_ptr<grpc::Channel>& channel, uint32_t interval_ms,
              OnState on_state);
  ~WatchStream() { Stop(); }

  // No call is made after it returns.
  void Stop();

 private:
  grpc::ClientContext context_;
  std::thread reader_;
};

}  // namespace regatta
