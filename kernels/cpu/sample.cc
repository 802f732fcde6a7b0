// Sampling of rows of logits. In order: log-probabilities of the raw distribution, bias, penalties,
// suppressed ids and mask, then greedy, or temperature, min-p, top-k, top-p and one draw.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/sample_filters.h"
#include "kernels/cpu/vector_math.h"
#include "kernels/philox.h"

namespace regatta {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

float LogSumExp(const float* logits, int64_t vocab) {
  const float max = Max(vocab, [&](int64_t i) { return logits[i]; });
  return max + std::log(FixedOrderSum(vocab, [&](int64_t i) { return Exp(logits[i] - max); }));
}

// Repetition penalty as in CTRL (Keskar et al. 2019) over prompt and output; presence and frequency
// penalties as in OpenAI's API over the output.
void Penalize(const SampleRow& row, const SamplePool& pool, float* logits, int64_t vocab) {
  const int32_t* in_prompt =
      pool.prompt_counts.as<int32_t>() + row.penalty_row * pool.prompt_counts.row_stride;
  const int32_t* in_output =
      pool.output_counts.as<int32_t>() + row.penalty_row * pool.output_counts.row_stride;
  const float repetition = row.repetition_penalty > 0 ? row.repetition_penalty : 1.0f;
  for (int64_t i = 0; i < vocab; ++i) {
    const bool repeated = in_prompt[i] > 0 || in_output[i] > 0;
    const float scaled = logits[i] > 0 ? logits[i] / repetition : logits[i] * repetition;
    logits[i] = repeated ? scaled : logits[i];
    logits[i] -= row.frequency_penalty * static_cast<float>(in_output[i]);
    logits[i] -= in_output[i] > 0 ? row.presence_penalty : 0.0f;
  }
}

void AddBias(const SampleRow& row, const SamplePool& pool, float* logits, int64_t vocab) {
  const int32_t* ids = pool.bias_ids.as<int32_t>() + row.bias_row * pool.bias_ids.row_stride;
  const float* bias = pool.bias.as<float>() + row.bias_row * pool.bias.row_stride;
  for (int i = 0; i < row.num_bias; ++i) {
    CheckIndex("biased id", ids[i], vocab);
    logits[ids[i]] += bias[i];
  }
}

// Of a row with a mask; null without.
const uint32_t* MaskOf(const SampleRow& row, const SamplePool& pool) {
  if (row.mask_row < 0) return nullptr;
  return pool.masks.as<uint32_t>() + row.mask_row * pool.masks.row_stride;
}

bool Allows(const uint32_t* mask, int64_t id) { return (mask[id / 32] >> (id % 32) & 1) != 0; }

// Logits the draw is made from: NaN, suppressed and masked ids cannot be drawn.
void AdjustLogits(const float* raw, const SampleRow& row, const SamplePool& pool, int64_t vocab,
                  float* logits) {
  for (int64_t i = 0; i < vocab; ++i) logits[i] = raw[i] == raw[i] ? raw[i] : -kInfinity;
  if (row.num_bias > 0) AddBias(row, pool, logits, vocab);
  if (row.penalty_row >= 0) Penalize(row, pool, logits, vocab);
  for (int i = 0; i < row.num_suppressed; ++i) {
    CheckIndex("suppressed id", row.suppressed[i], vocab);
    logits[row.suppressed[i]] = -kInfinity;
  }
  const uint32_t* mask = MaskOf(row, pool);
  if (mask == nullptr) return;
  for (int64_t i = 0; i < vocab; ++i) logits[i] = Allows(mask, i) ? logits[i] : -kInfinity;
}

uint32_t ArgMax(const float* logits, int64_t vocab) {
  const float max = Max(vocab, [&](int64_t i) { return logits[i]; });
  const float* place = std::find(logits, logits + vocab, max);
  return static_cast<uint32_t>(place - logits);
}

// Where nothing can be drawn.
uint32_t LowestAllowed(const uint32_t* mask, int64_t vocab) {
  int64_t id = 0;
  while (mask != nullptr && id < vocab && !Allows(mask, id)) ++id;
  return id < vocab ? static_cast<uint32_t>(id) : 0;
}

uint32_t SampleToken(const SampleRow& row, const uint32_t* mask, SampleScratch& scratch,
                     int64_t vocab) {
  const float* logits = scratch.logits.data();
  const uint32_t most_likely = ArgMax(logits, vocab);
  if (logits[most_likely] == -kInfinity) return LowestAllowed(mask, vocab);
  if (row.temperature <= 0) return most_likely;
  const float max = logits[most_likely];
  scratch.weights.resize(vocab);
  for (int64_t i = 0; i < vocab; ++i) {
    scratch.weights[i] = Exp((logits[i] - max) / row.temperature);
  }
  if (row.min_p > 0) KeepMinP(row.min_p, scratch.weights);
  if (row.top_k > 0) KeepTopK(row.top_k, scratch.weights, scratch.ids);
  if (row.top_p > 0 && row.top_p < 1) KeepTopP(row.top_p, scratch.weights, scratch.ids);
  return Draw(UniformOf(row.seed, row.output_index), scratch.weights, most_likely);
}

// The `count` most likely tokens of raw logits, most likely first, equal ones by id. Not worth
// compiling for every instruction set.
[[gnu::noinline]] void RankMostLikely(const float* logits, int64_t vocab, int64_t count,
                                      std::vector<uint32_t>& ids) {
  ids.resize(vocab);
  for (int64_t i = 0; i < vocab; ++i) ids[i] = static_cast<uint32_t>(i);
  std::partial_sort(ids.begin(), ids.begin() + count, ids.end(), [&](uint32_t a, uint32_t b) {
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
  });
  ids.resize(count);
}

struct CpuDraws final : Draws {
  void Read(SampleResult& to) const override { to = result; }
  SampleResult result;
};

}  // namespace

std::unique_ptr<Draws> CpuOps::MakeDraws(int max_rows) { return std::make_unique<CpuDraws>(); }

void CpuOps::Sample(const Tensor& logits, const std::vector<SampleRow>& rows,
                    const SamplePool& pool, const int32_t* slots, int32_t* drawn, Draws& draws) {
  SampleResult& result = static_cast<CpuDraws&>(draws).result;
  const int64_t num_rows = logits.dim(0);
  const int64_t vocab = logits.dim(1);
  CHECK(logits.dtype == DType::kFloat32);
  CHECK_EQ(num_rows, static_cast<int64_t>(rows.size()));
  CHECK_LE(vocab, static_cast<int64_t>(scratch_.sample[0].logits.size())) << "beyond Reserve";
  result.tokens.resize(num_rows);
  result.logprobs.assign(num_rows, 0.0f);
  result.top_logprobs.resize(num_rows);
  constexpr int64_t kMinCost = 1 << 13;  // tokens worth waking a thread for
  pool_.ParallelFor(num_rows, kMinCost / vocab + 1, [&](int64_t begin, int64_t end, int thread) {
    SampleScratch& scratch = scratch_.sample[thread];
    Vectorized(isa_, [&](auto) {
      for (int64_t i = begin; i < end; ++i) {
        const SampleRow& row = rows[i];
        const float* raw = logits.as<float>() + i * logits.row_stride;
        AdjustLogits(raw, row, pool, vocab, scratch.logits.data());
        uint32_t token = SampleToken(row, MaskOf(row, pool), scratch, vocab);
        if (row.random_next && row.mask_row < 0) {
          token = RandomId(row.seed, row.output_index, vocab);
        }
        result.tokens[i] = token;
        drawn[slots[i]] = static_cast<int32_t>(token);
        result.top_logprobs[i].clear();
        if (row.num_logprobs >= 0) {
          const float log_sum = LogSumExp(raw, vocab);
          result.logprobs[i] = raw[token] - log_sum;
          RankMostLikely(raw, vocab, std::min<int64_t>(row.num_logprobs, vocab), scratch.ids);
          for (const uint32_t id : scratch.ids) {
            result.top_logprobs[i].emplace_back(id, raw[id] - log_sum);
          }
        }
        if (row.penalty_row >= 0) {
          const Tensor& counts = pool.output_counts;
          ++counts.as<int32_t>()[row.penalty_row * counts.row_stride + token];
        }
      }
    });
  });
}

void CpuOps::TokenLogprobs(const Tensor& logits, const int32_t* ids, int num_top,
                           GivenLogprobs& result) {
  CHECK(logits.dtype == DType::kFloat32);
  CHECK_LE(num_top, static_cast<int>(kMaxTopLogprobs));
  const int64_t rows = logits.dim(0);
  const int64_t vocab = logits.dim(1);
  const int64_t top = std::min<int64_t>(num_top, vocab);
  result.given.resize(rows);
  result.top_ids.resize(rows * top);
  result.top_logprobs.resize(rows * top);
  constexpr int64_t kMinCost = 1 << 14;  // tokens worth waking a thread for
  pool_.ParallelFor(rows, kMinCost / vocab + 1, [&](int64_t begin, int64_t end, int thread) {
    std::vector<uint32_t>& ranked = scratch_.sample[thread].ids;
    Vectorized(isa_, [&](auto) {
      for (int64_t i = begin; i < end; ++i) {
        CheckIndex("id", ids[i], vocab);
        const float* row = logits.as<float>() + i * logits.row_stride;
        const float log_sum = LogSumExp(row, vocab);
        result.given[i] = row[ids[i]] - log_sum;
        if (top > 0) RankMostLikely(row, vocab, top, ranked);
        for (int64_t j = 0; j < top; ++j) {
          result.top_ids[i * top + j] = ranked[j];
          result.top_logprobs[i * top + j] = row[ranked[j]] - log_sum;
        }
      }
    });
  });
}

}  // namespace regatta
