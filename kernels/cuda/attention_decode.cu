// Decoding over the paged cache on tensor cores, for few rows per sequence and KV head (one token's
// group of heads, as a rule). Transposed products waste nothing on rows that do not exist: scores
// are keys times queries, [16, 8], and sums are values times weights, [16 dimensions, 8 rows].
// Every warp streams its own keys through its own ring of copies, so warps never wait for one
// another until the end.
#include <algorithm>

#include "kernels/cuda/attention_splits.cuh"
#include "kernels/cuda/attention_tile.cuh"
#include "kernels/cuda/cluster.cuh"
#include "kernels/cuda/dependent_launch.cuh"
#include "kernels/cuda/shared_memory.cuh"

namespace regatta {
namespace {

constexpr int kRows = kTransposedRows;  // columns of a transposed product
constexpr int kWarpKeys = 16;           // of one step of a warp
constexpr int kWarps = kSplitKeys / kWarpKeys;
constexpr int kMostCluster = 8;  // blocks; more are not on every device

// Four 8 x 8 matrices of 16-bit elements, a row per lane; transposed when kTransposed.
template <bool kTransposed>
__device__ void LoadMatrices(const void* row_of_lane, uint32_t (&to)[4]) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row_of_lane));
  if constexpr (kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address));
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address));
  }
}

// An 8 x 8 matrix of 16-bit elements held by a warp, transposed.
__device__ uint32_t Transposed(uint32_t pair) {
  uint32_t result;
  asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(result) : "r"(pair));
  return result;
}

// Keys and values of one step of a warp, as the cache holds them.
template <typename S, int kDim>
struct WarpTile {
  static constexpr int kChunk = 16 / static_cast<int>(sizeof(S));  // elements of one copy
  static constexpr int kChunks = kDim / kChunk;
  static constexpr int kStride = kDim + kChunk;  // rows padded against bank conflicts
  S k[kWarpKeys * kStride];
  S v[kWarpKeys * kStride];

  // Begins the copy of positions [position, position + kWarpKeys) of one block, zeros from `end`
  // on.
  __device__ void Copy(const AttentionCall& call, int block, int kv_head, int position, int end) {
    const int64_t key = call.cached(call.cache.k, block, kv_head, position);
    const int64_t value = call.cached(call.cache.v, block, kv_head, position);
    const int64_t row_stride = int64_t{call.num_kv_heads} * kDim;
#pragma unroll
    for (int i = 0; i < kWarpKeys * kChunks / kWarp; ++i) {
      const int at = i * kWarp + static_cast<int>(threadIdx.x) % kWarp;
      const int row = at / kChunks, column = at % kChunks * kChunk;
      const int held = position + row < end ? 16 : 0;
      const int64_t from = held != 0 ? row * row_stride + column : 0;
      CopyAsync(k + row * kStride + column, static_cast<const S*>(call.cache.k.data) + key + from,
                held);
      CopyAsync(v + row * kStride + column, static_cast<const S*>(call.cache.v.data) + value + from,
                held);
    }
  }
};

// Fragments (PTX ISA, mma.m16n8k16) of a tile in T. Lane is 4 g + t.
template <typename T, typename S, int kDim>
struct Fragments {
  using Tile = WarpTile<S, kDim>;

  // Dimension of the first of two neighbouring query elements that register `i` of block k holds.
  static __device__ int QueryDim(int k, int i) { return 16 * k + 8 * i + threadIdx.x % 4 * 2; }
  // Dimension of a lane's row of sums: of g when `high` is 0, of g + 8 when it is 1.
  static __device__ int SumDim(int j, int high) {
    return 16 * j + static_cast<int>(threadIdx.x) % kWarp / 4 + 8 * high;
  }
  // Keys by dimensions [16 k, 16 k + 16).
  static __device__ void Keys(const Tile& tile, int k, uint32_t (&a)[4]) {
    const int lane = threadIdx.x % kWarp;
    LoadMatrices<false>(tile.k + lane % 16 * Tile::kStride + 16 * k + lane / 16 * 8, a);
  }
  // Dimensions [32 i, 32 i + 32) by keys, in two blocks.
  static __device__ void Values(const Tile& tile, int i, uint32_t (&a)[2][4]) {
    const int lane = threadIdx.x % kWarp;
    const T* row = tile.v + (lane % 8 + lane / 16 * 8) * Tile::kStride + 32 * i + lane / 8 % 2 * 8;
    LoadMatrices<true>(row, a[0]);
    LoadMatrices<true>(row + 16, a[1]);
  }
};

// The same of E4M3. Dimensions are dealt to lanes in another order, in which four neighbouring
// numbers are a lane's; a product does not mind as long as both sides agree.
template <typename T, int kDim>
struct Fragments<T, __nv_fp8_e4m3, kDim> {
  using Tile = WarpTile<__nv_fp8_e4m3, kDim>;

  static __device__ int QueryDim(int k, int i) { return 16 * k + 2 * i + threadIdx.x % 4 * 4; }
  static __device__ int SumDim(int j, int high) {
    return 16 * j + static_cast<int>(threadIdx.x) % kWarp / 4 * 2 + high;
  }
  static __device__ void Keys(const Tile& tile, int k, uint32_t (&a)[4]) {
    const int lane = threadIdx.x % kWarp;
    const auto* four = tile.k + lane / 4 * Tile::kStride + 16 * k + lane % 4 * 4;
    const uint32_t low = *reinterpret_cast<const uint32_t*>(four);
    const uint32_t high = *reinterpret_cast<const uint32_t*>(four + 8 * Tile::kStride);
    a[0] = UnpackTwo<T, kBytes01>(low);
    a[1] = UnpackTwo<T, kBytes01>(high);
    a[2] = UnpackTwo<T, kBytes23>(low);
    a[3] = UnpackTwo<T, kBytes23>(high);
  }
  // Pairs of dimensions count as 16-bit elements while they are transposed.
  static __device__ void Values(const Tile& tile, int i, uint32_t (&a)[2][4]) {
    const int lane = threadIdx.x % kWarp;
    uint32_t fours[4];
    LoadMatrices<true>(tile.v + lane % 16 * Tile::kStride + 32 * i + lane / 16 * 16, fours);
#pragma unroll
    for (int block = 0; block < 2; ++block) {
      a[block][0] = UnpackTwo<T, kBytes02>(fours[2 * block]);
      a[block][1] = UnpackTwo<T, kBytes13>(fours[2 * block]);
      a[block][2] = UnpackTwo<T, kBytes02>(fours[2 * block + 1]);
      a[block][3] = UnpackTwo<T, kBytes13>(fours[2 * block + 1]);
    }
  }
};

// What one warp knows of its keys: a lane holds queries of row g, and scores and sums of rows 2 t
// and 2 t + 1. Sums are not divided yet; maxima are of scores in units of log 2.
template <typename T, typename S, int kDim>
struct WarpState {
  using Part = Fragments<T, S, kDim>;
  uint32_t query[kDim / 16][2];
  float sum[kDim / 16][4] = {};
  float max[2] = {-INFINITY, -INFINITY};
  float weight[2] = {0, 0};
  int2 visible[2];  // first and last position; none for rows that do not exist

  __device__ void Load(const AttentionCall& call, int s, int kv_head, int num_rows) {
    const int lane = threadIdx.x % kWarp, row = lane / 4;
    const T* q = static_cast<const T*>(call.q.data);
    if (row < num_rows) q += call.offset_of(s, kv_head, row, call.q.row_stride);
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const T* pair = q + Part::QueryDim(k, i);
        query[k][i] = row < num_rows ? *reinterpret_cast<const uint32_t*>(pair) : 0;
      }
    }
    for (int r = 0; r < 2; ++r) {
      const int own = lane % 4 * 2 + r;
      visible[r] = own < num_rows ? call.visible(s, own) : int2{1, 0};
    }
  }

  // Attends to the keys of a tile whose first position is `position`.
  __device__ void Attend(const WarpTile<S, kDim>& tile, int position, float scale_log2) {
    float score[4] = {};
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
      uint32_t a[4];
      Part::Keys(tile, k, a);
      Mma<T>(score, a, query[k]);
    }
    Soften(score, position, scale_log2);
    uint32_t weights[2], rest[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      SplitPair<T>(score[2 * i], score[2 * i + 1], weights[i], rest[i]);
      weights[i] = Transposed(weights[i]);
      rest[i] = Transposed(rest[i]);
    }
#pragma unroll
    for (int i = 0; i < kDim / 32; ++i) {
      uint32_t a[2][4];
      Part::Values(tile, i, a);
#pragma unroll
      for (int block = 0; block < 2; ++block) {
        Mma<T>(sum[2 * i + block], a[block], weights);
        Mma<T>(sum[2 * i + block], a[block], rest);
      }
    }
  }

  // Scores of keys g and g + 8 become weights relative to the new maxima; earlier sums are
  // rescaled.
  __device__ void Soften(float (&score)[4], int position, float scale_log2) {
    const int key = position + static_cast<int>(threadIdx.x) % kWarp / 4;
    float shrink[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float &near = score[r], &far = score[2 + r];
      near = key >= visible[r].x && key <= visible[r].y ? near * scale_log2 : -INFINITY;
      far = key + 8 >= visible[r].x && key + 8 <= visible[r].y ? far * scale_log2 : -INFINITY;
      float new_max = fmaxf(max[r], fmaxf(near, far));
      for (int lanes = 4; lanes < kWarp; lanes *= 2) {
        new_max = fmaxf(new_max, __shfl_xor_sync(kAllLanes, new_max, lanes));
      }
      const float base = new_max == -INFINITY ? 0 : new_max;
      shrink[r] = exp2f(max[r] - base);
      max[r] = new_max;
      near = exp2f(near - base);
      far = exp2f(far - base);
      weight[r] = weight[r] * shrink[r] + near + far;
    }
    if (__all_sync(kAllLanes, shrink[0] == 1 && shrink[1] == 1)) return;
#pragma unroll
    for (int j = 0; j < kDim / 16; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) sum[j][i] *= shrink[i % 2];
    }
  }

  __device__ void Keep(WarpResults<kRows, kDim>& results) const {
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    for (int r = 0; r < 2; ++r) {
      const int row = lane % 4 * 2 + r;
      float whole = weight[r];
      for (int lanes = 4; lanes < kWarp; lanes *= 2) {
        whole += __shfl_xor_sync(kAllLanes, whole, lanes);
      }
      results.max[warp][row] = max[r];
      results.weight[warp][row] = whole;
#pragma unroll
      for (int j = 0; j < kDim / 16; ++j) {
        results.sum[warp][row][Part::SumDim(j, 0)] = sum[j][r];
        results.sum[warp][row][Part::SumDim(j, 1)] = sum[j][2 + r];
      }
    }
  }
};

// The ring of one warp: its tiles of [begin, end) are those of every kWarps-th 16 keys.
template <typename S, int kDim, int kStages>
struct WarpRing {
  WarpTile<S, kDim> stage[kStages];
};

template <typename S>
inline constexpr int kStagesOf = sizeof(S) == 1 ? 3 : 2;
template <typename S>
inline constexpr int kBlocksOf = sizeof(S) == 1 ? 4 : 3;  // per multiprocessor, by shared memory

// Positions of a warp's tiles, and the cache blocks that hold them: lane l has read that of tile
// 32 n + l.
struct WarpTiles {
  int first, end, block = 0;

  __device__ int position(int i) const { return first + i * kSplitKeys; }
  __device__ int count() const { return first < end ? (end - first - 1) / kSplitKeys + 1 : 0; }
  __device__ int BlockOf(const AttentionCall& call, int s, int i) {
    if (i % kWarp == 0) {
      const int own = position(i + static_cast<int>(threadIdx.x) % kWarp);
      block = own < end ? call.block_of(s, own) : 0;
    }
    return __shfl_sync(kAllLanes, block, i % kWarp);
  }
};

// What a block found, for the other splits of its cluster to read.
template <int kDim>
struct SplitResults {
  float sum[kRows][kDim];
  float max[kRows];
  float weight[kRows];

  __device__ void Take(const WarpResults<kRows, kDim>& warps, int num_rows) {
    for (int i = threadIdx.x; i < num_rows * kDim; i += blockDim.x) {
      const int row = i / kDim, column = i % kDim;
      float total, largest, weights;
      warps.Join(row, column, total, largest, weights);
      sum[row][column] = total;
      if (column == 0) {
        max[row] = largest;
        weight[row] = weights;
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

// Memory of a block after its rings: results of its warps, and of itself.
template <int kDim>
struct BlockResults {
  WarpResults<kRows, kDim> warps;
  SplitResults<kDim> split;
};

// One split of the keys of one sequence and KV head per block; the splits are a cluster when
// `joins`, else another kernel joins them. `beside`: the kernel in front is of
// other sequences and nothing of it is needed.
template <typename T, typename S, int kDim>
__global__ void __launch_bounds__(kWarps* kWarp, kBlocksOf<S>)
    DecodeKernel(const __grid_constant__ AttentionCall call, bool beside, bool joins) {
  constexpr int kStages = kStagesOf<S>;
  extern __shared__ __align__(128) unsigned char memory[];
  LetNextBegin();
  const int s = blockIdx.z, kv_head = blockIdx.y, split = blockIdx.x;
  const int warp = threadIdx.x / kWarp;
  const int num_rows = call.rows_of(s);
  if (num_rows > kRows || num_rows == 0) return AwaitPrevious();
  auto& ring = reinterpret_cast<WarpRing<S, kDim, kStages>*>(memory)[warp];
  const int begin = call.visible(s, 0).x / kWarpKeys * kWarpKeys;
  const int end = call.visible(s, num_rows - 1).y + 1;
  const int share = ((end - begin - 1) / kSplitKeys / call.partial.num_splits + 1) * kSplitKeys;
  WarpTiles tiles = {begin + split * share + warp * kWarpKeys,
                     min(begin + (split + 1) * share, end)};
  const auto issue = [&](int i, WarpTile<S, kDim>& stage) {
    if (i < tiles.count()) {
      stage.Copy(call, tiles.BlockOf(call, s, i), kv_head, tiles.position(i), tiles.end);
    }
    CommitCopies();
  };
  if (!beside) AwaitPrevious();
  for (int i = 0; i < kStages; ++i) issue(i, ring.stage[i]);
  WarpState<T, S, kDim> state;
  state.Load(call, s, kv_head, num_rows);
  for (int i = 0, at = 0; i < tiles.count(); ++i, at = at + 1 == kStages ? 0 : at + 1) {
    WaitCopies<kStages - 1>();
    __syncwarp();
    state.Attend(ring.stage[at], tiles.position(i), call.scale * kLog2E);
    __syncwarp();
    issue(i + kStages, ring.stage[at]);
  }
  WaitCopies<0>();
  __syncthreads();
  auto& results = *reinterpret_cast<BlockResults<kDim>*>(memory);
  state.Keep(results.warps);
  __syncthreads();
  if (joins) {
    results.split.Take(results.warps, num_rows);
    SyncCluster();
    results.split.Store(call, s, kv_head, split, num_rows);
    SyncCluster();  // what others read stays until they have
  } else {
    results.warps.Store(call, s, kv_head, split, num_rows);
  }
  AwaitPrevious();
}

template <typename T, typename S, int kDim>
void Launch(AttentionCall& call, int num_multiprocessors, const Tensor& workspace, bool beside,
            cudaStream_t stream) {
  constexpr int kBytes = static_cast<int>(
      std::max(kWarps * sizeof(WarpRing<S, kDim, kStagesOf<S>>), sizeof(BlockResults<kDim>)));
  AllowSharedMemory<&DecodeKernel<T, S, kDim>>(kBytes);
  SplitKeys(int64_t{kBlocksOf<S>} * num_multiprocessors, workspace, call);
  const dim3 grid(call.partial.num_splits, call.num_kv_heads, call.batch.num_sequences);
  const int splits = call.partial.num_splits;
  const bool joins = splits > 1 && splits <= kMostCluster &&
                     ShareMultiprocessors<&DecodeKernel<T, S, kDim>>().has_clusters;
  LaunchEarly<&DecodeKernel<T, S, kDim>>({.grid = grid,
                                          .block = kWarps * kWarp,
                                          .shared_bytes = kBytes,
                                          .cluster = joins ? splits : 1},
                                         stream, call, beside, joins);
  if (!joins) CombineSplits(call, stream);
}

}  // namespace

bool DecodesTransposed(const AttentionCall& call) {
  return call.num_heads / call.num_kv_heads <= kRows && call.block_shift >= 0 &&
         call.block_size >= kWarpKeys && (call.head_dim == 64 || call.head_dim == 128);
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
