// Paged attention on tensor cores (after Dao, FlashAttention-2, 2023; split keys: Dao et al.,
// Flash-Decoding, 2023). Sequences with few rows split their keys over blocks and warps and are
// combined; others give each block 64 rows. A step may hold both: two launches, each skips the
// other's sequences. Decoding of the usual shapes is attention_decode.cu's, and short prompts with
// it; long ones on Hopper are attention_prompt.cu's.
#include <algorithm>

#include "kernels/cuda/attention_splits.cuh"
#include "kernels/cuda/attention_tile.cuh"
#include "kernels/cuda/dependent_launch.cuh"
#include "kernels/cuda/shared_memory.cuh"

namespace regatta {
namespace {

constexpr int kBlocksPerMultiprocessor = 3;  // of split keys, by shared memory and registers

// S is what the cache holds: T, or E4M3, which is unpacked tile by tile.
template <typename T, typename S, int kDim>
struct TileBuffers {
  KvTile<S, kDim> stage[2];
  KvTile<T, kDim> unpacked;

  __device__ const KvTile<T, kDim>& Ready(int i) {
    UnpackSide<kDim>(stage[i].k, unpacked.k);
    UnpackSide<kDim>(stage[i].v, unpacked.v);
    __syncthreads();
    return unpacked;
  }
};
template <typename T, int kDim>
struct TileBuffers<T, T, kDim> {
  KvTile<T, kDim> stage[2];

  __device__ const KvTile<T, kDim>& Ready(int i) { return stage[i]; }
};

// Columns that head_dim leaves unused must be zero, not garbage: 0 * NaN is NaN.
template <typename Buffers>
__device__ void ClearBuffers(Buffers& buffers) {
  auto* words = reinterpret_cast<uint4*>(&buffers);
  for (int i = threadIdx.x; i < static_cast<int>(sizeof(Buffers) / 16); i += kTileThreads) {
    words[i] = {};
  }
  __syncthreads();
}

// Visits the tiles of positions [begin, end) with the next one on its way; `blocks` holds the cache
// blocks of the first.
template <int kKeys, typename T, typename S, int kDim>
__device__ void Visit(const AttentionCall& call, int s, int kv_head, int begin, int end,
                      int first_key, typename KvTile<S, kDim>::Blocks& blocks,
                      TileBuffers<T, S, kDim>& buffers, WarpRows<T, kDim>& rows) {
  const float scale_log2 = call.scale * kLog2E;
  buffers.stage[0].Copy(call, blocks, kv_head, begin, end);
  CommitCopies();
  blocks.Read(call, s, begin + kTileKeys, end);
  int stage = 0;
  for (int position = begin; position < end; position += kTileKeys, stage ^= 1) {
    if (position + kTileKeys < end) {
      buffers.stage[stage ^ 1].Copy(call, blocks, kv_head, position + kTileKeys, end);
      blocks.Read(call, s, position + 2 * kTileKeys, end);
    }
    CommitCopies();
    WaitCopies<1>();
    __syncthreads();
    rows.template Attend<kKeys>(buffers.Ready(stage), first_key, position + first_key, scale_log2);
    __syncthreads();
  }
}

// 64 rows of one sequence and KV head per block, 16 per warp.
template <typename T, typename S, int kDim>
__global__ void __launch_bounds__(kTileThreads)
    RowTilesKernel(const __grid_constant__ AttentionCall call) {
  extern __shared__ __align__(128) unsigned char memory[];
  using C = ComputeType<T, S>;
  auto& buffers = *reinterpret_cast<TileBuffers<C, S, kDim>*>(memory);
  const int s = call.prompt(blockIdx.z), kv_head = blockIdx.y;
  const int num_rows = call.rows_of(s);
  const int block_row = blockIdx.x * 64;
  const bool skips = num_rows <= call.decode_rows || block_row >= num_rows;
  // Tiles begin at the same keys whoever else is in the block.
  const int begin = skips ? 0 : call.visible(s, block_row).x / kTileKeys * kTileKeys;
  const int end = skips ? 0 : call.visible(s, min(block_row + 64, num_rows) - 1).y + 1;
  typename KvTile<S, kDim>::Blocks blocks;
  blocks.Read(call, s, begin, end);
  const float out_factor = call.out_factor();
  AwaitPrevious();
  LetNextBegin();  // which decodes other sequences, and finds done what this kernel awaited
  if (skips) return;
  if (call.head_dim < kDim) ClearBuffers(buffers);
  const int first_row = block_row + threadIdx.x / kWarp * 16;
  WarpRows<C, kDim> rows;
  rows.template Load<T>(call, s, kv_head, first_row);
  Visit<kTileKeys>(call, s, kv_head, begin, end, 0, blocks, buffers, rows);
  rows.template Store<T>(call, out_factor, s, kv_head, first_row);
}

template <typename T, int kDim>
__device__ void KeepRows(const WarpRows<T, kDim>& rows, WarpResult<kDecodeRows, kDim>& result) {
  const int lane = threadIdx.x % kWarp;
  for (int half = 0; half < 2; ++half) {
    const int row = lane / 4 + 8 * half;
    const float weight = rows.WholeWeight(half);
    result.max[row] = rows.max[half];
    result.weight[row] = weight;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      const int at = 8 * n + lane % 4 * 2;
      result.sum[row][at] = rows.sum[n][2 * half];
      result.sum[row][at + 1] = rows.sum[n][2 * half + 1];
    }
  }
}

// One split of the keys of one sequence and KV head per block; every warp takes 16 keys of a tile.
template <typename T, typename S, int kDim>
__global__ void __launch_bounds__(kTileThreads, kBlocksPerMultiprocessor)
    KeySplitsKernel(const __grid_constant__ AttentionCall call) {
  extern __shared__ __align__(128) unsigned char memory[];
  using C = ComputeType<T, S>;
  auto& buffers = *reinterpret_cast<TileBuffers<C, S, kDim>*>(memory);
  const int s = blockIdx.z, kv_head = blockIdx.y, split = blockIdx.x;
  const int num_rows = call.rows_of(s);
  const int num_splits = call.partial.num_splits;
  if (num_rows > kDecodeRows || num_rows == 0) return;
  if (call.head_dim < kDim) ClearBuffers(buffers);
  WarpRows<C, kDim> rows;
  rows.template Load<T>(call, s, kv_head, 0);
  const int begin = call.visible(s, 0).x;
  const int end = call.visible(s, num_rows - 1).y + 1;
  const int tiles = (end - begin + kTileKeys - 1) / kTileKeys;
  const int share = (tiles + num_splits - 1) / num_splits * kTileKeys;
  const int own_begin = begin + split * share;
  const int own_end = min(own_begin + share, end);
  if (own_begin < own_end) {
    typename KvTile<S, kDim>::Blocks blocks;
    blocks.Read(call, s, own_begin, own_end);
    Visit<16>(call, s, kv_head, own_begin, own_end, threadIdx.x / kWarp * 16, blocks, buffers,
              rows);
  }
  WaitCopies<0>();
  __syncthreads();
  auto& results = *reinterpret_cast<WarpResults<kDecodeRows, kDim>*>(memory);
  KeepRows(rows, results.of[threadIdx.x / kWarp]);
  __syncthreads();
  results.template Store<T>(call, call.out_factor(), s, kv_head, split, 0, num_rows);
}

template <typename T, typename S, int kDim>
void LaunchTiles(AttentionCall& call, int num_multiprocessors, const Tensor& workspace,
                 cudaStream_t stream) {
  const int sequences = call.batch.num_sequences;
  constexpr int kBytes = static_cast<int>(std::max(sizeof(TileBuffers<ComputeType<T, S>, S, kDim>),
                                                   sizeof(WarpResults<kDecodeRows, kDim>)));
  AllowSharedMemory<&RowTilesKernel<T, S, kDim>>(kBytes);
  AllowSharedMemory<&KeySplitsKernel<T, S, kDim>>(kBytes);
  const bool transposed = call.decode_rows > 0 && DecodesTransposed(call);
  if (transposed) call.decode_rows = kTransposedRows;
  const int group = call.group;
  const bool tiles = call.batch.max_query_length * group > call.decode_rows;
  PromptsGo prompts = tiles ? PromptsGo::kBefore : PromptsGo::kNowhere;
  if (tiles) {
    // One token's heads may be many rows too: then no list tells which sequences are long.
    if (group > call.decode_rows) call.batch.prompts = nullptr;
    if (transposed && SuitsPieces(call, num_multiprocessors)) {
      prompts = PromptsGo::kInPieces;
    } else if (call.decode_rows > 0 && SuitsWarpgroups(call)) {
      LaunchPromptAttention(call, num_multiprocessors, stream);
    } else {
      const dim3 grid(CeilDiv(call.batch.max_query_length * group, 64), call.num_kv_heads,
                      call.num_prompts());
      LaunchEarly<&RowTilesKernel<T, S, kDim>>(
          {.grid = grid, .block = kTileThreads, .shared_bytes = kBytes}, stream, call);
    }
  }
  if (transposed) {
    LaunchTransposedDecoding(call, num_multiprocessors, workspace, prompts, stream);
  } else if (group <= call.decode_rows) {
    SplitKeys(int64_t{sequences} * call.num_kv_heads,
              kBlocksPerMultiprocessor * num_multiprocessors, workspace, call);
    const dim3 grid(call.partial.num_splits, call.num_kv_heads, sequences);
    KeySplitsKernel<T, S, kDim><<<grid, kTileThreads, kBytes, stream>>>(call);
    CombineSplits(call, stream);
  }
}

}  // namespace

bool FitsTiles(const AttentionCall& call) {
  const DType dtype = call.q.dtype;
  const DType held = call.cache.k.dtype;
  const auto even = [](const Tensor& x, int64_t elements) {
    return reinterpret_cast<uintptr_t>(x.data) % (SizeOf(x.dtype) * elements) == 0 &&
           x.row_stride % elements == 0;
  };
  const auto fits = [dtype](DType other) { return other == dtype || other == DType::kFloat8E4M3; };
  const int64_t chunk = 16 / static_cast<int64_t>(SizeOf(held));
  return (dtype == DType::kBFloat16 || dtype == DType::kFloat16) && fits(call.out.dtype) &&
         fits(held) && call.cache.v.dtype == held && call.head_dim % chunk == 0 &&
         call.head_dim <= 128 && even(call.q, 2) && even(call.out, 2) &&
         even(call.cache.k, chunk) && even(call.cache.v, chunk);
}

bool LaunchTiledAttention(AttentionCall call, int num_multiprocessors, Tensor workspace,
                          cudaStream_t stream) {
  if (!FitsTiles(call)) return false;
  const auto launch = [&]<typename T, typename S>(T, S) {
    if (call.head_dim <= 64) {
      LaunchTiles<T, S, 64>(call, num_multiprocessors, workspace, stream);
    } else {
      LaunchTiles<T, S, 128>(call, num_multiprocessors, workspace, stream);
    }
  };
  const auto launch_for_cache = [&](auto zero) {
    if (call.cache.k.dtype == DType::kFloat8E4M3) {
      launch(zero, __nv_fp8_e4m3{});
    } else {
      launch(zero, zero);
    }
  };
  if (call.q.dtype == DType::kBFloat16) {
    launch_for_cache(__nv_bfloat16{});
  } else {
    launch_for_cache(__half{});
  }
  return true;
}

}  // namespace regatta
