// Expert MLPs: tokens are grouped by expert, each projection of all experts is one set of products,
// and each token adds its experts' outputs in order of expert id. Everything between is float32.
#include <algorithm>

#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/vector_math.h"

namespace regatta {
namespace {

// Local index of a chosen expert, or -1 when it lives on another rank.
int LocalExpert(const MoeParams& params, int32_t id) {
  CHECK_GE(id, 0);
  CHECK_LT(id, params.num_experts);
  const int local = id - params.first_expert;
  return local >= 0 && local < params.num_local ? local : -1;
}

// Sorts (token, expert) pairs by expert, then token; and lists each token's rows.
void GroupByExpert(const Tensor& ids, const Tensor& weights, const MoeParams& params,
                   ExpertScratch& scratch) {
  const int64_t num_tokens = ids.dim(0);
  std::fill_n(scratch.start.begin(), params.num_local + 1, 0);
  std::fill_n(scratch.token_start.begin(), num_tokens + 1, 0);
  const auto for_each_pair = [&](const auto& fn) {
    for (int64_t t = 0; t < num_tokens; ++t) {
      for (int i = 0; i < params.experts_per_token; ++i) {
        const int expert = LocalExpert(params, ids.as<int32_t>()[t * ids.row_stride + i]);
        if (expert >= 0) fn(t, expert, weights.as<float>()[t * weights.row_stride + i]);
      }
    }
  };
  for_each_pair([&](int64_t t, int expert, float) {
    ++scratch.start[expert + 1];
    ++scratch.token_start[t + 1];
  });
  for (int e = 0; e < params.num_local; ++e) scratch.start[e + 1] += scratch.start[e];
  for (int64_t t = 0; t < num_tokens; ++t) scratch.token_start[t + 1] += scratch.token_start[t];
  std::copy_n(scratch.start.begin(), params.num_local, scratch.cursor.begin());
  for_each_pair([&](int64_t t, int expert, float weight) {
    const int32_t row = scratch.cursor[expert]++;
    scratch.token[row] = static_cast<int32_t>(t);
    scratch.weight[row] = weight;
  });
  std::copy_n(scratch.token_start.begin(), num_tokens, scratch.cursor.begin());
  for (int32_t row = 0; row < scratch.start[params.num_local]; ++row) {
    scratch.token_rows[scratch.cursor[scratch.token[row]]++] = row;
  }
}

// One product per expert that has rows, from columns of `in` to columns of `out`, both float32 of
// given widths.
void ListProducts(const MoeWeights& weights, const Weight* MlpWeights::*projection,
                  const MoeParams& params, const float* in, int64_t in_stride, float* out,
                  ExpertScratch& scratch) {
  scratch.products.clear();
  for (int e = 0; e < params.num_local; ++e) {
    const int64_t first = scratch.start[e];
    const int64_t rows = scratch.start[e + 1] - first;
    if (rows == 0) continue;
    const auto* weight = static_cast<const PanelWeight*>(weights.experts[e].*projection);
    const int64_t width = weight->out_features;
    scratch.products.push_back(
        {.x = in + first * in_stride,
         .x_stride = in_stride,
         .weight = weight,
         .out = Tensor::Of(out + first * width, DType::kFloat32, rows, width)});
  }
}

// The weighted sum of one token's expert outputs, in the order of its rows; 0 without any.
void CombineToken(int64_t token, int64_t hidden, const ExpertScratch& scratch, void* out,
                  DType dtype) {
  constexpr int kRun = 64;
  for (int64_t column = 0; column < hidden; column += kRun) {
    const int64_t run = std::min<int64_t>(kRun, hidden - column);
    float sum[kRun] = {};
    for (int32_t i = scratch.token_start[token]; i < scratch.token_start[token + 1]; ++i) {
      const int32_t row = scratch.token_rows[i];
      const float weight = scratch.weight[row];
      const float* output = scratch.input.data() + row * hidden + column;
      for (int64_t c = 0; c < run; ++c) sum[c] += weight * output[c];
    }
    Narrow(sum, run, dtype, static_cast<char*>(out) + column * SizeOf(dtype));
  }
}

}  // namespace

void CpuOps::MoeExperts(const Tensor& x, const Tensor& expert_ids, const Tensor& expert_weights,
                        const MoeParams& params, const MoeWeights& weights, const Tensor& out) {
  const int64_t hidden = x.dim(1);
  CHECK_EQ(static_cast<int>(weights.experts.size()), params.num_local);
  CHECK_GT(params.num_local, 0);
  CHECK_EQ(out.dim(0), x.dim(0));
  CHECK_EQ(out.dim(1), hidden);
  const int64_t width = weights.experts[0].down->in_features;
  ExpertScratch& scratch = scratch_.experts;
  CHECK_LT(x.dim(0), static_cast<int64_t>(scratch.token_start.size())) << "beyond Reserve";
  CHECK_LT(params.num_local, static_cast<int64_t>(scratch.start.size())) << "beyond Reserve";
  GroupByExpert(expert_ids, expert_weights, params, scratch);
  const int64_t num_rows = scratch.start[params.num_local];
  CHECK_LE(num_rows * hidden, static_cast<int64_t>(scratch.input.size())) << "beyond Reserve";
  CHECK_LE(num_rows * 2 * width, static_cast<int64_t>(scratch.gate_up.size())) << "beyond Reserve";
  float* input = scratch.input.data();
  float* gate_up = scratch.gate_up.data();

  ForEachRow(num_rows, hidden, [&](int64_t row) {
    const int64_t from = scratch.token[row] * x.row_stride;
    Widen(ElementOf(x, from), x.dtype, hidden, input + row * hidden);
  });
  ListProducts(weights, &MlpWeights::gate_up, params, input, hidden, gate_up, scratch);
  Multiply(pool_, isa_, scratch.products);
  ForEachRow(num_rows, 4 * width, [&](int64_t row) {
    float* gate = gate_up + row * 2 * width;
    for (int64_t i = 0; i < width; ++i) gate[i] = Silu(gate[i]) * gate[width + i];
  });
  ListProducts(weights, &MlpWeights::down, params, gate_up, 2 * width, input, scratch);
  Multiply(pool_, isa_, scratch.products);

  ForEachRow(x.dim(0), hidden * params.experts_per_token, [&](int64_t t) {
    CombineToken(t, hidden, scratch, ElementOf(out, t * out.row_stride), out.dtype);
  });
}

}  // namespace regatta
