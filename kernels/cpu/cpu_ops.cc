// Memory, weights and scratch of the CPU backend.
#include "kernels/cpu/cpu_ops.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/memory.h"

namespace regatta {
namespace {

class PassedMarker final : public Marker {
 public:
  bool Passed(std::string*) override { return true; }
};

}  // namespace

std::unique_ptr<Ops> MakeCpuOps(int num_threads) {
  return std::make_unique<CpuOps>(num_threads, HostVectorIsa());
}

Buffer CpuOps::Allocate(size_t num_bytes) { return AllocateZeroed(num_bytes); }

std::unique_ptr<Marker> CpuOps::MakeMarker() { return std::make_unique<PassedMarker>(); }

void CpuOps::CopyToDevice(void* device, const void* host, size_t num_bytes) {
  if (num_bytes > 0) std::memcpy(device, host, num_bytes);
}

void CpuOps::CopyToHost(void* host, const void* device, size_t num_bytes) {
  if (num_bytes > 0) std::memcpy(host, device, num_bytes);
}

std::unique_ptr<Weight> CpuOps::Prepare(const Tensor& matrix, WeightUse use) {
  max_in_features_ = std::max(max_in_features_, matrix.dim(1));
  ReserveWidened();
  return PackPanels(pool_, isa_, matrix);
}

std::unique_ptr<Weight> CpuOps::PrepareQuantized(const QuantizedMatrix& host_matrix,
                                                 WeightUse use) {
  const Tensor& plain = host_matrix.values;
  max_in_features_ = std::max(max_in_features_, plain.dim(1));
  ReserveWidened();
  QuantizedMatrix matrix = host_matrix;
  Buffer values, scale;
  if (plain.dtype != DType::kFloat8E4M3) {  // rows become numbers and scales as tokens do
    const int64_t rows = plain.dim(0);
    values = AllocateZeroed(rows * plain.dim(1));
    scale = AllocateZeroed((rows + kGroupRows) * sizeof(float));
    if (values.data() == nullptr || scale.data() == nullptr) return nullptr;
    matrix.values = Tensor::Of(values.data(), DType::kFloat8E4M3, rows, plain.dim(1));
    const Tensor all = Tensor::Of(scale.data(), DType::kFloat32, 1, rows);
    Quantize(plain, Activation(matrix.values, all).FirstRows(rows));
    matrix.scale = Tensor::Of(scale.data(), DType::kFloat32, rows);
  }
  std::unique_ptr<PanelWeight> weight = PackPanels(pool_, isa_, matrix);
  if (weight != nullptr && use == WeightUse::kExpert) weight->input = ActivationFormat::kPlain;
  return weight;
}

void CpuOps::ReserveWidened() {
  const size_t size = static_cast<size_t>(max_tokens_ * max_in_features_);
  if (size > scratch_.widened.size()) scratch_.widened.resize(size);
}

void CpuOps::Reserve(int max_tokens, int max_rows, const MoeParams& moe, int expert_width,
                     int hidden, int vocab) {
  max_tokens_ = std::max(max_tokens, max_rows);
  ReserveWidened();
  scratch_.attention.clear();
  for (int i = 0; i < pool_.num_threads(); ++i) {
    scratch_.attention.push_back(std::make_unique<AttentionScratch>());
  }
  scratch_.attention_start.resize(max_tokens + 1);

  const int64_t pairs = int64_t{max_tokens} * std::min(moe.experts_per_token, moe.num_local);
  ExpertScratch& experts = scratch_.experts;
  experts.start.resize(moe.num_local + 1);
  experts.token.resize(pairs);
  experts.weight.resize(pairs);
  experts.token_start.resize(max_tokens + 1);
  experts.token_rows.resize(pairs);
  experts.cursor.resize(std::max(max_tokens, moe.num_local) + 1);
  experts.input.resize(pairs * hidden);
  experts.gate_up.resize(pairs * 2 * expert_width);
  experts.products.reserve(moe.num_local);

  scratch_.sample.resize(pool_.num_threads());
  for (SampleScratch& sample : scratch_.sample) {
    sample.logits.resize(vocab);
    sample.weights.resize(vocab);
    sample.ids.reserve(vocab);
  }
}

}  // namespace regatta
