// Streams and events; see peer_sums.h.
#include "worker/collectives/peer_sums.h"

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

absl::Status CudaStatus(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return absl::OkStatus();
  cudaGetLastError();  // told here, not to the next launch
  return absl::InternalError(absl::StrCat(what, ": ", cudaGetErrorString(error)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<PeerSums>> PeerSums::Create(const PeerMemory& peers) {
  std::unique_ptr<PeerSums> sums(new PeerSums(peers));
  const auto event = [](cudaEvent_t* event) {
    return CudaStatus(cudaEventCreateWithFlags(event, cudaEventDisableTiming), "event");
  };
  RETURN_IF_ERROR(
      CudaStatus(cudaStreamCreateWithFlags(&sums->side_, cudaStreamNonBlocking), "stream of sums"));
  RETURN_IF_ERROR(event(&sums->ready_));
  for (cudaEvent_t& pushed : sums->pushed_) RETURN_IF_ERROR(event(&pushed));
  return sums;
}

PeerSums::~PeerSums() {
  for (cudaEvent_t pushed : pushed_) {
    if (pushed != nullptr) cudaEventDestroy(pushed);
  }
  if (ready_ != nullptr) cudaEventDestroy(ready_);
  if (side_ != nullptr) cudaStreamDestroy(side_);
}

absl::Status PeerSums::Begin(const Tensor& x, cudaStream_t stream) {
  CHECK_LT(under_way_.size(), size_t{kPeerSumsBeside});
  const uint32_t number = next_++;
  under_way_.push_back({x, number});
  RETURN_IF_ERROR(CudaStatus(cudaEventRecord(ready_, stream), "a sum"));
  RETURN_IF_ERROR(CudaStatus(cudaStreamWaitEvent(side_, ready_), "a sum"));
  RETURN_IF_ERROR(CudaStatus(PushBeside(peers_.group(), x, number, side_), "pushing to peers"));
  return CudaStatus(cudaEventRecord(pushed_[number % kPeerSumsBeside], side_), "a sum");
}

// x is overwritten once it has been pushed.
absl::Status PeerSums::Await(cudaStream_t stream) {
  CHECK(!under_way_.empty());
  const Sum sum = under_way_.front();
  under_way_.pop_front();
  RETURN_IF_ERROR(CudaStatus(cudaStreamWaitEvent(stream, pushed_[sum.number % kPeerSumsBeside]),
                             "awaiting a sum"));
  AddPushed(peers_.group(), sum.x, sum.number, stream);
  return CudaStatus(cudaGetLastError(), "adding what peers pushed");
}

}  // namespace regatta
