// Decoding over the paged cache on tensor cores, for few rows per sequence and KV head (one token's
// group of heads, as a rule). Every warp streams its own keys through its own ring of copies, so
// warps never wait for one another until the end.
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

// Positions of a warp's tiles, and the cache blocks that hold them: lane l has read that of tile
// 32 n + l.
struct WarpTiles {
  int first, end, stride, block = 0;

  __device__ int position(int i) const { return first + i * stride; }
  __device__ bool has(int i) const { return position(i) < end; }
  // Reads those of the tiles from i on, a multiple of 32.
  __device__ void ReadBlocks(const AttentionCall& call, int s, int i) {
    const int own = position(i + static_cast<int>(threadIdx.x) % kWarp);
    block = own < end ? call.block_of(s, own) : 0;
  }
  __device__ int BlockOf(int i) const { return __shfl_sync(kAllLanes, block, i % kWarp); }
};

// The tiles of this warp, in this block's split of the keys that any row of the sequence sees.
__device__ WarpTiles TilesOf(const AttentionCall& call, int s, int split, int num_tokens) {
  const int warps = blockDim.x / kWarp, warp = threadIdx.x / kWarp;
  const int end = call.batch.context_length[s], step = warps * kWarpKeys;
  const int unseen = call.sliding_window > 0 ? end - num_tokens - call.sliding_window + 1 : 0;
  const int begin = max(0, unseen) / kWarpKeys * kWarpKeys;
  if (call.partial.num_splits == 1) return {begin + warp * kWarpKeys, end, step};
  const int share = ((end - begin - 1) / step / call.partial.num_splits + 1) * step;
  return {begin + split * share + warp * kWarpKeys, min(begin + (split + 1) * share, end), step};
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
  __device__ void Store(const AttentionCall& call, int s, int kv_head, int split,
                        int num_rows) const {
    const int splits = call.partial.num_splits;
    for (int i = threadIdx.x + split * blockDim.x; i < num_rows * kDim; i += splits * blockDim.x) {
      const int row = i / kDim, column = i % kDim;
      float largest = -INFINITY, total = 0, weights = 0;
      for (int j = 0; j < splits; ++j) largest = fmaxf(largest, LoadOfBlock(&max[row], j));
      for (int j = 0; j < splits; ++j) {
        const float factor = exp2f(LoadOfBlock(&max[row], j) - largest);
        total += factor * LoadOfBlock(&sum[row][column], j);
        weights += factor * LoadOfBlock(&weight[row], j);
      }
      const int64_t to = call.offset_of(s, kv_head, row, call.out.row_stride) + column;
      StoreElement(call.out.data, call.out.dtype, to, total / weights * call.out_factor());
    }
  }
};

// Memory of a block after its rings: its results, and those of as many warps as it has.
template <int kDim>
struct BlockResults {
  SplitResults<kDim> split;
  WarpResults<kRows, kDim> warps;
};

// One split of the keys of one sequence and KV head per block; the splits are a cluster when
// `joins`, else another kernel joins them. `beside`: the kernel in front is of
// other sequences and nothing of it is needed.
template <typename T, typename S, int kDim>
__global__ void __launch_bounds__(kMostWarps* kWarp, sizeof(S) == 1 ? 5 : 4)
    DecodeKernel(const __grid_constant__ AttentionCall call, bool beside, bool joins) {
  extern __shared__ __align__(128) unsigned char memory[];
  LetNextBegin();
  const int s = blockIdx.z, kv_head = blockIdx.y, split = blockIdx.x;
  const int num_rows = call.rows_of(s);
  if (num_rows > kRows || num_rows == 0) return AwaitPrevious();
  auto& ring = reinterpret_cast<WarpRing<S, kDim>*>(memory)[threadIdx.x / kWarp];
  WarpTiles tiles = TilesOf(call, s, split, call.token_within(num_rows));
  const auto issue = [&](int i, WarpTile<S, kDim>& stage) {
    if (tiles.has(i)) {
      if (i > 0 && i % kWarp == 0) tiles.ReadBlocks(call, s, i);
      stage.Copy(call, tiles.BlockOf(i), kv_head, tiles.position(i), tiles.end);
    }
    CommitCopies();
  };
  tiles.ReadBlocks(call, s, 0);
  if (!beside) AwaitPrevious();
  for (int i = 0; i < kStages; ++i) issue(i, ring.stage[i]);
  WarpState<T, S, kDim> state;
  state.Load(call, s, kv_head, num_rows);
  for (int i = 0; tiles.has(i); ++i) {
    auto& stage = ring.stage[i % kStages];
    WaitCopies<kStages - 1>();
    __syncwarp();
    state.Attend(stage, tiles.position(i), call.scale * kLog2E);
    __syncwarp();
    issue(i + kStages, stage);
  }
  WaitCopies<0>();
  __syncthreads();
  auto& results = *reinterpret_cast<BlockResults<kDim>*>(memory);
  state.Keep(results.warps.of[threadIdx.x / kWarp], num_rows);
  __syncthreads();
  if (joins) {
    results.split.Take(results.warps, num_rows);
    SyncCluster();
    results.split.Store(call, s, kv_head, split, num_rows);
    SyncCluster();  // what others read stays until they have
  } else {
    results.warps.template Store<T>(call, s, kv_head, split, num_rows);
  }
  AwaitPrevious();
}

// Warps of a block, which share the keys of one sequence and KV head: as many as let all of them
// run at once. Where even blocks of one warp cannot, they are of one warp, for blocks that come and
// go one by one keep the memory busy, but long sequences are shared so that none is left at the
// end.
template <typename S>
int WarpsFor(const AttentionCall& call, int num_multiprocessors) {
  constexpr int kKeysOfWarp = 512;
  const int64_t blocks = int64_t{call.batch.num_sequences} * call.num_kv_heads;
  for (int warps = kMostWarps; warps > 1; --warps) {
    if (blocks <= int64_t{BlocksAtOnce<S>(warps)} * num_multiprocessors) return warps;
  }
  return std::clamp(call.batch.max_context_length / kKeysOfWarp, 1, kMostWarps);
}

template <typename T, typename S, int kDim>
void Launch(AttentionCall& call, int num_multiprocessors, const Tensor& workspace, bool beside,
            cudaStream_t stream) {
  const int warps = WarpsFor<S>(call, num_multiprocessors);
  const auto bytes_of = [](int warps) {
    return std::max(warps * sizeof(WarpRing<S, kDim>),
                    sizeof(SplitResults<kDim>) + warps * sizeof(WarpResult<kRows, kDim>));
  };
  AllowSharedMemory<&DecodeKernel<T, S, kDim>>(static_cast<int>(bytes_of(kMostWarps)));
  if (warps == kMostWarps) {
    SplitKeys(int64_t{BlocksAtOnce<S>(warps)} * num_multiprocessors, workspace, call);
  }
  const int splits = call.partial.num_splits;
  const dim3 grid(splits, call.num_kv_heads, call.batch.num_sequences);
  const bool joins = splits > 1 && splits <= kMostCluster &&
                     ShareMultiprocessors<&DecodeKernel<T, S, kDim>>().has_clusters;
  LaunchEarly<&DecodeKernel<T, S, kDim>>({.grid = grid,
                                          .block = static_cast<unsigned>(warps * kWarp),
                                          .shared_bytes = bytes_of(warps),
                                          .cluster = joins ? splits : 1},
                                         stream, call, beside, joins);
  if (!joins) CombineSplits(call, stream);
}

}  // namespace

bool DecodesTransposed(const AttentionCall& call) {
  return call.group <= kRows && call.block_shift >= 0 && call.block_size >= kWarpKeys &&
         (call.head_dim == 64 || call.head_dim == 128);
}

void LaunchTransposedDecoding(AttentionCall& call, int num_multiprocessors, const Tensor& workspace,
                              bool beside, cudaStream_t stream) {
  const auto launch = [&]<typename T, typename S>(T, S) {
    if (call.head_dim == 64) {
      Launch<T, S, 64>(call, num_multiprocessors, workspace, beside, stream);
    } else {
      Launch<T, S, 128>(call, num_multiprocessors, workspace, beside, stream);
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

}  // namespace regatta
