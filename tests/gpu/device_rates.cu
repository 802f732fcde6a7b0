// Rates of one GPU: reading, copying, and large products of bf16 and fp8 through cuBLASLt.
#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <functional>

#include "common/check.h"
#include "kernels/cuda/element.cuh"
#include "kernels/dummy_values.h"
#include "tests/bench/step/rates.h"

namespace regatta {
namespace {

constexpr size_t kBufferBytes = size_t{4} << 30;
constexpr int64_t kSize = 8192;  // rows, columns and depth of the products
constexpr size_t kWorkspace = size_t{64} << 20;
constexpr int kCandidates = 8;

void Must(cudaError_t status, const char* what) {
  CHECK(status == cudaSuccess) << what << ": " << cudaGetErrorString(status);
}

// Four loads in flight per thread. The sum is written where it cannot be, so that it is taken.
__global__ void SumKernel(const uint4* x, int64_t count, uint32_t* out) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  uint32_t sum = 0;
  int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  for (; i + 3 * step < count; i += 4 * step) {
    const uint4 a = x[i], b = x[i + step], c = x[i + 2 * step], d = x[i + 3 * step];
    sum += a.x + a.y + a.z + a.w + b.x + b.y + b.z + b.w;
    sum += c.x + c.y + c.z + c.w + d.x + d.y + d.z + d.w;
  }
  for (; i < count; i += step) sum += x[i].x + x[i].y + x[i].z + x[i].w;
  if (sum == 0xdeadbeefu) *out = sum;
}

template <typename T>
__global__ void FillKernel(T* out, int64_t count) {
  const DummyValues values = {1, 0, 1, 1.0f};
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    out[i] = static_cast<T>(DummyValueAt(values, i));
  }
}

// The shortest of some rounds of `calls` calls, per call.
double SecondsOf(cudaStream_t stream, int calls, const std::function<void()>& issue) {
  cudaEvent_t begin = nullptr, end = nullptr;
  Must(cudaEventCreate(&begin), "event");
  Must(cudaEventCreate(&end), "event");
  float best = 1e9f;
  for (int round = 0; round < 4; ++round) {
    Must(cudaEventRecord(begin, stream), "event");
    for (int i = 0; i < calls; ++i) issue();
    Must(cudaEventRecord(end, stream), "event");
    Must(cudaEventSynchronize(end), "rates");
    float milliseconds = 0;
    Must(cudaEventElapsedTime(&milliseconds, begin, end), "time");
    if (round > 0) best = std::min(best, milliseconds);  // the first warms up
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return best * 1e-3 / calls;
}

// A square product of `type` with bf16 results, its operands read along their rows, as fp8 needs.
class SquareProduct {
 public:
  SquareProduct(cudaDataType_t type, void* a, void* b, void* out, void* workspace)
      : a_(a), b_(b), out_(out), workspace_(workspace) {
    const cublasOperation_t transpose = CUBLAS_OP_T;
    cublasLtMatmulPreference_t preference = nullptr;
    ready_ = cublasLtCreate(&blas_) == CUBLAS_STATUS_SUCCESS &&
             cublasLtMatmulDescCreate(&product_, CUBLAS_COMPUTE_32F, CUDA_R_32F) ==
                 CUBLAS_STATUS_SUCCESS &&
             cublasLtMatmulDescSetAttribute(product_, CUBLASLT_MATMUL_DESC_TRANSA, &transpose,
                                            sizeof(transpose)) == CUBLAS_STATUS_SUCCESS &&
             cublasLtMatrixLayoutCreate(&in_layout_, type, kSize, kSize, kSize) ==
                 CUBLAS_STATUS_SUCCESS &&
             cublasLtMatrixLayoutCreate(&out_layout_, CUDA_R_16BF, kSize, kSize, kSize) ==
                 CUBLAS_STATUS_SUCCESS &&
             cublasLtMatmulPreferenceCreate(&preference) == CUBLAS_STATUS_SUCCESS &&
             cublasLtMatmulPreferenceSetAttribute(
                 preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kWorkspace,
                 sizeof(kWorkspace)) == CUBLAS_STATUS_SUCCESS &&
             cublasLtMatmulAlgoGetHeuristic(blas_, product_, in_layout_, in_layout_, out_layout_,
                                            out_layout_, preference, kCandidates, candidates_,
                                            &num_candidates_) == CUBLAS_STATUS_SUCCESS;
    if (preference != nullptr) cublasLtMatmulPreferenceDestroy(preference);
  }
  ~SquareProduct() {
    if (in_layout_ != nullptr) cublasLtMatrixLayoutDestroy(in_layout_);
    if (out_layout_ != nullptr) cublasLtMatrixLayoutDestroy(out_layout_);
    if (product_ != nullptr) cublasLtMatmulDescDestroy(product_);
    if (blas_ != nullptr) cublasLtDestroy(blas_);
  }

  // Operations per second of the best algorithm; 0 when the device has none.
  double Rate(cudaStream_t stream) {
    double best = 0;
    for (int i = 0; ready_ && i < num_candidates_; ++i) {
      if (!Issue(i, stream)) continue;
      const double seconds = SecondsOf(stream, 10, [&] { Issue(i, stream); });
      best = std::max(best, 2.0 * kSize * kSize * kSize / seconds);
    }
    return best;
  }

 private:
  bool Issue(int candidate, cudaStream_t stream) {
    const float one = 1, zero = 0;
    return cublasLtMatmul(blas_, product_, &one, a_, in_layout_, b_, in_layout_, &zero, out_,
                          out_layout_, out_, out_layout_, &candidates_[candidate].algo, workspace_,
                          kWorkspace, stream) == CUBLAS_STATUS_SUCCESS;
  }

  void *const a_, *const b_, *const out_, *const workspace_;
  cublasLtHandle_t blas_ = nullptr;
  cublasLtMatmulDesc_t product_ = nullptr;
  cublasLtMatrixLayout_t in_layout_ = nullptr, out_layout_ = nullptr;
  cublasLtMatmulHeuristicResult_t candidates_[kCandidates];
  int num_candidates_ = 0;
  bool ready_ = false;
};

template <typename T>
double ProductRate(cudaDataType_t type, char* memory, cudaStream_t stream) {
  constexpr size_t kOperand = size_t{kSize} * kSize * 2;
  T* const a = reinterpret_cast<T*>(memory);
  FillKernel<<<1024, 256, 0, stream>>>(a, kSize * kSize);
  return SquareProduct(type, a, a, memory + kOperand, memory + 2 * kOperand).Rate(stream);
}

}  // namespace

DeviceRates MeasureGpuRates(int device) {
  Must(cudaSetDevice(device), "cudaSetDevice");
  cudaStream_t stream = nullptr;
  char* memory = nullptr;
  Must(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
  Must(cudaMalloc(&memory, kBufferBytes), "4 GiB for measuring rates");
  Must(cudaMemsetAsync(memory, 0x3a, kBufferBytes, stream), "memset");
  DeviceRates rates;
  rates.read_bytes = kBufferBytes / SecondsOf(stream, 4, [&] {
                       SumKernel<<<132 * 16, 512, 0, stream>>>(
                           reinterpret_cast<const uint4*>(memory), kBufferBytes / sizeof(uint4),
                           reinterpret_cast<uint32_t*>(memory));
                     });
  rates.copy_bytes = kBufferBytes / SecondsOf(stream, 4, [&] {
                       Must(cudaMemcpyAsync(memory, memory + kBufferBytes / 2, kBufferBytes / 2,
                                            cudaMemcpyDeviceToDevice, stream),
                            "copy");
                     });
  rates.bf16_operations = ProductRate<__nv_bfloat16>(CUDA_R_16BF, memory, stream);
  rates.fp8_operations = ProductRate<__nv_fp8_e4m3>(CUDA_R_8F_E4M3, memory, stream);
  Must(cudaGetLastError(), "rates");
  cudaFree(memory);
  cudaStreamDestroy(stream);
  return rates;
}

}  // namespace regatta
