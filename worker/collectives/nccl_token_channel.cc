// Sending aside and receiving in line; see nccl_token_channel.h.
#include "worker/collectives/nccl_token_channel.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "kernels/cuda/cuda_ops.h"

namespace regatta {

absl::StatusOr<std::unique_ptr<NcclTokenChannel>> NcclTokenChannel::Create(NcclLink& link,
                                                                           int communicator,
                                                                           Ops& ops) {
  Buffer memory = ops.Allocate(kMessages * kMessageBytes);
  if (memory.data() == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for ", kMessages * kMessageBytes, " bytes of messages"));
  }
  std::unique_ptr<NcclTokenChannel> channel(
      new NcclTokenChannel(link, communicator, ops, std::move(memory)));
  RETURN_IF_ERROR(channel->Check("making streams and events"));
  return channel;
}

NcclTokenChannel::NcclTokenChannel(NcclLink& link, int communicator, Ops& ops, Buffer memory)
    : link_(link),
      communicator_(communicator),
      stream_(static_cast<cudaStream_t>(CudaStreamOf(ops))),
      memory_(std::move(memory)) {
  cudaStreamCreateWithFlags(&side_, cudaStreamNonBlocking);
  cudaEventCreateWithFlags(&ready_, cudaEventDisableTiming);
  for (int i = 0; i < kMessages; ++i) {
    Message message{static_cast<char*>(memory_.data()) + i * kMessageBytes};
    cudaEventCreateWithFlags(&message.sent, cudaEventDisableTiming);
    messages_.push_back(message);
  }
}

NcclTokenChannel::~NcclTokenChannel() {
  for (const Message& message : messages_) cudaEventDestroy(message.sent);
  cudaEventDestroy(ready_);
  cudaStreamDestroy(side_);
}

absl::Status NcclTokenChannel::Check(const char* what) {
  const cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) return absl::OkStatus();
  return link_.Fail(
      absl::UnavailableError(absl::StrCat("while ", what, ": ", cudaGetErrorString(error))));
}

absl::Status NcclTokenChannel::ConnectTo(int receiver, absl::Time deadline) {
  return link_.Issue(communicator_, "connecting the token channel", deadline, [&](ncclComm_t comm) {
    return ncclSend(memory_.data(), 1, ncclUint8, receiver, comm, stream_);
  });
}

absl::Status NcclTokenChannel::ConnectFrom(int sender, absl::Time deadline) {
  return link_.Issue(communicator_, "connecting the token channel", deadline, [&](ncclComm_t comm) {
    return ncclRecv(memory_.data(), 1, ncclUint8, sender, comm, stream_);
  });
}

absl::Status NcclTokenChannel::Send(const Tensor& x, int receiver, absl::Time deadline) {
  const Message& message = messages_[next_];
  next_ = (next_ + 1) % messages_.size();
  const size_t num_bytes = x.num_bytes();
  if (num_bytes > kMessageBytes) {
    RETURN_IF_ERROR(SendAside(x.data, num_bytes, receiver, deadline, message.sent));
    cudaStreamWaitEvent(stream_, message.sent);
    return Check("sending ids");
  }
  cudaStreamWaitEvent(stream_, message.sent);  // passes where nothing was sent yet
  cudaMemcpyAsync(message.data, x.data, num_bytes, cudaMemcpyDeviceToDevice, stream_);
  return SendAside(message.data, num_bytes, receiver, deadline, message.sent);
}

absl::Status NcclTokenChannel::SendAside(const void* data, size_t num_bytes, int receiver,
                                         absl::Time deadline, cudaEvent_t sent) {
  cudaEventRecord(ready_, stream_);
  cudaStreamWaitEvent(side_, ready_);
  RETURN_IF_ERROR(link_.Issue(communicator_, "sending ids", deadline, [&](ncclComm_t comm) {
    return ncclSend(data, num_bytes, ncclUint8, receiver, comm, side_);
  }));
  cudaEventRecord(sent, side_);
  return Check("sending ids");
}

absl::Status NcclTokenChannel::Receive(const Tensor& x, int sender, absl::Time deadline) {
  return link_.Issue(communicator_, "receiving ids", deadline, [&](ncclComm_t comm) {
    return ncclRecv(x.data, x.num_bytes(), ncclUint8, sender, comm, stream_);
  });
}

}  // namespace regatta
