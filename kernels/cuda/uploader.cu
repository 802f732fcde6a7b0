// Two buffers, two streams and the events between them; see uploader.h.
#include <algorithm>
#include <cstring>
#include <thread>

#include "kernels/cuda/uploader.h"

namespace regatta {
namespace {

constexpr int kMaxThreads = 8;                         // beyond which memory is the limit
constexpr size_t kBytesPerThread = size_t{256} << 10;  // worth waking one for

int NumThreads() {
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMaxThreads);
}

// The first failure of several calls.
class FirstError {
 public:
  bool Ok(cudaError_t status) {
    if (error_ == cudaSuccess) error_ = status;
    return error_ == cudaSuccess;
  }
  cudaError_t get() const { return error_; }

 private:
  cudaError_t error_ = cudaSuccess;
};

}  // namespace

std::unique_ptr<Uploader> Uploader::Create(cudaStream_t stream, cudaError_t* error) {
  std::unique_ptr<Uploader> uploader(new Uploader(stream));
  *error = uploader->Open();
  return *error == cudaSuccess ? std::move(uploader) : nullptr;
}

Uploader::Uploader(cudaStream_t stream) : stream_(stream), pool_(NumThreads()) {}

cudaError_t Uploader::Open() {
  FirstError first;
  first.Ok(cudaStreamCreateWithFlags(&upload_stream_, cudaStreamNonBlocking));
  first.Ok(cudaEventCreateWithFlags(&order_, cudaEventDisableTiming));
  for (PinnedBuffer& buffer : buffers_) {
    first.Ok(cudaMallocHost(&buffer.data, kBufferBytes));
    first.Ok(cudaEventCreateWithFlags(&buffer.fetched, cudaEventDisableTiming));
  }
  return first.get();
}

Uploader::~Uploader() {
  if (upload_stream_ != nullptr) {
    cudaStreamSynchronize(upload_stream_);
    cudaStreamDestroy(upload_stream_);
  }
  if (order_ != nullptr) cudaEventDestroy(order_);
  for (PinnedBuffer& buffer : buffers_) {
    if (buffer.data != nullptr) cudaFreeHost(buffer.data);
    if (buffer.fetched != nullptr) cudaEventDestroy(buffer.fetched);
  }
}

cudaError_t Uploader::Copy(void* device, size_t device_stride, const HostRows& from) {
  CHECK_LE(from.row_bytes, device_stride);
  CHECK_LE(device_stride, kBufferBytes);
  FirstError first;
  first.Ok(cudaEventRecord(order_, stream_));
  first.Ok(cudaStreamWaitEvent(upload_stream_, order_, 0));
  const size_t piece = kBufferBytes / device_stride;
  for (size_t row = 0; row < from.rows && first.get() == cudaSuccess; row += piece) {
    PinnedBuffer& buffer = buffers_[next_];
    next_ = 1 - next_;
    if (!first.Ok(cudaEventSynchronize(buffer.fetched))) break;
    HostRows rows = from;
    rows.data = static_cast<const char*>(from.data) + row * from.stride;
    rows.rows = std::min(piece, from.rows - row);
    Fill(static_cast<char*>(buffer.data), device_stride, rows);
    // The last row of all may end where the device's memory ends.
    const size_t bytes = (rows.rows - 1) * device_stride + from.row_bytes;
    first.Ok(cudaMemcpyAsync(static_cast<char*>(device) + row * device_stride, buffer.data, bytes,
                             cudaMemcpyHostToDevice, upload_stream_));
    first.Ok(cudaEventRecord(buffer.fetched, upload_stream_));
  }
  first.Ok(cudaEventRecord(order_, upload_stream_));
  first.Ok(cudaStreamWaitEvent(stream_, order_, 0));
  return first.get();
}

void Uploader::Fill(char* to, size_t to_stride, const HostRows& from) {
  const int64_t grain = static_cast<int64_t>(kBytesPerThread / to_stride + 1);
  pool_.ParallelFor(static_cast<int64_t>(from.rows), grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      char* const out = to + row * to_stride;
      std::memcpy(out, static_cast<const char*>(from.data) + row * from.stride, from.row_bytes);
      std::memset(out + from.row_bytes, 0, to_stride - from.row_bytes);
    }
  });
}

}  // namespace regatta
