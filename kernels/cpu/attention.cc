// Paged causal attention with grouped heads (Ainslie et al. 2023), sliding windows and a streaming
// softmax (Milakov & Gimelshein 2018).
//
// A work item is a run of (query, head) rows that share one KV head of one sequence. Keys are
// visited in blocks of kAttentionKeys at fixed positions of the sequence, whatever the cache's
// block size, and blocks in which a row sees nothing leave it untouched: a row's result depends
// neither on the other rows of the step nor on how the prompt was cut into chunks.
#include <algorithm>
#include <limits>

#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/multiply.h"
#include "kernels/cpu/vector_math.h"

namespace regatta {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// What the call was given, plus sizes derived from it.
struct Call {
  const Tensor& q;
  const AttentionBatch& batch;
  const AttentionParams& params;
  const KvLayer& cache;
  const Activation& out;

  int dim() const { return params.head_dim; }
  // Widest panel is 32 floats: rows of values and sums are padded to it.
  int padded_dim() const { return (dim() + 31) / 32 * 32; }
  int group() const { return params.num_heads / params.num_kv_heads; }
  int64_t rows_of(int s) const {
    return int64_t{batch.query_start[s + 1] - batch.query_start[s]} * group();
  }
  int64_t items_of(int s) const {
    return (rows_of(s) + kAttentionRows - 1) / kAttentionRows * params.num_kv_heads;
  }
};

// Rows [first_row, first_row + num_rows) of the flattened (query, head of the group) pairs of one
// sequence and KV head.
struct Item {
  int sequence;
  int kv_head;
  int64_t first_row;
  int num_rows;
};

struct KeyRange {
  int64_t begin;
  int64_t end;
};

Item ItemOf(const Call& call, int sequence, int64_t index) {
  const int64_t first_row = index / call.params.num_kv_heads * kAttentionRows;
  const int64_t left = call.rows_of(sequence) - first_row;
  return {sequence, static_cast<int>(index % call.params.num_kv_heads), first_row,
          static_cast<int>(std::min<int64_t>(left, kAttentionRows))};
}

int64_t TokenOf(const Call& call, const Item& item, int row) {
  return call.batch.query_start[item.sequence] + (item.first_row + row) / call.group();
}

// Element offset of a row's head within its token's row of q or out.
int64_t HeadOffset(const Call& call, const Item& item, int row) {
  const int64_t head = int64_t{item.kv_head} * call.group() + (item.first_row + row) % call.group();
  return head * call.dim();
}

// Positions that a row may see.
KeyRange Visible(const Call& call, const Item& item, int row) {
  const int64_t position = call.batch.positions[TokenOf(call, item, row)];
  const int64_t window = call.params.sliding_window;
  return {window > 0 ? std::max<int64_t>(0, position - window + 1) : 0, position + 1};
}

void LoadQueries(const Call& call, const Item& item, AttentionScratch& scratch) {
  const int dim = call.dim();
  for (int row = 0; row < item.num_rows; ++row) {
    float* query = scratch.query + row * dim;
    const int64_t offset = TokenOf(call, item, row) * call.q.row_stride;
    Widen(ElementOf(call.q, offset + HeadOffset(call, item, row)), call.q.dtype, dim, query);
    for (int i = 0; i < dim; ++i) query[i] *= call.params.scale * call.cache.k_scale;
  }
}

// The row of `cache` for one position, as float32: in place when it is so stored, else widened to
// `buffer`.
const float* CachedRow(const Call& call, const Item& item, const Tensor& cache, int64_t position,
                       float* buffer) {
  const int64_t block_size = cache.dim(1);
  const int32_t* table = call.batch.block_table + call.batch.block_start[item.sequence];
  const int64_t block = table[position / block_size];
  CheckIndex("block", block, cache.dim(0));
  const int64_t row = position % block_size * call.params.num_kv_heads + item.kv_head;
  const void* stored = ElementOf(cache, block * cache.row_stride + row * call.dim());
  if (cache.dtype == DType::kFloat32) return static_cast<const float*>(stored);
  Widen(stored, cache.dtype, call.dim(), buffer);
  return buffer;
}

// Writes four rows of `dim` floats as columns [column, column + 4) of the transposed keys.
void TransposeFour(const float* const (&rows)[4], int dim, int column, float* keys) {
  typedef float Four __attribute__((vector_size(16)));
  int i = 0;
  for (; i + 4 <= dim; i += 4) {
    Four r[4];
    for (int j = 0; j < 4; ++j) std::memcpy(&r[j], rows[j] + i, sizeof(Four));
    const Four low01 = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
    const Four high01 = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
    const Four low23 = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
    const Four high23 = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    const Four columns[4] = {__builtin_shufflevector(low01, low23, 0, 1, 4, 5),
                             __builtin_shufflevector(low01, low23, 2, 3, 6, 7),
                             __builtin_shufflevector(high01, high23, 0, 1, 4, 5),
                             __builtin_shufflevector(high01, high23, 2, 3, 6, 7)};
    for (int j = 0; j < 4; ++j) {
      std::memcpy(keys + (i + j) * kAttentionKeys + column, &columns[j], sizeof(Four));
    }
  }
  for (; i < dim; ++i) {
    for (int j = 0; j < 4; ++j) keys[i * kAttentionKeys + column + j] = rows[j][i];
  }
}

// Brings the keys (transposed) and values at positions [range.begin, range.end) of the block at
// `block` into scratch, zeros elsewhere: cache slots outside the range may hold anything.
void GatherBlock(const Call& call, const Item& item, int64_t block, const KeyRange& range,
                 AttentionScratch& scratch) {
  static const float kZeros[kMaxHeadDim] = {};
  const int dim = call.dim();
  const int padded = call.padded_dim();
  for (int key = 0; key < kAttentionKeys; key += 4) {
    float buffer[4][kMaxHeadDim];
    const float* rows[4];
    for (int j = 0; j < 4; ++j) {
      const int64_t position = block + key + j;
      const bool in_range = position >= range.begin && position < range.end;
      rows[j] = in_range ? CachedRow(call, item, call.cache.k, position, buffer[j]) : kZeros;
      float* value = scratch.values + (key + j) * padded;
      const float* stored =
          in_range ? CachedRow(call, item, call.cache.v, position, value) : kZeros;
      if (stored != value) std::copy_n(stored, dim, value);
      std::fill(value + dim, value + padded, 0.0f);
    }
    TransposeFour(rows, dim, key, scratch.keys);
  }
}

// One step of the streaming softmax: scores [kAttentionKeys] of a row become weights relative to
// the new maximum, and what was summed before is rescaled. Only keys [begin, end) of the block are
// visible.
void AccumulateSoftmax(int64_t begin, int64_t end, int padded_dim, float* scores, float& max,
                       float& sum, float* out) {
  if (begin >= end) {
    std::fill_n(scores, kAttentionKeys, 0.0f);
    return;
  }
  std::fill(scores, scores + begin, -kInfinity);
  std::fill(scores + end, scores + kAttentionKeys, -kInfinity);
  const float block_max = Max(kAttentionKeys, [&](int64_t i) { return scores[i]; });
  const float new_max = std::max(max, block_max);
  const float correction = Exp(max - new_max);
  for (int i = 0; i < kAttentionKeys; ++i) scores[i] = Exp(scores[i] - new_max);
  sum = sum * correction + FixedOrderSum(kAttentionKeys, [&](int64_t i) { return scores[i]; });
  max = new_max;
  for (int i = 0; i < padded_dim; ++i) out[i] *= correction;
}

void StoreOut(const Call& call, const Item& item, AttentionScratch& scratch) {
  const int dim = call.dim();
  const Tensor& to = call.out.values;
  const float scale_of_all =
      call.cache.v_scale / (call.out.quantized() ? *call.out.scale.as<float>() : 1.0f);
  for (int row = 0; row < item.num_rows; ++row) {
    float* out = scratch.out + row * call.padded_dim();
    const float scale = scale_of_all / scratch.sum[row];
    for (int i = 0; i < dim; ++i) out[i] *= scale;
    const int64_t offset = TokenOf(call, item, row) * to.row_stride;
    Narrow(out, dim, to.dtype, ElementOf(to, offset + HeadOffset(call, item, row)));
  }
}

template <int kVector>
void Attend(const Call& call, const Item& item, AttentionScratch& scratch) {
  constexpr int kWidth = PanelWidth(kVector);
  const int rows = item.num_rows;
  const int dim = call.dim();
  const int padded = call.padded_dim();
  LoadQueries(call, item, scratch);
  std::fill_n(scratch.out, rows * padded, 0.0f);
  std::fill_n(scratch.max, rows, -kInfinity);
  std::fill_n(scratch.sum, rows, 0.0f);
  // Positions rise within a sequence: the first row sees the earliest key, the last row the latest.
  const KeyRange range = {Visible(call, item, 0).begin, Visible(call, item, rows - 1).end};
  CheckIndex("position", range.end - 1, call.batch.context_length[item.sequence]);
  int64_t block = range.begin / kAttentionKeys * kAttentionKeys;
  for (; block < range.end; block += kAttentionKeys) {
    GatherBlock(call, item, block, range, scratch);
    std::fill_n(scratch.scores, rows * kAttentionKeys, 0.0f);
    for (int c = 0; c < kAttentionKeys; c += kWidth) {
      MultiplyPanel<kVector>(rows, scratch.query, dim, scratch.keys + c, kAttentionKeys, dim,
                             scratch.scores + c, kAttentionKeys);
    }
    for (int row = 0; row < rows; ++row) {
      const KeyRange visible = Visible(call, item, row);
      AccumulateSoftmax(std::clamp<int64_t>(visible.begin - block, 0, kAttentionKeys),
                        std::clamp<int64_t>(visible.end - block, 0, kAttentionKeys), padded,
                        scratch.scores + row * kAttentionKeys, scratch.max[row], scratch.sum[row],
                        scratch.out + row * padded);
    }
    for (int c = 0; c < padded; c += kWidth) {
      MultiplyPanel<kVector>(rows, scratch.scores, kAttentionKeys, scratch.values + c, padded,
                             kAttentionKeys, scratch.out + c, padded);
    }
  }
  StoreOut(call, item, scratch);
}

void CheckShapes(const Call& call) {
  CHECK_LE(call.dim(), kMaxHeadDim);
  CHECK_EQ(call.params.num_heads % call.params.num_kv_heads, 0);
  CHECK_EQ(call.q.dim(0), call.batch.num_tokens);
  CHECK_EQ(call.q.dim(1), int64_t{call.params.num_heads} * call.dim());
  CheckForm(call.out);
  CHECK(!call.out.quantized() || call.out.is_static());
  CHECK_EQ(call.out.values.dim(0), call.batch.num_tokens);
  CHECK_EQ(call.out.values.dim(1), call.q.dim(1));
  for (const Tensor* cache : {&call.cache.k, &call.cache.v}) {
    CHECK_EQ(cache->dim(2), call.params.num_kv_heads);
    CHECK_EQ(cache->dim(3), call.dim());
  }
}

}  // namespace

void CpuOps::PagedAttention(const Tensor& q, const AttentionBatch& batch,
                            const AttentionParams& params, const KvLayer& cache,
                            const Activation& out) {
  const Call call{q, batch, params, cache, out};
  CheckShapes(call);
  CHECK_LT(batch.num_sequences, static_cast<int64_t>(scratch_.attention_start.size()));
  std::vector<int64_t>& start = scratch_.attention_start;
  int64_t work = 0;  // multiply-adds
  start[0] = 0;
  for (int s = 0; s < batch.num_sequences; ++s) {
    start[s + 1] = start[s] + call.items_of(s);
    work += call.rows_of(s) * params.num_kv_heads * batch.context_length[s] * 2 * call.dim();
  }
  const int64_t items = start[batch.num_sequences];
  constexpr int64_t kMinWork = 1 << 16;  // worth waking a thread for
  const int64_t grain = kMinWork / (work / std::max<int64_t>(1, items) + 1) + 1;
  pool_.ParallelFor(items, grain, [&](int64_t begin, int64_t end, int thread) {
    Vectorized(isa_, [&](auto vector) {
      const auto after =
          std::upper_bound(start.begin(), start.begin() + batch.num_sequences + 1, begin);
      int s = static_cast<int>(after - start.begin()) - 1;
      for (int64_t item = begin; item < end; ++item) {
        while (item >= start[s + 1]) ++s;
        Attend<decltype(vector)::value>(call, ItemOf(call, s, item - start[s]),
                                        *scratch_.attention[thread]);
      }
    });
  });
}

}  // namespace regatta
