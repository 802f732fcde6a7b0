// CudaOps: the operations of ops.h as kernels and cuBLASLt products on one stream. Each operation's
// body is in the file of its name beside this one.
//
// Everything is asynchronous but Sync, TokenLogprobs and copies to the host. The first failure is
// kept and told by Sync and Healthy.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime.h>

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/cuda/cuda_ops.h"
#include "kernels/cuda/graph_pool.h"
#include "kernels/cuda/linear_choices.h"
#include "kernels/cuda/uploader.h"
#include "kernels/cuda/weight_scales.cuh"
#include "kernels/ops.h"

namespace regatta {

// A matrix on the device, rows padded with zeros to 16 bytes.
struct CudaWeight final : Weight {
  Buffer buffer;
  Tensor matrix;  // [out, in]
  WeightScales scales;

  bool quantized() const { return scales.offset > 0; }
  const void* scale_data() const { return matrix.as<char>() + scales.offset; }
};

// Memory that both sides of one transfer use: pinned on the host, and its image on the device.
// Grows, never shrinks.
struct Staging {
  Buffer host;
  Buffer device;

  void Grow(Ops& ops, size_t num_bytes);
};

struct AttentionCall;  // attention_call.cuh
struct LinearPlan;     // linear_plan.h
struct LinearCandidates;
struct LinearAddNorm;
struct SkinnyProduct;  // skinny_product.h
struct WideProduct;    // wide_product.h
struct WideShape;

// Tokens of a step grouped by expert, on the device; sized by Reserve.
struct ExpertScratch {
  int max_tokens = 0, max_pairs = 0, max_local = 0, width = 0, hidden = 0;
  Buffer start;        // int32 [num_local + 1]: rows of expert e are [start[e], start[e + 1])
  Buffer token;        // int32 [pairs]: the token of a row
  Buffer row_of_pair;  // int32 [T, k]: the row of a choice, or -1
  Buffer tiles;        // int32 [tiles, 2]: expert and first row of a tile; expert -1 = unused
  Buffer activated;    // [pairs, F], rows padded to 8 elements
  Buffer down;         // float32 [pairs, D]
};

class CudaOps final : public Ops {
 public:
  CudaOps();
  ~CudaOps() override;
  bool Open(int device, std::string* error);

  int device() const { return device_; }
  cudaStream_t stream() const { return stream_; }

  std::string Name() const override { return "cuda"; }
  void BindThread() override { Check(cudaSetDevice(device_), "cudaSetDevice"); }
  Buffer Allocate(size_t num_bytes) override;
  Buffer AllocateHost(size_t num_bytes) override;
  void CopyToDevice(void* device, const void* host, size_t num_bytes) override;
  void CopyToHost(void* host, const void* device, size_t num_bytes) override;
  bool Sync(std::string* error) override;
  bool Healthy(std::string* error) override;
  std::unique_ptr<Marker> MakeMarker() override;
  void Mark(Marker& marker) override;
  std::unique_ptr<Graph> Capture(const std::function<void()>& record) override;
  bool HasGraphs() const override { return true; }
  uint64_t FreeDeviceMemory() override;
  void SetDeterministic(bool on) override;
  std::vector<int> TuningSizes(int most) const override;
  void SetTuning(bool on) override;
  std::string ExportTuning() const override;
  bool ImportTuning(const std::string& bytes) override;
  void UseOwn(OwnUse use, int multiprocessors);
  uint64_t own_taken() const { return own_taken_; }
  uint64_t adding_taken() const { return adding_taken_; }
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
  void Attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionBatch& batch,
                 const AttentionParams& params, const KvLayer& cache,
                 const Activation& out) override;
  void GatedProduct(const Activation& x, const Weight& weight, const Tensor& gate_up,
                    const Activation& out) override;
  void LinearReduceAddNorm(const Activation& x, const Weight& weight, Reducer& reducer,
                           const Tensor& residual, const Tensor& delta, const Tensor& norm_weight,
                           float eps, const Activation& out) override;

 private:
  // Output features, tokens, input features, strides of x and out, form of the weight's input,
  // dtypes of x and out, bias, and alignments of x and out in bytes.
  using LinearKey = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, ActivationFormat, DType,
                               DType, bool, int, int>;

  // Rows of a matrix, of host memory (read on return) or this device's, to the device.
  void PlaceRows(void* device, size_t device_stride, const HostRows& from);
  // Rows of pageable memory to the device, read on return.
  void Upload(void* device, size_t device_stride, const HostRows& from);
  // Keeps the first failure; later ones follow from it.
  void Check(cudaError_t status, const char* what);
  void Launched(const char* what) { Check(cudaGetLastError(), what); }
  void CopyRows(const Tensor& from, const int32_t* rows, const int32_t* drawn, int64_t first_row,
                const Tensor& out);
  std::unique_ptr<Weight> QuantizeRows(const Tensor& host_matrix,
                                       std::unique_ptr<CudaWeight> weight);
  LinearPlan& PlanLinear(const Activation& x, const CudaWeight& weight, const Tensor& bias,
                         const Tensor& out);
  // What a choice is kept under.
  static LinearShape ShapeOf(const Tensor& x, const CudaWeight& weight, DType out, LinearTail tail);
  // At most `most` ways of cuBLASLt to run the plan's product. Partial sums of split products stay
  // in float32; `whole`: nothing is split.
  LinearCandidates CandidatesFor(const LinearPlan& plan, const Tensor& x, const Tensor& out,
                                 bool whole, int most) const;
  // Whether a way that was measured with another number of tokens can run this plan.
  bool Runs(const LinearPlan& plan, const cublasLtMatmulAlgo_t& algorithm) const;
  // `product` names the operands, however it is chosen to run.
  void ChooseLinear(const SkinnyProduct& product, const CudaWeight& weight, LinearPlan& plan);
  void MeasureChoices(const SkinnyProduct& product, const CudaWeight& weight,
                      const LinearCandidates& candidates, LinearPlan& plan);
  void ChooseForAnyTokens(const SkinnyProduct& product, const CudaWeight& weight, LinearPlan& plan);
  // out = x W^T + beta * out, by cuBLASLt.
  bool Multiply(const LinearPlan& plan, const cublasLtMatmulAlgo_t& algorithm, const Activation& x,
                const CudaWeight& weight, const Tensor& out, float beta = 0);
  bool AddLinear(const LinearAddNorm& call);
  LinearChoice ChooseAdding(const LinearPlan& plan, const LinearAddNorm& call);
  cublasLtMatmulAlgo_t FastestOf(const LinearCandidates& candidates,
                                 const std::function<bool(const cublasLtMatmulAlgo_t&)>& multiply);
  float SecondsOf(const std::function<bool()>& issue);
  float SecondsBehindLead(const std::function<bool()>& issue);
  bool GatedLinear(const Activation& x, const CudaWeight& weight, const Tensor& gate_up,
                   const Activation& out);
  bool may_use_own() const { return !deterministic_ && own_use_ != OwnUse::kNever; }
  bool ChoosesWideGate(const WideProduct& product, const CudaWeight& weight, const WideShape& shape,
                       const Tensor& gate_up);
  static void CheckInput(const Activation& x, const CudaWeight& weight);
  bool PlannedLinear(const Activation& x, const CudaWeight& weight, const Tensor& bias,
                     const Tensor& out);
  static void CheckNewTokens(const Tensor& q, const Tensor& k, const Tensor& v,
                             const AttentionBatch& batch, const AttentionParams& params,
                             const KvLayer& cache);
  AttentionCall CallOf(const Tensor& q, const AttentionBatch& batch, const AttentionParams& params,
                       const KvLayer& cache, const Activation& out) const;
  Tensor AttentionWorkspace() const;
  void ReserveExperts(int max_tokens, const MoeParams& moe, int expert_width, int hidden);

  int device_ = 0;
  int num_multiprocessors_ = 0;
  cudaStream_t stream_ = nullptr;
  std::unique_ptr<Uploader> uploader_;  // once something large was copied
  GraphPool graphs_;
  cublasLtHandle_t blas_ = nullptr;
  Buffer blas_workspace_;
  Buffer attention_workspace_;
  std::map<LinearKey, std::unique_ptr<LinearPlan>> linear_plans_;
  std::unique_ptr<LinearChoices> linear_choices_;
  bool tuning_ = false;
  bool deterministic_ = false;
  OwnUse own_use_ = OwnUse::kMeasured;
  int own_multiprocessors_ = 0;  // that products by our kernels are dealt out to
  uint64_t own_taken_ = 0, adding_taken_ = 0;
  ExpertScratch experts_;
  Staging staging_;
  int max_rows_ = 0;
  std::string failure_;
};

}  // namespace regatta
