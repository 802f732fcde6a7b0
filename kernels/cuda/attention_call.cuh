// What an attention kernel is given, and how rows map to tokens and heads: the rows of one sequence
// and KV head are its (token, head of the group) pairs, tokens first.
#pragma once

#include "kernels/cuda/element.cuh"
#include "kernels/ops.h"

namespace regatta {

// Rows that one sequence may bring to a kernel that splits its keys, at most.
inline constexpr int kDecodeRows = 16;

// What the tokens of a step bring that no cache holds yet, where each sequence has one: the kernel
// that attends rotates heads and caches keys and values on the way.
struct NewTokens {
  Tensor k, v;               // [T, G * K]
  Tensor rope;               // as AttentionParams'
  const int64_t* kv_slot;    // negative: the cache keeps nothing of it
  float k_factor, v_factor;  // from elements to what the cache holds

  __device__ const float* angles(int position) const {
    return static_cast<const float*>(rope.data) + position * rope.row_stride;
  }
};

// A partial result over some keys: sums not divided yet, the maximum and the sum of weights.
struct PartialAttention {
  float* sums = nullptr;    // [S, G, splits, kDecodeRows, width]
  float* scales = nullptr;  // [S, G, splits, kDecodeRows, 2]
  int num_splits = 1;
};

struct AttentionCall {
  Tensor q, out;
  const float* out_scale;  // of an output in E4M3; null = plain
  AttentionBatch batch;
  KvLayer cache;
  int num_heads, num_kv_heads, head_dim, sliding_window;
  float scale;             // of scores, what cached keys stand for included
  int group;               // heads that share a KV head
  uint32_t group_inverse;  // 2^32 / group, rounded up; of a group of 1, 0
  int block_size;
  int block_shift;  // log2 of block_size, or -1
  int decode_rows;  // sequences of so many rows split their keys; more go to whole tiles, where a
                    // row's bits depend on nothing but its own query, keys and values
  PartialAttention partial;

  // Sequences that may be prompts, and the i-th of them.
  __host__ __device__ int num_prompts() const {
    return batch.prompts != nullptr ? batch.num_prompts : batch.num_sequences;
  }
  __device__ int prompt(int i) const { return batch.prompts != nullptr ? batch.prompts[i] : i; }

  __device__ int rows_of(int s) const {
    return (batch.query_start[s + 1] - batch.query_start[s]) * group;
  }
  // row / group, exactly for fewer than 2^32 / group rows.
  __device__ int token_within(int row) const {
    return group_inverse == 0 ? row : static_cast<int>(__umulhi(row, group_inverse));
  }
  __device__ int token_of(int s, int row) const { return batch.query_start[s] + token_within(row); }
  // Element offset of a row's head within q or out of the given stride.
  __device__ int64_t offset_of(int s, int kv_head, int row, int64_t stride) const {
    const int token = token_within(row), head = kv_head * group + row - token * group;
    return (batch.query_start[s] + token) * stride + int64_t{head} * head_dim;
  }
  // What a weighted mean of cached values is multiplied by to give the output's elements. It never
  // changes, and is read best at a kernel's start, as at its end nothing hides that.
  __device__ float out_factor() const {
    return out_scale == nullptr ? cache.v_scale : cache.v_scale / *out_scale;
  }
  // The first and last position that a row sees.
  __device__ int2 visible(int s, int row) const {
    const int position = batch.positions[token_of(s, row)];
    return {sliding_window > 0 ? max(0, position - sliding_window + 1) : 0, position};
  }
  // The cache block that holds a position.
  __device__ int block_of(int s, int position) const {
    const int entry = block_shift >= 0 ? position >> block_shift : position / block_size;
    return batch.block_table[batch.block_start[s] + entry];
  }
  // Element offset of a position's row in a cache, given its block. `kShifted`: blocks are known to
  // be a power of two.
  template <bool kShifted = false>
  __device__ int64_t cached(const Tensor& side, int block, int kv_head, int position) const {
    const bool shifted = kShifted || block_shift >= 0;
    const int within = shifted ? position & (block_size - 1) : position % block_size;
    return block * side.row_stride + (int64_t{within} * num_kv_heads + kv_head) * head_dim;
  }
};

// Any dtypes, any head up to 256: one warp per row, in float32.
void LaunchPlainAttention(const AttentionCall& call, cudaStream_t stream);

// Who attends to prompts when others decode.
enum class PromptsGo {
  kNowhere,   // there are none
  kBefore,    // the launch in front, which may still run
  kInPieces,  // the same launch, kTransposedRows rows at a time
};

// The part of LaunchTiledAttention that decodes, for up to 8 rows per sequence, heads of 64 or 128
// and cache blocks of a power of two from 16 on; `call.decode_rows` must be kTransposedRows.
inline constexpr int kTransposedRows = 8;
bool DecodesTransposed(const AttentionCall& call);
// Whether its prompts are so few and short that they may go in pieces; `call` suits the above.
bool SuitsPieces(const AttentionCall& call, int num_multiprocessors);

void LaunchTransposedDecoding(AttentionCall& call, int num_multiprocessors, const Tensor& workspace,
                              PromptsGo prompts, cudaStream_t stream);

// The same where every sequence has one token, which is not cached yet and whose heads are not
// rotated. False, and nothing done, when the call or the tensors do not suit.
bool LaunchRotatedDecoding(AttentionCall call, const NewTokens& tokens, int num_multiprocessors,
                           const Tensor& workspace, cudaStream_t stream);

// The part of LaunchTiledAttention for prompts on Hopper, where it suits: heads of 128, cache
// blocks of a power of two, and prompts that are most of the step, for its blocks leave others no
// room.
bool SuitsWarpgroups(const AttentionCall& call);
void LaunchPromptAttention(const AttentionCall& call, int num_multiprocessors, cudaStream_t stream);

// Tensor cores: q of a 16-bit dtype, out and cache of the same or E4M3, heads of a multiple of 8
// (16 when the cache is E4M3) up to 128, rows aligned to 16 bytes. False when the call does not
// fit.
bool FitsTiles(const AttentionCall& call);
bool LaunchTiledAttention(AttentionCall call, int num_multiprocessors, Tensor workspace,
                          cudaStream_t stream);

}  // namespace regatta
