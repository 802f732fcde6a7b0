// Rates of CPU ranks, and the way to those of GPUs; see rates.h.
#include "tests/bench/step/rates.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>

#include "kernels/dummy_values.h"
#ifdef REGATTA_CUDA
#include "kernels/cuda/cuda_ops.h"
#endif

namespace regatta {
namespace {

// The shortest of some runs.
double SecondsOf(const std::function<void()>& run) {
  double best = 1e9;
  for (int round = 0; round < 4; ++round) {
    const auto start = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count());
  }
  return best;
}

// Through the operations themselves: their threads and vectors are what steps get.
DeviceRates MeasureCpuRates(Ops& ops) {
  constexpr int64_t kRows = 4096, kColumns = 16384, kSize = 1024;  // 256 MiB of float32
  ops.Reserve(kRows, 1, {}, 0, kColumns, 1);
  const Buffer x = ops.Allocate(kRows * kColumns * 4), y = ops.Allocate(kRows * kColumns * 4);
  CHECK(x.data() != nullptr && y.data() != nullptr) << "512 MiB for measuring rates";
  const Tensor from = Tensor::Of(x.data(), DType::kFloat32, kRows, kColumns);
  const Tensor to = Tensor::Of(y.data(), DType::kFloat32, kRows, kColumns);
  ops.FillDummy(from, {1, 0, kColumns, 0.02f});
  DeviceRates rates;
  const double bytes = 4.0 * kRows * kColumns;
  // One row of a product reads its whole weight.
  const std::unique_ptr<Weight> wide = ops.Prepare(from, WeightUse::kLinear);
  const Tensor out = Tensor::Of(y.data(), DType::kFloat32, 1, kRows);
  rates.read_bytes = bytes / SecondsOf([&] { ops.Linear(from.Rows(0, 1), *wide, Tensor{}, out); });
  rates.copy_bytes = 3 * bytes / SecondsOf([&] { ops.AddScaled(to, from, Tensor{}); });
  const Tensor square = Tensor::Of(x.data(), DType::kFloat32, kSize, kSize);
  const std::unique_ptr<Weight> weight = ops.Prepare(square, WeightUse::kLinear);
  const Tensor product = Tensor::Of(y.data(), DType::kFloat32, kSize, kSize);
  rates.bf16_operations = 2.0 * kSize * kSize * kSize /
                          SecondsOf([&] { ops.Linear(square, *weight, Tensor{}, product); });
  return rates;
}

}  // namespace

DeviceRates MeasureRates(Ops& ops) {
#ifdef REGATTA_CUDA
  if (ops.Name() == "cuda") return MeasureGpuRates(CudaDeviceOf(ops));
#endif
  return MeasureCpuRates(ops);
}

}  // namespace regatta
