// CpuOps: the operations of ops.h on CPU threads. Each operation's body is in the file of its name
// beside this one.
//
// Deterministic: a row's result depends on its own inputs alone, not on the batch, the chunking of
// its prompt or the number of threads (on one instruction set).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/cpu/gemm.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/vectorize.h"
#include "kernels/ops.h"
#include "kernels/thread_pool.h"

namespace regatta {

class CpuOps final : public Ops {
 public:
  // `isa` must be one that this CPU has; tests run narrower ones too.
  CpuOps(int num_threads, VectorIsa isa) : pool_(num_threads), isa_(isa) {}

  std::string Name() const override { return "cpu"; }
  Buffer Allocate(size_t num_bytes) override;
  Buffer AllocateHost(size_t num_bytes) override { return Allocate(num_bytes); }
  void CopyToDevice(void* device, const void* host, size_t num_bytes) override;
  void CopyToHost(void* host, const void* device, size_t num_bytes) override;
  bool Sync(std::string* error) override { return true; }
  bool Healthy(std::string* error) override { return true; }
  std::unique_ptr<Marker> MakeMarker() override;
  void Mark(Marker& marker) override {}  // every operation is done when it returns
  std::unique_ptr<Weight> Prepare(const Tensor& matrix, WeightUse use) override;
  std::unique_ptr<Weight> PrepareQuantized(const QuantizedMatrix& matrix, WeightUse use) override;
  void FillDummy(const Tensor& out, const DummyValues& values) override;
  void Reserve(int max_tokens, int max_rows, const MoeParams& moe, int expert_width, int hidden,
               int vocab) override;

  void Embedding(const int32_t* ids, const int32_t* drawn, const Tensor& table, int64_t first_row,
                 const Tensor& out) override;
  void RmsNorm(const Tensor& x, const Tensor& weight, float eps, const Activation& out) override;
  void AddRmsNorm(const Tensor& residual, const Tensor& x, const Tensor& weight, float eps,
                  const Activation& out) override;
  void Quantize(const Tensor& x, const Activation& out) override;
  void Linear(const Activation& x, const Weight& weight, const Tensor& bias,
              const Tensor& out) override;
  void RopeAndCache(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionBatch& batch,
                    const AttentionParams& params, const KvLayer& cache) override;
  void PagedAttention(const Tensor& q, const AttentionBatch& batch, const AttentionParams& params,
                      const KvLayer& cache, const Activation& out) override;
  void SiluMul(const Tensor& gate_up, const Activation& out) override;
  void MoeRoute(const Tensor& logits, const MoeParams& params, const Tensor& expert_ids,
                const Tensor& expert_weights) override;
  void MoeExperts(const Tensor& x, const Tensor& expert_ids, const Tensor& expert_weights,
                  const MoeParams& params, const MoeWeights& weights, const Tensor& out) override;
  void AddScaled(const Tensor& y, const Tensor& x, const Tensor& gate) override;
  void GatherRows(const Tensor& x, const int32_t* rows, const Tensor& out) override;
  void JoinColumns(const Tensor& x, const Tensor& out) override;
  void PlaceTokens(const int32_t* ids, const int32_t* slots, int n, int32_t* drawn) override;
  std::unique_ptr<Draws> MakeDraws(int max_rows) override;
  void Sample(const Tensor& logits, const std::vector<SampleRow>& rows, const SamplePool& pool,
              const int32_t* slots, int32_t* drawn, Draws& draws) override;
  void TokenLogprobs(const Tensor& logits, const int32_t* ids, int num_top,
                     GivenLogprobs& result) override;

 private:
  // Calls fn(row) for every row on the pool, compiled for this CPU's vectors. `row_cost` is about
  // the elements a row touches.
  template <typename Fn>
  void ForEachRow(int64_t rows, int64_t row_cost, const Fn& fn) {
    constexpr int64_t kMinCost = 1 << 14;  // elements worth waking a thread for
    const int64_t grain = kMinCost / (row_cost + 1) + 1;
    pool_.ParallelFor(rows, grain, [&](int64_t begin, int64_t end, int) {
      Vectorized(isa_, [&](auto) {
        for (int64_t row = begin; row < end; ++row) fn(row);
      });
    });
  }
  void ReserveWidened();

  ThreadPool pool_;
  const VectorIsa isa_;
  int64_t max_tokens_ = 0;
  int64_t max_in_features_ = 0;  // over prepared weights
  Scratch scratch_;
};

}  // namespace regatta
