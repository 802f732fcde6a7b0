// Device, memory, weights and workspaces of the CUDA backend.
#include <algorithm>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/cuda_ops.h"
#include "kernels/cuda/element.cuh"

namespace regatta {
namespace {

constexpr size_t kBlasWorkspace = size_t{32} << 20;  // NVIDIA's advice for Hopper
constexpr size_t kAttentionWorkspace = size_t{64} << 20;

}  // namespace

std::unique_ptr<Ops> MakeCudaOps(int device, std::string* error) {
  auto ops = std::make_unique<CudaOps>();
  if (!ops->Open(device, error)) return nullptr;
  return ops;
}

bool CudaOps::Open(int device, std::string* error) {
  device_ = device;
  cudaDeviceProp properties{};
  Check(cudaSetDevice(device), "cudaSetDevice");
  if (failure_.empty()) Check(cudaGetDeviceProperties(&properties, device), "device properties");
  if (failure_.empty() && properties.major < 8) {
    failure_ = std::string(properties.name) + " has compute capability " +
               std::to_string(properties.major) + "." + std::to_string(properties.minor) +
               ", needed is 8.0";
  }
  if (failure_.empty()) {
    num_multiprocessors_ = properties.multiProcessorCount;
    Check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream");
  }
  if (failure_.empty() && cublasLtCreate(&blas_) != CUBLAS_STATUS_SUCCESS) {
    failure_ = "cuBLASLt did not start";
  }
  if (failure_.empty()) {
    blas_workspace_ = Allocate(kBlasWorkspace);
    attention_workspace_ = Allocate(kAttentionWorkspace);
    if (!blas_workspace_.data() || !attention_workspace_.data()) failure_ = "no memory left";
  }
  if (!failure_.empty()) *error = "CUDA device " + std::to_string(device) + ": " + failure_;
  return failure_.empty();
}

CudaOps::~CudaOps() {
  if (stream_ != nullptr) {
    cudaSetDevice(device_);
    cudaStreamSynchronize(stream_);
  }
  linear_plans_.clear();
  if (blas_ != nullptr) cublasLtDestroy(blas_);
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

void CudaOps::Check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // told once, not to the next launch too
  if (!failure_.empty()) return;
  failure_ = std::string(what) + ": " + cudaGetErrorString(status);
}

Buffer CudaOps::Allocate(size_t num_bytes) {
  CHECK_GT(num_bytes, size_t{0});
  Check(cudaSetDevice(device_), "cudaSetDevice");
  void* memory = nullptr;
  if (cudaMalloc(&memory, num_bytes) != cudaSuccess) {
    cudaGetLastError();  // running out of memory is an answer, not a fault
    return {};
  }
  Check(cudaMemsetAsync(memory, 0, num_bytes, stream_), "memset");
  return Buffer(memory, num_bytes, [](void* data) { cudaFree(data); });
}

// The source is pageable, so the driver has read it when the call returns.
void CudaOps::CopyToDevice(void* device, const void* host, size_t num_bytes) {
  if (num_bytes == 0) return;
  Check(cudaSetDevice(device_), "cudaSetDevice");
  Check(cudaMemcpyAsync(device, host, num_bytes, cudaMemcpyHostToDevice, stream_),
        "copy to device");
}

void CudaOps::CopyToHost(void* host, const void* device, size_t num_bytes) {
  if (num_bytes == 0) return;
  Check(cudaSetDevice(device_), "cudaSetDevice");
  Check(cudaMemcpyAsync(host, device, num_bytes, cudaMemcpyDeviceToHost, stream_), "copy to host");
  Check(cudaStreamSynchronize(stream_), "copy to host");
}

bool CudaOps::Sync(std::string* error) {
  Check(cudaSetDevice(device_), "cudaSetDevice");
  Check(cudaStreamSynchronize(stream_), "kernel");
  if (!failure_.empty()) *error = "CUDA device " + std::to_string(device_) + ": " + failure_;
  return failure_.empty();
}

std::unique_ptr<Weight> CudaOps::Prepare(const Tensor& host_matrix, WeightUse use) {
  CHECK_EQ(host_matrix.rank, 2);
  const int64_t size = static_cast<int64_t>(SizeOf(host_matrix.dtype));
  auto weight = std::make_unique<CudaWeight>();
  weight->out_features = host_matrix.dim(0);
  weight->in_features = host_matrix.dim(1);
  const int64_t stride = (weight->in_features * size + 15) / 16 * 16 / size;
  weight->buffer = Allocate(weight->out_features * stride * size);
  if (weight->buffer.data() == nullptr) return nullptr;
  weight->matrix = Tensor::Of(weight->buffer.data(), host_matrix.dtype, weight->out_features,
                              weight->in_features);
  weight->matrix.row_stride = stride;
  Check(cudaMemcpy2DAsync(weight->matrix.data, stride * size, host_matrix.data,
                          host_matrix.row_stride * size, weight->in_features * size,
                          weight->out_features, cudaMemcpyHostToDevice, stream_),
        "weight");
  Check(cudaStreamSynchronize(stream_), "weight");
  return weight;
}

void CudaOps::Reserve(int max_tokens, int max_rows, const MoeParams& moe, int expert_width,
                      int hidden, int vocab) {
  max_rows_ = std::max(max_tokens, max_rows);
  constexpr size_t kBytesPerRow = 512;  // a row's parameters, some suppressed ids, some logprobs
  GrowStaging(max_rows_ * kBytesPerRow);
  if (moe.num_local > 0) ReserveExperts(max_tokens, moe, expert_width, hidden);
}

void CudaOps::GrowStaging(size_t num_bytes) {
  if (num_bytes <= staging_.host.num_bytes()) return;
  void* pinned = nullptr;
  CHECK(cudaMallocHost(&pinned, num_bytes) == cudaSuccess)
      << num_bytes << " bytes of pinned memory";
  staging_.host = Buffer(pinned, num_bytes, [](void* data) { cudaFreeHost(data); });
  staging_.device = Allocate(num_bytes);
  CHECK(staging_.device.data() != nullptr) << num_bytes << " bytes of device memory";
}

}  // namespace regatta
