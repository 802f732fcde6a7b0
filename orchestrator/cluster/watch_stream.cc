// One reading thread; see watch_stream.h.
#include "orchestrator/cluster/watch_stream.h"

#include <utility>

#include "proto/cluster.grpc.pb.h"

namespace regatta {

WatchStream::WatchStream(const std::shared_ptr<grpc::Channel>& channel, uint32_t interval_ms,
                         OnState on_state) {
  if (channel == nullptr) return;
  reader_ = std::thread([this, channel, interval_ms, on_state = std::move(on_state)] {
    WatchRequest request;
    request.set_interval_ms(interval_ms);
    const auto stub = Cluster::NewStub(channel);
    const auto stream = stub->Watch(&context_, request);
    for (ClusterState state; stream->Read(&state);) on_state(state);
    stream->Finish();
  });
}

void WatchStream::Stop() {
  if (!reader_.joinable()) return;
  context_.TryCancel();
  reader_.join();
}

}  // namespace regatta
