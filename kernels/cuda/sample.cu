// Sampling on the device, one block per row, without sorting; where rows are few, a cluster of
// blocks looks for a row's most likely token. In order: bias, penalties, suppressed
// ids and mask, then greedy, or temperature, min-p, top-k, top-p and one draw; log-probabilities
// are of the raw row.
#include <algorithm>
#include <cstring>

#include "kernels/cuda/cluster.cuh"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/dependent_launch.cuh"
#include "kernels/cuda/sample_row.cuh"
#include "kernels/philox.h"

namespace regatta {
namespace {

constexpr float kOne = 0x1p40f;  // the weight of the most likely token, as an integer

// A row's parameters as they travel; places are indices into the arrays of the same transfer.
struct RowPlan {
  SampleRow row;
  int suppressed_at;
  int listed_at;
};

// The arrays of one call, all in one staging area.
struct SampleArrays {
  RowPlan* plans;
  uint32_t* suppressed;
  float* hidden;     // raw logits of suppressed ids while they are hidden
  uint32_t* tokens;  // results from here on
  float* logprobs;
  uint32_t* listed_ids;
  float* listed_logprobs;
};

// Logits that the draw is made from. In memory, for the time being, suppressed ones are -infinity
// and biases are added.
struct AdjustedRow {
  const float* logits;
  const int32_t* in_prompt;  // or null
  const int32_t* in_output;
  const uint32_t* mask;  // or null
  float repetition, presence, frequency;

  __device__ float Adjust(int i, float logit) const {
    if (logit != logit) return -INFINITY;
    if (mask != nullptr && (mask[i / 32] >> (i % 32) & 1) == 0) return -INFINITY;
    if (in_prompt != nullptr) {
      const int32_t count = in_output[i];
      if (in_prompt[i] > 0 || count > 0) {
        logit = logit > 0 ? logit / repetition : logit * repetition;
      }
      logit -= frequency * static_cast<float>(count);
      logit -= count > 0 ? presence : 0.0f;
    }
    return logit + 0.0f;  // no negative zero
  }
  __device__ float operator()(int i) const { return Adjust(i, logits[i]); }
};

// Which tokens may be drawn, and their weights.
struct Filter {
  float max, temperature, min_p;
  uint32_t order;  // tokens above it are kept
  int last_tie;    // and those at it up to this id

  __device__ uint64_t Weight(float logit) const {
    const float weight = logit == max ? 1.0f : expf((logit - max) / temperature);
    return weight < min_p ? 0 : static_cast<uint64_t>(weight * kOne);
  }
  __device__ uint64_t Kept(int i, float logit) const {
    const uint32_t own = OrderOf(logit);
    return own > order || (own == order && i <= last_tie) ? Weight(logit) : 0;
  }
};

// Keeps the tokens that make up `need` of `measure`, most likely first. Everything kept so far
// measures at least `need`.
template <typename Measure>
__device__ void Restrict(Filter& filter, const AdjustedRow& logit, const Measure& measure,
                         int vocab, uint64_t need) {
  const uint32_t low = max(filter.order, OrderOf(-INFINITY));
  Pivots pivots;  // weights fall from one octave to the next, down to nothing
  for (int j = 0; j < kPivots; ++j) {
    pivots.at[j] = OrderOf(filter.max - filter.temperature * static_cast<float>(32 >> j));
  }
  const Threshold threshold =
      FindThreshold(logit, measure, vocab, need, low, OrderOf(filter.max) + 1, pivots);
  const auto tied = [&](int i, float value) {
    return OrderOf(value) == threshold.order ? measure(i, value) : uint64_t{0};
  };
  const int last_tie = FindInOrder(logit, tied, vocab, need - threshold.above - 1);
  filter.order = threshold.order;
  filter.last_tie = last_tie;
}

__device__ int Draw(const SampleRow& row, const AdjustedRow& logit, const Ranked& first,
                    int vocab) {
  Filter filter{first.logit, row.temperature, row.min_p, 0, vocab};
  const auto sum = [&](const auto& measure) {
    uint64_t own = 0;
    ForEachToken(logit, vocab, [&](int i, float value) { own += measure(i, value); });
    return BlockSum(own);
  };
  const auto weight = [&](int i, float value) { return filter.Kept(i, value); };
  const auto count = [&](int i, float value) { return uint64_t{filter.Kept(i, value) > 0}; };
  if (row.top_k > 0 && sum(count) > static_cast<uint64_t>(row.top_k)) {
    Restrict(filter, logit, count, vocab, row.top_k);
  }
  uint64_t total = sum(weight);
  if (row.top_p > 0 && row.top_p < 1) {
    const double need = ceil(static_cast<double>(row.top_p) * static_cast<double>(total));
    Restrict(filter, logit, weight, vocab, max(uint64_t{1}, static_cast<uint64_t>(need)));
    total = sum(weight);
  }
  const double place = UniformOf(row.seed, row.output_index) * static_cast<double>(total);
  const uint64_t target = min(static_cast<uint64_t>(place), total - 1);
  const int token = FindInOrder(logit, weight, vocab, target);
  return token < 0 ? first.id : token;
}

// The `count` most likely tokens of a row, most likely first.
__device__ void ListMostLikely(const PlainRow& row, int vocab, float log_sum, int count,
                               uint32_t* ids, float* logprobs) {
  Ranked last{INFINITY, -1};
  for (int i = 0; i < count; ++i) {
    last = NextRanked(row, vocab, last);
    if (threadIdx.x == 0) {
      ids[i] = last.id;
      logprobs[i] = last.logit - log_sum;
    }
  }
}

// Adds a row's biases to its logits, or puts the logits back.
__device__ void Bias(const SampleRow& row, const SamplePool& pool, float* logits, bool add) {
  if (row.num_bias == 0) return;
  const auto* ids =
      static_cast<const int32_t*>(pool.bias_ids.data) + row.bias_row * pool.bias_ids.row_stride;
  const auto* bias =
      static_cast<const float*>(pool.bias.data) + row.bias_row * pool.bias.row_stride;
  auto* hidden =
      static_cast<float*>(pool.bias_hidden.data) + row.bias_row * pool.bias_hidden.row_stride;
  __syncthreads();
  for (int i = threadIdx.x; i < row.num_bias; i += kSampleThreads) {
    if (add) hidden[i] = logits[ids[i]];
    logits[ids[i]] = add ? hidden[i] + bias[i] : hidden[i];
  }
  __syncthreads();
}

// What a row without a finite logit gives.
__device__ int LowestAllowed(const uint32_t* mask, int vocab) {
  for (int word = 0; mask != nullptr && word < MaskWords(vocab); ++word) {
    const int id = word * 32 + __ffs(static_cast<int>(mask[word])) - 1;
    if (mask[word] != 0 && id < vocab) return id;
  }
  return 0;
}

// Hides the suppressed ids of a row behind -infinity, or puts their logits back.
__device__ void Suppress(const RowPlan& plan, const SampleArrays& arrays, float* logits,
                         bool hide) {
  const uint32_t* ids = arrays.suppressed + plan.suppressed_at;
  float* hidden = arrays.hidden + plan.suppressed_at;
  if (plan.row.num_suppressed == 0) return;
  __syncthreads();
  for (int i = threadIdx.x; hide && i < plan.row.num_suppressed; i += kSampleThreads) {
    hidden[i] = logits[ids[i]];
  }
  __syncthreads();
  for (int i = threadIdx.x; i < plan.row.num_suppressed; i += kSampleThreads) {
    logits[ids[i]] = hide ? -INFINITY : hidden[i];
  }
  __syncthreads();
}

// Whether a draw is made from the logits as they are.
__device__ bool IsPlain(const SampleRow& row) {
  return row.penalty_row < 0 && row.mask_row < 0 && row.num_bias == 0 && row.num_suppressed == 0;
}

// The most likely token of a row of which each block of the cluster searches its part.
__device__ Ranked MostLikelyOfCluster(const PlainRow& row, int vocab) {
  __shared__ Ranked part;
  const int blocks = static_cast<int>(gridDim.x);
  const int share = (vocab + blocks - 1) / blocks;
  const int begin = min(static_cast<int>(blockIdx.x) * share, vocab);
  Ranked first = MostLikely({row.logits + begin}, min(share, vocab - begin));
  first.id += begin;
  if (threadIdx.x == 0) part = first;
  SyncCluster();
  for (int block = 0; block < blocks; ++block) {
    const float id = LoadOfBlock(reinterpret_cast<const float*>(&part.id), block);
    const Ranked other{LoadOfBlock(&part.logit, block), __float_as_int(id)};
    if (Before(other, first)) first = other;
  }
  SyncCluster();  // what others read stays until they have
  return first;
}

// Blocks along x are a cluster of one row; the first of them draws.
__global__ void __launch_bounds__(kSampleThreads)
    SampleKernel(Tensor logits, SamplePool pool, SampleArrays arrays, const int32_t* slots,
                 int32_t* drawn) {
  FollowPrevious();
  const RowPlan& plan = arrays.plans[blockIdx.y];
  const SampleRow& row = plan.row;
  const int vocab = static_cast<int>(logits.shape[1]);
  float* raw = static_cast<float*>(logits.data) + blockIdx.y * logits.row_stride;
  const bool plain = IsPlain(row);
  Ranked first{};
  if (plain) first = MostLikelyOfCluster({raw}, vocab);
  if (blockIdx.x > 0) return;
  AdjustedRow adjusted{raw,
                       nullptr,
                       nullptr,
                       nullptr,
                       row.repetition_penalty > 0 ? row.repetition_penalty : 1,
                       row.presence_penalty,
                       row.frequency_penalty};
  int32_t* counts = nullptr;
  if (row.penalty_row >= 0) {
    counts = static_cast<int32_t*>(pool.output_counts.data) +
             row.penalty_row * pool.output_counts.row_stride;
    adjusted.in_output = counts;
    adjusted.in_prompt = static_cast<const int32_t*>(pool.prompt_counts.data) +
                         row.penalty_row * pool.prompt_counts.row_stride;
  }
  if (row.mask_row >= 0) {
    adjusted.mask =
        static_cast<const uint32_t*>(pool.masks.data) + row.mask_row * pool.masks.row_stride;
  }
  Bias(row, pool, raw, true);
  Suppress(plan, arrays, raw, true);
  if (!plain) first = NextRanked(adjusted, vocab, {INFINITY, -1});
  int token = first.logit == -INFINITY ? LowestAllowed(adjusted.mask, vocab) : first.id;
  if (row.temperature > 0 && first.logit > -INFINITY) token = Draw(row, adjusted, first, vocab);
  if (row.random_next && adjusted.mask == nullptr) {
    token = static_cast<int>(RandomId(row.seed, row.output_index, vocab));
  }
  Suppress(plan, arrays, raw, false);
  Bias(row, pool, raw, false);
  float logprob = 0;
  if (row.num_logprobs >= 0) {
    const PlainRow plain{raw};
    const float log_sum = LogSumExp(plain, vocab, MostLikely(plain, vocab).logit);
    logprob = raw[token] - log_sum;
    ListMostLikely(plain, vocab, log_sum, min(row.num_logprobs, vocab),
                   arrays.listed_ids + plan.listed_at, arrays.listed_logprobs + plan.listed_at);
  }
  if (threadIdx.x == 0) {
    arrays.tokens[blockIdx.y] = token;
    drawn[slots[blockIdx.y]] = token;
    arrays.logprobs[blockIdx.y] = logprob;
    if (counts != nullptr) ++counts[token];
  }
}

// Results of TokenLogprobs behind one another in one area: [N], [N, K], [N, K].
struct GivenArrays {
  float* given;
  uint32_t* top_ids;
  float* top_logprobs;

  GivenArrays(void* memory, int64_t rows, int top)
      : given(static_cast<float*>(memory)),
        top_ids(reinterpret_cast<uint32_t*>(given + rows)),
        top_logprobs(reinterpret_cast<float*>(top_ids + rows * top)) {}
};

__global__ void __launch_bounds__(kSampleThreads)
    TokenLogprobsKernel(Tensor logits, const int32_t* ids, int top, GivenArrays out) {
  const int vocab = static_cast<int>(logits.shape[1]);
  const PlainRow row{static_cast<const float*>(logits.data) + blockIdx.x * logits.row_stride};
  const float log_sum = LogSumExp(row, vocab, MostLikely(row, vocab).logit);
  if (threadIdx.x == 0) out.given[blockIdx.x] = row.logits[ids[blockIdx.x]] - log_sum;
  const int64_t listed_at = int64_t{blockIdx.x} * top;
  ListMostLikely(row, vocab, log_sum, top, out.top_ids + listed_at, out.top_logprobs + listed_at);
}

// Sizes of one call's arrays, and where they lie in a staging area.
struct SampleLayout {
  int64_t rows = 0, suppressed = 0, listed = 0;

  size_t results_at() const { return rows * sizeof(RowPlan) + 8 * suppressed; }
  size_t num_bytes() const { return results_at() + 8 * rows + 8 * listed; }
  SampleArrays In(void* memory) const {
    SampleArrays arrays;
    arrays.plans = static_cast<RowPlan*>(memory);
    arrays.suppressed = reinterpret_cast<uint32_t*>(arrays.plans + rows);
    arrays.hidden = reinterpret_cast<float*>(arrays.suppressed + suppressed);
    arrays.tokens = reinterpret_cast<uint32_t*>(arrays.hidden + suppressed);
    arrays.logprobs = reinterpret_cast<float*>(arrays.tokens + rows);
    arrays.listed_ids = reinterpret_cast<uint32_t*>(arrays.logprobs + rows);
    arrays.listed_logprobs = reinterpret_cast<float*>(arrays.listed_ids + listed);
    return arrays;
  }
};

// Blocks that search one row: as many as find a multiprocessor of their own.
int BlocksOfRow(int64_t rows, int num_multiprocessors) {
  constexpr int kMost = 8;
  if (!ShareMultiprocessors<&SampleKernel>().has_clusters) return 1;
  int cluster = 1;
  while (cluster < kMost && 2 * cluster * rows <= num_multiprocessors) cluster *= 2;
  return cluster;
}

int64_t NumListed(const SampleRow& row, int64_t vocab) {
  return std::clamp<int64_t>(row.num_logprobs, 0, vocab);
}

SampleLayout LayoutOf(const std::vector<SampleRow>& rows, int64_t vocab) {
  SampleLayout layout;
  layout.rows = static_cast<int64_t>(rows.size());
  for (const SampleRow& row : rows) {
    layout.suppressed += row.num_suppressed;
    layout.listed += NumListed(row, vocab);
  }
  return layout;
}

void WritePlans(const std::vector<SampleRow>& rows, int64_t vocab, const SampleArrays& arrays) {
  int suppressed = 0, listed = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    arrays.plans[i] = {rows[i], suppressed, listed};
    for (int j = 0; j < rows[i].num_suppressed; ++j) {
      CHECK_LT(rows[i].suppressed[j], vocab);
      arrays.suppressed[suppressed++] = rows[i].suppressed[j];
    }
    listed += static_cast<int>(NumListed(rows[i], vocab));
  }
}

// Everything that one Sample moves to the device and back.
class StagedDraws final : public Draws {
 public:
  StagedDraws(Ops& ops, int max_rows) {
    constexpr size_t kBytesPerRow = 512;  // a row's parameters, some suppressed ids and logprobs
    staging.Grow(ops, max_rows * kBytesPerRow);
  }

  void Read(SampleResult& result) const override {
    const SampleArrays arrays = layout.In(staging.host.data());
    result.tokens.assign(arrays.tokens, arrays.tokens + layout.rows);
    result.logprobs.assign(arrays.logprobs, arrays.logprobs + layout.rows);
    result.top_logprobs.resize(layout.rows);
    for (int64_t i = 0; i < layout.rows; ++i) {
      result.top_logprobs[i].clear();
      const RowPlan& plan = arrays.plans[i];
      for (int64_t j = 0; j < NumListed(plan.row, vocab); ++j) {
        result.top_logprobs[i].emplace_back(arrays.listed_ids[plan.listed_at + j],
                                            arrays.listed_logprobs[plan.listed_at + j]);
      }
    }
  }

  Staging staging;
  SampleLayout layout;
  int64_t vocab = 0;
};

}  // namespace

std::unique_ptr<Draws> CudaOps::MakeDraws(int max_rows) {
  return std::make_unique<StagedDraws>(*this, max_rows);
}

void CudaOps::Sample(const Tensor& logits, const std::vector<SampleRow>& rows,
                     const SamplePool& pool, const int32_t* slots, int32_t* drawn, Draws& draws) {
  auto& staged = static_cast<StagedDraws&>(draws);
  const int64_t vocab = logits.dim(1);
  CHECK(logits.dtype == DType::kFloat32);
  CHECK_EQ(logits.dim(0), static_cast<int64_t>(rows.size()));
  staged.vocab = vocab;
  staged.layout = LayoutOf(rows, vocab);
  if (rows.empty()) return;
  const SampleLayout& layout = staged.layout;
  staged.staging.Grow(*this, layout.num_bytes());  // beyond its size for long lists of ids alone
  char* host = static_cast<char*>(staged.staging.host.data());
  char* device = static_cast<char*>(staged.staging.device.data());
  WritePlans(rows, vocab, layout.In(host));
  const size_t results = layout.results_at();
  Check(cudaMemcpyAsync(device, host, results, cudaMemcpyHostToDevice, stream_), "Sample");
  const int cluster = BlocksOfRow(layout.rows, num_multiprocessors_);
  LaunchEarly<&SampleKernel>(
      {.grid = dim3(cluster, layout.rows), .block = kSampleThreads, .cluster = cluster}, stream_,
      logits, pool, layout.In(device), slots, drawn);
  Launched("Sample");
  Check(cudaMemcpyAsync(host + results, device + results, layout.num_bytes() - results,
                        cudaMemcpyDeviceToHost, stream_),
        "Sample");
}

void CudaOps::TokenLogprobs(const Tensor& logits, const int32_t* ids, int num_top,
                            GivenLogprobs& result) {
  CHECK(logits.dtype == DType::kFloat32);
  CHECK_LE(num_top, static_cast<int>(kMaxTopLogprobs));
  const int64_t rows = logits.dim(0);
  const int top = static_cast<int>(std::min<int64_t>(num_top, logits.dim(1)));
  result.given.resize(rows);
  result.top_ids.resize(rows * top);
  result.top_logprobs.resize(rows * top);
  if (rows == 0) return;
  CHECK_LE(rows, max_rows_) << "beyond Reserve";
  const GivenArrays device(staging_.device.data(), rows, top);
  TokenLogprobsKernel<<<static_cast<unsigned>(rows), kSampleThreads, 0, stream_>>>(logits, ids, top,
                                                                                   device);
  Launched("TokenLogprobs");
  CopyToHost(result.given.data(), device.given, rows * sizeof(float));
  if (top == 0) return;
  CopyToHost(result.top_ids.data(), device.top_ids, rows * top * sizeof(uint32_t));
  CopyToHost(result.top_logprobs.data(), device.top_logprobs, rows * top * sizeof(float));
}

}  // namespace regatta
