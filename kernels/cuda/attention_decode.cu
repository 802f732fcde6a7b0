// Decoding over the paged cache on tensor cores, for few rows per sequence and KV head (one token's
// group of heads, as a rule), and for short prompts, which come as if each few rows were a
// sequence. Every warp streams its own keys through its own ring of copies, so warps never wait for
// one another until the end.
#include <algorithm>

#include "kernels/cuda/attention_decode_warp.cuh"
#include "kernels/cuda/cluster.cuh"
#include "kernels/cuda/dependent_launch.cuh"
#include "kernels/cuda/shared_memory.cuh"

namespace regatta {
namespace {

constexpr int kRows = kTransposedRows;  // columns of a transposed product
constexpr int kMostWarps = kSplitKeys / kWarpKeys;
constexpr int kMostCluster = 8;  // blocks; more are not on every device

// Tiles of a warp that are on their way, and warps that share a multiprocessor, by registers and
// shared memory. What E4M3 saves in memory goes to more warps, not to longer rings: unpacking makes
// them compute for longer, and prompts beside them find more room.
inline constexpr int kStages = 2;
template <typename S>
inline constexpr int kWarpsAtOnce = sizeof(S) == 1 ? 20 : 13;
// Blocks of `warps` warps.
template <typename S>
constexpr int BlocksAtOnce(int warps) {
  return kWarpsAtOnce<S> / warps;
}

// The ring of one warp: its tiles of [begin, end) are those of every 16 keys of the block's warps
// in turn.
template <typename S, int kDim>
struct WarpRing {
  WarpTile<S, kDim> stage[kStages];
};

// Rows [first, first + count) of a sequence, which see the positions before `end`: all of one that
// decodes, or a piece of a prompt.
struct RowRange {
  int s, first = 0, count, end;
  int table;  // where the sequence's blocks begin in the block table

  // Those of the block at `z`: sequences that decode, then prompts in `pieces` each, the last piece
  // first, as it sees most. None where the sequence is not of that kind, or has no such piece.
  __device__ RowRange(const AttentionCall& call, int pieces, int z) {
    const int piece = z - call.batch.num_sequences;
    s = piece < 0 ? z : call.prompt(piece / pieces);
    table = call.batch.block_start[s];
    const int context = call.batch.context_length[s], rows = call.rows_of(s);
    if (piece >= 0) first = (pieces - 1 - piece % pieces) * kRows;
    const bool own_kind = (rows > kRows) == (piece >= 0);
    count = own_kind ? max(0, min(kRows, rows - first)) : 0;
    end = context - call.token_within(rows) + last_token(call) + 1;
  }
  __device__ int last_token(const AttentionCall& call) const {
    return call.token_within(first + count - 1);
  }
  // The first position that any of the rows sees.
  __device__ int begin(const AttentionCall& call) const {
    const int tokens = last_token(call) - call.token_within(first) + 1;
    return call.sliding_window > 0 ? max(0, end - tokens - call.sliding_window + 1) : 0;
  }
};

// Positions of a warp's tiles, and the cache blocks that hold them: lane l has read that of tile
// 32 n + l.
struct WarpTiles {
  int first, end, stride, block = 0;

  __device__ int position(int i) const { return first + i * stride; }
  __device__ bool has(int i) const { return position(i) < end; }
  __device__ bool owns(int at) const {
    return at >= first && at < end && (at - first) % stride < kWarpKeys;
  }
  // Reads those of the tiles from i on, a multiple of 32.
  __device__ void ReadBlocks(const AttentionCall& call, int table, int i) {
    const int own = position(i + static_cast<int>(threadIdx.x) % kWarp);
    block = own < end ? call.batch.block_table[table + (own >> call.block_shift)] : 0;
  }
  __device__ int BlockOf(int i) const { return __shfl_sync(kAllLanes, block, i % kWarp); }
};

// The tiles of this warp, in this block's split of the keys that any of its rows sees.
__device__ WarpTiles TilesOf(const AttentionCall& call, const RowRange& rows, int split) {
  const int warps = blockDim.x / kWarp, warp = threadIdx.x / kWarp, step = warps * kWarpKeys;
  const int begin = rows.begin(call) / kWarpKeys * kWarpKeys;
  if (call.partial.num_splits == 1) return {begin + warp * kWarpKeys, rows.end, step};
  const int share = ((rows.end - begin - 1) / step / call.partial.num_splits + 1) * step;
  return {begin + split * share + warp * kWarpKeys, min(begin + (split + 1) * share, rows.end),
          step};
}

// What a block found, for the other splits of its cluster to read.
template <int kDim>
struct SplitResults {
  float sum[kRows][kDim];
  float max[kRows];
  float weight[kRows];

  __device__ void Take(const WarpResults<kRows, kDim>& warps, int num_rows) {
    for (int i = threadIdx.x; i < num_rows * kDim / 4; i += blockDim.x) {
      const int row = i / (kDim / 4), column = i % (kDim / 4) * 4;
      const auto joined = warps.Join(row, column);
#pragma unroll
      for (int j = 0; j < 4; ++j) sum[row][column + j] = joined.sum[j];
      if (column == 0) {
        max[row] = joined.max;
        weight[row] = joined.weight;
      }
    }
  }

  // Joins the splits of the cluster, whose blocks all call it, and stores this block's share.
  __device__ void Store(const AttentionCall& call, float out_factor, const RowRange& rows,
                        int kv_head, int split) const {
    const int splits = call.partial.num_splits;
    for (int i = threadIdx.x + split * blockDim.x; i < rows.count * kDim;
         i += splits * blockDim.x) {
      const int row = i / kDim, column = i % kDim;
      float largest = -INFINITY, total = 0, weights = 0;
      for (int j = 0; j < splits; ++j) largest = fmaxf(largest, LoadOfBlock(&max[row], j));
      for (int j = 0; j < splits; ++j) {
        const float factor = exp2f(LoadOfBlock(&max[row], j) - largest);
        total += factor * LoadOfBlock(&sum[row][column], j);
        weights += factor * LoadOfBlock(&weight[row], j);
      }
      const int64_t to =
          call.offset_of(rows.s, kv_head, rows.first + row, call.out.row_stride) + column;
      StoreElement(call.out.data, call.out.dtype, to, total / weights * out_factor);
    }
  }
};

// Memory of a block after its rings: its results, and those of as many warps as it has.
template <int kDim>
struct BlockResults {
  SplitResults<kDim> split;
  WarpResults<kRows, kDim> warps;
};

// One split of the keys of some rows and a KV head per block; the splits are a cluster when
// `joins`, else another kernel joins them. `pieces`: those of the longest prompt, where prompts are
// this kernel's too. `beside`: the kernel in front is of other sequences and nothing of it is
// needed. `kRotates`: every sequence has one token, of `tokens`; the caches are then read before
// the kernel in front has ended, for nothing in a step writes what they hold of earlier ones.
template <typename T, typename S, int kDim, bool kRotates>
__global__ void __launch_bounds__(kMostWarps* kWarp, sizeof(S) == 1 ? 5 : 4)
    DecodeKernel(const __grid_constant__ AttentionCall call,
                 const __grid_constant__ NewTokens tokens, int pieces, bool beside, bool joins) {
  extern __shared__ __align__(128) unsigned char memory[];
  LetNextBegin();
  const int kv_head = blockIdx.y, split = blockIdx.x;
  const RowRange rows(call, pieces, blockIdx.z);
  if (rows.count == 0) return AwaitPrevious();
  auto& ring = reinterpret_cast<WarpRing<S, kDim>*>(memory)[threadIdx.x / kWarp];
  WarpTiles tiles = TilesOf(call, rows, split);
  const float out_factor = call.out_factor();
  const int cached = kRotates ? rows.end - 1 : rows.end;  // positions that the cache holds
  const auto issue = [&](int i, WarpTile<S, kDim>& stage) {
    if (tiles.has(i)) {
      if (i > 0 && i % kWarp == 0) tiles.ReadBlocks(call, call.batch.block_start[rows.s], i);
      stage.Copy(call, tiles.BlockOf(i), kv_head, tiles.position(i), min(tiles.end, cached));
    }
    CommitCopies();
  };
  tiles.ReadBlocks(call, rows.table, 0);
  if (!kRotates && !beside) AwaitPrevious();
  for (int i = 0; i < kStages; ++i) issue(i, ring.stage[i]);
  WarpState<T, S, kDim> state;
  [[maybe_unused]] NewestRow<T, S, kDim> newest;
  if constexpr (kRotates) {
    AwaitPrevious();
    if (tiles.owns(cached)) newest.Load(call, tokens, rows.s, kv_head, cached);
    state.LoadRotated(call, tokens, rows.s, kv_head, rows.count);
  } else {
    state.Load(call, rows.s, kv_head, rows.first, rows.count);
  }
  for (int i = 0; tiles.has(i); ++i) {
    auto& stage = ring.stage[i % kStages];
    WaitCopies<kStages - 1>();
    __syncwarp();
    if constexpr (kRotates) {
      const int row = cached - tiles.position(i);
      if (row >= 0 && row < kWarpKeys) {
        newest.Put(stage, row);
        __syncwarp();
      }
    }
    state.Attend(stage, tiles.position(i), call.scale * kLog2E);
    __syncwarp();
    issue(i + kStages, stage);
  }
  WaitCopies<0>();
  __syncthreads();
  auto& results = *reinterpret_cast<BlockResults<kDim>*>(memory);
  state.Keep(results.warps.of[threadIdx.x / kWarp], rows.count);
  __syncthreads();
  if (joins) {
    results.split.Take(results.warps, rows.count);
    SyncCluster();
    results.split.Store(call, out_factor, rows, kv_head, split);
    SyncCluster();  // what others read stays until they have
  } else {
    results.warps.template Store<T>(call, out_factor, rows.s, kv_head, split, rows.first,
                                    rows.count);
  }
  AwaitPrevious();
}

// Pieces of the longest prompt.
int PiecesOf(const AttentionCall& call) {
  return CeilDiv(int64_t{call.batch.max_query_length} * call.group, kRows);
}

// Warps of a block, which share the keys of some rows: as many as let all blocks run at once. Where
// blocks of two warps cannot, they are of one, for blocks that come and go one by one keep the
// memory busy, but long sequences are shared so that none is left at the end, and so are all where
// up to half of the blocks would run in a second round.
template <typename S>
int WarpsFor(const AttentionCall& call, int64_t blocks, int num_multiprocessors) {
  constexpr int kKeysOfWarp = 512;
  for (int warps = kMostWarps; warps > 1; --warps) {
    if (blocks <= int64_t{BlocksAtOnce<S>(warps)} * num_multiprocessors) return warps;
  }
  const int64_t at_once = int64_t{BlocksAtOnce<S>(1)} * num_multiprocessors;
  const bool few_left = blocks > at_once && 2 * blocks <= 3 * at_once;
  return std::clamp(call.batch.max_context_length / kKeysOfWarp, few_left ? 2 : 1, kMostWarps);
}

template <typename T, typename S, int kDim, bool kRotates>
void Launch(AttentionCall& call, const NewTokens& tokens, int num_multiprocessors,
            const Tensor& workspace, PromptsGo prompts, cudaStream_t stream) {
  const int pieces = prompts == PromptsGo::kInPieces ? PiecesOf(call) : 0;
  const int all_pieces = pieces * call.num_prompts(), sequences = call.batch.num_sequences;
  const int decoding = pieces > 0 ? sequences - call.num_prompts() : sequences;
  const int64_t blocks = int64_t{decoding + all_pieces} * call.num_kv_heads;
  const int warps = WarpsFor<S>(call, blocks, num_multiprocessors);
  const auto bytes_of = [](int warps) {
    return std::max(warps * sizeof(WarpRing<S, kDim>),
                    sizeof(SplitResults<kDim>) + warps * sizeof(WarpResult<kRows, kDim>));
  };
  constexpr auto kKernel = &DecodeKernel<T, S, kDim, kRotates>;
  AllowSharedMemory<kKernel>(static_cast<int>(bytes_of(kMostWarps)));
  const DeviceTraits device = ShareMultiprocessors<kKernel>();
  int& splits = call.partial.num_splits;
  if (warps == kMostWarps) {
    SplitKeys(blocks, int64_t{BlocksAtOnce<S>(warps)} * num_multiprocessors, workspace, call);
    if (pieces > 0) splits = device.has_clusters ? std::min(splits, kMostCluster) : 1;
  }
  const dim3 grid(splits, call.num_kv_heads, sequences + all_pieces);
  const bool joins = splits > 1 && splits <= kMostCluster && device.has_clusters;
  LaunchEarly<kKernel>({.grid = grid,
                        .block = static_cast<unsigned>(warps * kWarp),
                        .shared_bytes = bytes_of(warps),
                        .cluster = joins ? splits : 1},
                       stream, call, tokens, pieces, prompts == PromptsGo::kBefore, joins);
  if (!joins) CombineSplits(call, stream);
}

template <bool kRotates>
void LaunchForTypes(AttentionCall& call, const NewTokens& tokens, int num_multiprocessors,
                    const Tensor& workspace, PromptsGo prompts, cudaStream_t stream) {
  const auto launch = [&]<typename T, typename S>(T, S) {
    if (call.head_dim == 64) {
      Launch<T, S, 64, kRotates>(call, tokens, num_multiprocessors, workspace, prompts, stream);
    } else {
      Launch<T, S, 128, kRotates>(call, tokens, num_multiprocessors, workspace, prompts, stream);
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
}

}  // namespace

bool DecodesTransposed(const AttentionCall& call) {
  return call.group <= kRows && call.block_shift >= 0 && call.block_size >= kWarpKeys &&
         (call.head_dim == 64 || call.head_dim == 128);
}

bool SuitsPieces(const AttentionCall& call, int num_multiprocessors) {
  constexpr int64_t kBlocksAtOnce = 4;  // about; of so many pieces each has a place at once
  const int64_t blocks = int64_t{PiecesOf(call)} * call.num_prompts() * call.num_kv_heads;
  return blocks <= kBlocksAtOnce * num_multiprocessors;
}

void LaunchTransposedDecoding(AttentionCall& call, int num_multiprocessors, const Tensor& workspace,
                              PromptsGo prompts, cudaStream_t stream) {
  LaunchForTypes<false>(call, {}, num_multiprocessors, workspace, prompts, stream);
}

bool LaunchRotatedDecoding(AttentionCall call, const NewTokens& tokens, int num_multiprocessors,
                           const Tensor& workspace, cudaStream_t stream) {
  const auto pairs = [](const Tensor& x) {
    return reinterpret_cast<uintptr_t>(x.data) % (2 * SizeOf(x.dtype)) == 0 &&
           x.row_stride % 2 == 0;
  };
  if (call.batch.max_query_length != 1 || call.decode_rows == 0 || !FitsTiles(call) ||
      !DecodesTransposed(call) || !pairs(tokens.k) || !pairs(tokens.v) || !pairs(tokens.rope)) {
    return false;
  }
  call.decode_rows = kTransposedRows;
  LaunchForTypes<true>(call, tokens, num_multiprocessors, workspace, PromptsGo::kNowhere, stream);
  return true;
}

}  // namespace regatta
