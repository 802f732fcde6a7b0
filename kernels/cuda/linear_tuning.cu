// Measuring how products run best, and keeping it; see linear.cu.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/cuda_ops.h"
#include "kernels/cuda/dependent_launch.cuh"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/linear_plan.h"

namespace regatta {
namespace {

constexpr int64_t kLeadCycles = 8000;  // about 4 us
// What our kernel may lose here: in a step the next one begins early behind it, and it takes gates
// with it.
constexpr float kSkinnyCredit = 1.05f;
constexpr float kClearly = 0.98f;  // of another's time: a difference of less is noise

// Reads more than the cache holds. (Writing would leave it to be written back by what is measured.)
__global__ void FlushKernel(const uint4* data, int64_t count) {
  uint32_t sum = 0;
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < count;
       i += int64_t{gridDim.x} * blockDim.x) {
    sum += __ldcg(data + i).x;
  }
  if (sum == 0x9e3779b9u) __nanosleep(1);  // so that the reads are not left out
}

// Stands for the small kernel in front of a product in a step: what begins before its end, gains.
__global__ void LeadKernel() {
  LetNextBegin();
  const int64_t begin = clock64();
  while (clock64() - begin < kLeadCycles) {
  }
}

}  // namespace

void CudaOps::MeasureChoices(const SkinnyProduct& product, const CudaWeight& weight,
                             const LinearCandidates& candidates, LinearPlan& plan) {
  const auto multiply = [&](const cublasLtMatmulAlgo_t& algorithm) {
    return Multiply(plan, algorithm, product.x, weight, product.out);
  };
  plan.choice.algorithm = FastestOf(candidates, multiply);
  if (plan.skinny.clusters == 0 && plan.wide.rows == 0) return;
  const float library = SecondsBehindLead([&] { return multiply(plan.choice.algorithm); });
  if (plan.wide.rows > 0) {
    const WideProduct wide = {product.x, product.weight, product.scales, product.out};
    const float own =
        SecondsBehindLead([&] { return LaunchWideProduct(wide, plan.wide, stream_); });
    if (own < kClearly * library) plan.choice.way = LinearWay::kWide;
  }
  if (plan.skinny.clusters > 0) {
    const float own = SecondsBehindLead([&] {
      LaunchSkinnyProduct(product, plan.skinny, stream_);
      return true;
    });
    if (own < kSkinnyCredit * library) plan.choice.way = LinearWay::kSkinny;
  }
}

cublasLtMatmulAlgo_t CudaOps::FastestOf(
    const LinearCandidates& candidates,
    const std::function<bool(const cublasLtMatmulAlgo_t&)>& multiply) {
  int fastest = 0;
  float best = INFINITY;
  for (int i = 0; i < candidates.count; ++i) {
    const float own = SecondsOf([&] { return multiply(candidates.at[i].algo); });
    if (own < kClearly * best) {  // else the library's order is a good one
      best = own;
      fastest = i;
    }
  }
  return candidates.at[fastest].algo;
}

// Measured beside a product and a gate apart, once, while tuning; as fast is as good, for one
// kernel leaves no gap.
bool CudaOps::ChoosesWideGate(const WideProduct& product, const CudaWeight& weight,
                              const WideShape& shape, const Tensor& gate_up) {
  if (own_use_ == OwnUse::kAlways) return true;
  const LinearShape key =
      ShapeOf(product.x.values, weight, product.out.values.dtype, LinearTail::kGate);
  std::optional<LinearChoice> choice = linear_choices_->Find(key);
  if (!choice.has_value() && tuning_) {
    const float own = SecondsBehindLead([&] { return LaunchWideProduct(product, shape, stream_); });
    const float apart = SecondsBehindLead([&] {
      Linear(product.x, weight, Tensor{}, gate_up);
      SiluMul(gate_up, product.out);
      return true;
    });
    choice = LinearChoice{own <= apart ? LinearWay::kWide : LinearWay::kApart, {}};
    linear_choices_->Set(key, *choice);
  }
  return choice.has_value() && choice->way == LinearWay::kWide;
}

// Measured with the norm behind it beside all of it apart, once, while tuning. That overwrites the
// residual and adds some dozens of products to it, which does no harm, as nobody reads that step.
LinearChoice CudaOps::ChooseAdding(const LinearPlan& plan, const LinearAddNorm& call) {
  const auto& [x, weight, residual, delta, norm_weight, eps, out] = call;
  const LinearChoice apart{LinearWay::kApart, {}};
  const bool always = own_use_ == OwnUse::kAlways;
  const LinearShape key = ShapeOf(x.values, weight, residual.dtype, LinearTail::kAdd);
  if (const auto known = linear_choices_->Find(key); !always && known.has_value()) {
    const bool adds = known->way == LinearWay::kLibrary && Runs(plan, known->algorithm);
    return adds ? *known : apart;
  }
  if (!always && !tuning_) return apart;
  const LinearCandidates candidates =
      CandidatesFor(plan, x.values, residual, /*whole=*/false, LinearCandidates::kMost);
  if (candidates.count == 0) return apart;
  if (always) return {LinearWay::kLibrary, candidates.at[0].algo};
  const auto add = [&](const cublasLtMatmulAlgo_t& algorithm) {
    return Multiply(plan, algorithm, x, weight, residual, /*beta=*/1);
  };
  const LinearChoice adding{LinearWay::kLibrary, FastestOf(candidates, add)};
  const float together = SecondsBehindLead([&] {
    if (!add(adding.algorithm)) return false;
    RmsNorm(residual, norm_weight, eps, out);
    return true;
  });
  const float in_turn = SecondsBehindLead([&] {
    Linear(x, weight, Tensor{}, delta);
    AddRmsNorm(residual, delta, norm_weight, eps, out);
    return true;
  });
  const LinearChoice choice = together < kClearly * in_turn ? adding : apart;
  linear_choices_->Set(key, choice);
  return choice;
}

// As in a step, behind a small kernel.
float CudaOps::SecondsBehindLead(const std::function<bool()>& issue) {
  return SecondsOf([&] {
    LeadKernel<<<1, kWarp, 0, stream_>>>();
    newest_lets_next_begin = true;
    return issue();
  });
}

// The least of a few runs, each with the operands out of the cache, as they are in a step.
float CudaOps::SecondsOf(const std::function<bool()>& issue) {
  constexpr int kRuns = 4;
  float best = INFINITY;
  cudaEvent_t begin = nullptr, end = nullptr;
  Check(cudaEventCreate(&begin), "event");
  Check(cudaEventCreate(&end), "event");
  for (int run = 0; run < kRuns && failure_.empty(); ++run) {
    FlushKernel<<<num_multiprocessors_, 1024, 0, stream_>>>(
        static_cast<const uint4*>(attention_workspace_.data()),
        static_cast<int64_t>(attention_workspace_.num_bytes() / sizeof(uint4)));
    Check(cudaEventRecord(begin, stream_), "event");
    if (!issue()) break;
    Check(cudaEventRecord(end, stream_), "event");
    Check(cudaEventSynchronize(end), "product");
    float milliseconds = INFINITY;
    if (failure_.empty()) Check(cudaEventElapsedTime(&milliseconds, begin, end), "event");
    best = std::min(best, milliseconds / 1000);
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return best;
}

std::vector<int> CudaOps::TuningSizes(int most) const {
  if (deterministic_) return {};
  std::vector<int> sizes;
  for (int size = 1; size <= TokenClass(most); size = TokenClass(size + 1)) {
    sizes.push_back(std::min(size, most));
  }
  return sizes;
}

void CudaOps::SetTuning(bool on) {
  tuning_ = on;
  if (on) linear_plans_.clear();
}

std::string CudaOps::ExportTuning() const { return linear_choices_->Export(); }

bool CudaOps::ImportTuning(const std::string& bytes) {
  linear_plans_.clear();
  return linear_choices_->Import(bytes);
}

void UseOwnProducts(Ops& ops, OwnUse use, int multiprocessors) {
  static_cast<CudaOps&>(ops).UseOwn(use, multiprocessors);
}

bool HasOwnProducts(Ops& ops) {
  int major = 0;
  CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, CudaDeviceOf(ops)) ==
        cudaSuccess);
  return major == 9;
}

uint64_t OwnProductsTaken(Ops& ops) { return static_cast<CudaOps&>(ops).own_taken(); }

uint64_t AddingProductsTaken(Ops& ops) { return static_cast<CudaOps&>(ops).adding_taken(); }

void CudaOps::UseOwn(OwnUse use, int multiprocessors) {
  own_use_ = use;
  own_multiprocessors_ = multiprocessors > 0 ? multiprocessors : num_multiprocessors_;
  linear_plans_.clear();
}

}  // namespace regatta
