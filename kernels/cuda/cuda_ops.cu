// Device, memory, weights and workspaces of the CUDA backend.
#include <algorithm>
#include <cstring>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/cuda_ops.h"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/linear_plan.h"

namespace regatta {
namespace {

constexpr size_t kBlasWorkspace = size_t{32} << 20;  // NVIDIA's advice for Hopper
constexpr size_t kAttentionWorkspace = size_t{64} << 20;
constexpr size_t kLargeCopy = size_t{1} << 20;  // bytes that are worth a bounce buffer

cudaMemoryType MemoryOf(const void* pointer) {
  cudaPointerAttributes attributes{};
  if (cudaPointerGetAttributes(&attributes, pointer) != cudaSuccess) cudaGetLastError();
  return attributes.type;
}

class EventMarker final : public Marker {
 public:
  explicit EventMarker(int device) : device_(device) {
    cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  }
  ~EventMarker() override { cudaEventDestroy(event); }
  bool Passed(std::string* error) override {
    cudaSetDevice(device_);  // a thread that has not said so would open device 0 as well
    const cudaError_t status = cudaEventQuery(event);
    if (status == cudaErrorNotReady) return false;
    if (status != cudaSuccess) *error = cudaGetErrorString(status);
    return true;
  }

  cudaEvent_t event = nullptr;

 private:
  const int device_;
};

class CudaGraph final : public Graph {
 public:
  CudaGraph(const ExecutableGraph& own, GraphPool& pool, cudaStream_t stream)
      : own_(own), pool_(pool), stream_(stream) {}
  ~CudaGraph() override { pool_.GiveBack(own_); }
  // A failure is the stream's: the next check of it tells.
  void Replay() override { cudaGraphLaunch(own_.graph, stream_); }

 private:
  const ExecutableGraph own_;
  GraphPool& pool_;
  const cudaStream_t stream_;
};

}  // namespace

std::unique_ptr<Ops> MakeCudaOps(int device, std::string* error) {
  auto ops = std::make_unique<CudaOps>();
  if (!ops->Open(device, error)) return nullptr;
  return ops;
}

void* CudaStreamOf(Ops& ops) { return static_cast<CudaOps&>(ops).stream(); }

int CudaDeviceOf(Ops& ops) { return static_cast<CudaOps&>(ops).device(); }

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
    num_multiprocessors_ = own_multiprocessors_ = properties.multiProcessorCount;
    linear_choices_ = std::make_unique<LinearChoices>(properties.name, cublasLtGetVersion());
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

CudaOps::CudaOps() = default;

CudaOps::~CudaOps() {
  if (stream_ != nullptr) {
    cudaSetDevice(device_);
    cudaStreamSynchronize(stream_);
  }
  uploader_.reset();
  linear_plans_.clear();
  if (blas_ != nullptr) cublasLtDestroy(blas_);
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

void CudaOps::SetDeterministic(bool on) {
  deterministic_ = on;
  linear_plans_.clear();
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

Buffer CudaOps::AllocateHost(size_t num_bytes) {
  CHECK_GT(num_bytes, size_t{0});
  void* memory = nullptr;
  if (cudaMallocHost(&memory, num_bytes) != cudaSuccess) {
    cudaGetLastError();
    return {};
  }
  std::memset(memory, 0, num_bytes);
  return Buffer(memory, num_bytes, [](void* data) { cudaFreeHost(data); });
}

// Small pageable sources have been read by the driver when the call returns; large ones go through
// pinned buffers.
void CudaOps::CopyToDevice(void* device, const void* host, size_t num_bytes) {
  if (num_bytes == 0) return;
  Check(cudaSetDevice(device_), "cudaSetDevice");
  if (num_bytes >= kLargeCopy && MemoryOf(host) == cudaMemoryTypeUnregistered) {
    const size_t rows = num_bytes / kLargeCopy, rest = num_bytes % kLargeCopy;
    Upload(device, kLargeCopy, {host, kLargeCopy, kLargeCopy, rows});
    if (rest == 0) return;
    device = static_cast<char*>(device) + rows * kLargeCopy;
    host = static_cast<const char*>(host) + rows * kLargeCopy;
    num_bytes = rest;
  }
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
  return Healthy(error);
}

bool CudaOps::Healthy(std::string* error) {
  Check(cudaGetLastError(), "kernel");
  if (!failure_.empty()) *error = "CUDA device " + std::to_string(device_) + ": " + failure_;
  return failure_.empty();
}

std::unique_ptr<Marker> CudaOps::MakeMarker() {
  Check(cudaSetDevice(device_), "cudaSetDevice");
  return std::make_unique<EventMarker>(device_);
}

void CudaOps::Mark(Marker& marker) {
  Check(cudaEventRecord(static_cast<EventMarker&>(marker).event, stream_), "event");
}

// Relaxed: other threads of the process may use CUDA meanwhile, NCCL's among them.
std::unique_ptr<Graph> CudaOps::Capture(const std::function<void()>& record) {
  CHECK(!tuning_);  // measuring waits
  Check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed), "begin of capture");
  record();
  cudaGraph_t graph = nullptr;
  ExecutableGraph executable;
  Check(cudaStreamEndCapture(stream_, &graph), "end of capture");
  const cudaError_t status =
      failure_.empty() ? graphs_.MakeExecutable(graph, executable) : cudaSuccess;
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // running out of memory is an answer, not a fault
  } else {
    Check(status, "graph");
  }
  if (graph != nullptr) cudaGraphDestroy(graph);
  if (executable.graph == nullptr) return nullptr;
  return std::make_unique<CudaGraph>(executable, graphs_, stream_);
}

uint64_t CudaOps::FreeDeviceMemory() {
  size_t free = 0, total = 0;
  Check(cudaSetDevice(device_), "cudaSetDevice");
  Check(cudaMemGetInfo(&free, &total), "memory");
  return free;
}

std::unique_ptr<Weight> CudaOps::Prepare(const Tensor& matrix, WeightUse use) {
  CHECK_EQ(matrix.rank, 2);
  const size_t size = SizeOf(matrix.dtype);
  auto weight = std::make_unique<CudaWeight>();
  weight->out_features = matrix.dim(0);
  weight->in_features = matrix.dim(1);
  const size_t row_bytes = matrix.dim(1) * size, stride = (row_bytes + 15) / 16 * 16;
  const size_t rows = matrix.dim(0), from_stride = matrix.row_stride * size;
  weight->buffer = Allocate(rows * stride);
  if (weight->buffer.data() == nullptr) return nullptr;
  weight->matrix =
      Tensor::Of(weight->buffer.data(), matrix.dtype, weight->out_features, weight->in_features);
  weight->matrix.row_stride = static_cast<int64_t>(stride / size);
  PlaceRows(weight->matrix.data, stride, {matrix.data, from_stride, row_bytes, rows});
  return weight;
}

void CudaOps::PlaceRows(void* device, size_t device_stride, const HostRows& from) {
  if (MemoryOf(from.data) != cudaMemoryTypeDevice) return Upload(device, device_stride, from);
  Check(cudaMemcpy2DAsync(device, device_stride, from.data, from.stride, from.row_bytes, from.rows,
                          cudaMemcpyDeviceToDevice, stream_),
        "weight");
}

void CudaOps::Upload(void* device, size_t device_stride, const HostRows& from) {
  if (uploader_ == nullptr) {
    cudaError_t error = cudaSuccess;
    uploader_ = Uploader::Create(stream_, &error);
    Check(error, "pinned buffers for uploads");
    if (uploader_ == nullptr) return;
  }
  Check(uploader_->Copy(device, device_stride, from), "upload");
}

void CudaOps::Reserve(int max_tokens, int max_rows, const MoeParams& moe, int expert_width,
                      int hidden, int vocab) {
  max_rows_ = std::max(max_tokens, max_rows);
  // One log-probability of each row, and the list of its most likely tokens.
  staging_.Grow(*this, max_rows_ * (1 + 2 * kMaxTopLogprobs) * sizeof(float));
  if (moe.num_local > 0) ReserveExperts(max_tokens, moe, expert_width, hidden);
}

void Staging::Grow(Ops& ops, size_t num_bytes) {
  if (num_bytes <= host.num_bytes()) return;
  host = ops.AllocateHost(num_bytes);
  device = ops.Allocate(num_bytes);
  CHECK(host.data() != nullptr && device.data() != nullptr) << "no " << num_bytes << " bytes left";
}

}  // namespace regatta
