// Large copies from pageable host memory to the device: threads fill one pinned buffer while the
// device fetches the other.
#pragma once

#include <cuda_runtime.h>

#include <memory>
#include <string>

#include "kernels/tensor.h"
#include "kernels/thread_pool.h"

namespace regatta {

// Rows of equal length at equal distances.
struct HostRows {
  const void* data = nullptr;
  size_t stride = 0;  // bytes
  size_t row_bytes = 0;
  size_t rows = 0;
};

class Uploader {
 public:
  // Uploads come after what `stream` has been asked before, and before what it is asked later. On
  // failure `*error` says why and null is returned.
  static std::unique_ptr<Uploader> Create(cudaStream_t stream, cudaError_t* error);
  ~Uploader();
  Uploader(const Uploader&) = delete;

  // Writes `from` to `device`, rows at `device_stride` bytes with zeros between them. `from` has
  // been read on return; the copy may still run. `device_stride` is at least the length of a row
  // and at most kBufferBytes.
  cudaError_t Copy(void* device, size_t device_stride, const HostRows& from);

  static constexpr size_t kBufferBytes = size_t{32} << 20;

 private:
  struct PinnedBuffer {
    void* data = nullptr;
    cudaEvent_t fetched = nullptr;  // the device has read what was in it last
  };

  explicit Uploader(cudaStream_t stream);
  cudaError_t Open();
  void Fill(char* to, size_t to_stride, const HostRows& from);

  const cudaStream_t stream_;
  cudaStream_t upload_stream_ = nullptr;
  cudaEvent_t order_ = nullptr;
  PinnedBuffer buffers_[2];
  int next_ = 0;
  ThreadPool pool_;
};

}  // namespace regatta
