// Prompts over the paged cache on Hopper (after Shah et al., FlashAttention-3, 2024): of a block's
// three warpgroups one brings keys and values into a ring of tiles, two attend to them with 64 rows
// each, so that the softmax of one runs beside the products of the other. Blocks stay, and take one
// piece of work after the other, the longest first.
#include <algorithm>

#include "kernels/cuda/attention_prompt_ring.cuh"
#include "kernels/cuda/dependent_launch.cuh"
#include "kernels/cuda/shared_memory.cuh"

namespace regatta {
namespace {

constexpr int kPromptThreads = (1 + kAttending) * kWarpgroup;

// 64 rows of a warpgroup: products of fragments with whole tiles. `kExact`: of weights with what
// rounding them to C lost, so that outputs are right to their own rounding; values in E4M3 are
// coarser than what float16 loses.
template <typename C, bool kExact>
struct WarpgroupRows : WarpRows<C, kPromptDim> {
  static constexpr int kKeySteps = kTileKeys / 16;
  float score[kTileKeys / 8][4];
  uint32_t weights[kKeySteps][4], rest[kExact ? kKeySteps : 1][4];

  __device__ void BeginScores(const SwizzledSide<C>& keys) {
    const uint64_t matrix = SwizzledMatrix(&keys, 0);
    BeginProducts();
#pragma unroll
    for (int k = 0; k < kPromptDim / 16; ++k) {
      BeginTimesRows<C>(score, this->query[k], Further(matrix, k / 4 * keys.kBytes + k % 4 * 32),
                        k > 0);
    }
    CommitProducts();
  }
  __device__ void BeginSums(const SwizzledSide<C>& values) {
    const uint64_t matrix = SwizzledMatrix(&values, values.kBytes);
    BeginProducts();
#pragma unroll
    for (int k = 0; k < kKeySteps; ++k) {
      BeginTimesColumns<C>(this->sum, weights[k], Further(matrix, k * 16 * 128));
      if constexpr (kExact) {
        BeginTimesColumns<C>(this->sum, rest[k], Further(matrix, k * 16 * 128));
      }
    }
    CommitProducts();
  }
  __device__ void AwaitSums() {
    WaitProducts<0>();
    Pin(this->sum);
    Pin(weights);
    if constexpr (kExact) Pin(rest);
  }
  __device__ void MakeWeights() {
#pragma unroll
    for (int k = 0; k < kKeySteps; ++k) {
      if constexpr (kExact) {
        this->template SplitWeights<kTileKeys>(score, k, weights[k], rest[k]);
      } else {
        this->template RoundWeights<kTileKeys>(score, k, weights[k]);
      }
    }
  }

  // Attends to the tiles of a piece of work, at least one; scores of a tile are computed, then
  // softened, while the sums of the tile before it are. Queries are no longer needed when it calls
  // `proceed`.
  template <typename Proceed>
  __device__ void Attend(PromptRing<C>& ring, const PromptWork& work, int tile, float scale_log2,
                         const Proceed& proceed) {
    float shrink[2];
    ring.AwaitFull(tile);
    BeginScores(ring.Of(tile).k);
    WaitProducts<0>();
    Pin(score);
    this->template Soften<kTileKeys>(score, work.begin, scale_log2, shrink);
    MakeWeights();
    for (int first = work.begin + kTileKeys; first < work.end; first += kTileKeys, ++tile) {
      ring.AwaitFull(tile + 1);
      BeginScores(ring.Of(tile + 1).k);
      BeginSums(ring.Of(tile).v);
      WaitProducts<1>();
      Pin(score);
      this->template Soften<kTileKeys>(score, first, scale_log2, shrink);
      AwaitSums();
      ring.Empty(tile);
      this->Shrink(shrink);
      MakeWeights();
    }
    BeginSums(ring.Of(tile).v);
    proceed();
    AwaitSums();
    ring.Empty(tile);
  }
};

template <typename T, typename S>
__global__ void __launch_bounds__(kPromptThreads, 1)
    PromptKernel(const __grid_constant__ AttentionCall call,
                 const __grid_constant__ PromptGrid grid) {
#if defined(REGATTA_HAS_WARPGROUPS)
  // Of each thread: the 168 that a launch gives to all, shared out anew.
  constexpr int kBringingRegisters = 72, kAttendingRegisters = 216;
  using C = ComputeType<T, S>;
  extern __shared__ __align__(1024) unsigned char prompt_memory[];
  auto& ring = *reinterpret_cast<PromptRing<C>*>(prompt_memory);
  if (threadIdx.x == 0) ring.Init();
  const PromptWork first(call, grid, blockIdx.x);
  __syncthreads();
  AwaitPrevious();
  LetNextBegin();  // which decodes other sequences, and finds done what this kernel awaited
  const int warpgroup = threadIdx.x / kWarpgroup;
  if (warpgroup == 0) {
    GiveRegisters<kBringingRegisters>();
    ForWork(call, grid, first, [&](const PromptWork& work, const PromptWork&, int tile) {
      if (work.num_tiles() == 0) return;
      if constexpr (std::is_same_v<C, S>) {
        Bringer<C>::Bring(call, work, ring, tile);
      } else {
        UnpackingBringer::Bring(call, work, ring, tile);
      }
    });
  } else {
    TakeRegisters<kAttendingRegisters>();
    const float out_factor = call.out_factor();
    const int own_row = static_cast<int>(threadIdx.x - kWarpgroup) / kWarp * 16;
    WarpgroupRows<C, std::is_same_v<C, S>> rows;
    const auto load = [&](const PromptWork& work) {
      rows.template Load<T, true>(call, work.s, work.kv_head, work.first_row + own_row);
    };
    load(first);
    ForWork(call, grid, first, [&](const PromptWork& work, const PromptWork& next, int tile) {
      if (work.num_tiles() == 0) return load(next);
      rows.Attend(ring, work, tile, call.scale * kLog2E, [&] { load(next); });
      rows.template Store<T, true>(call, out_factor, work.s, work.kv_head,
                                   work.first_row + own_row);
      rows.Clear();
    });
  }
#endif
}

template <typename T, typename S>
void LaunchPrompt(const AttentionCall& call, int num_multiprocessors, cudaStream_t stream) {
  constexpr int kBytes = sizeof(PromptRing<ComputeType<T, S>>);
  AllowSharedMemory<&PromptKernel<T, S>>(kBytes);
  const PromptGrid grid = {CeilDiv(call.batch.max_query_length * call.group, kPromptRows),
                           call.num_prompts() * call.num_kv_heads};
  const unsigned blocks = std::min(grid.size(), num_multiprocessors);
  LaunchEarly<&PromptKernel<T, S>>(
      {.grid = dim3(blocks), .block = kPromptThreads, .shared_bytes = kBytes}, stream, call, grid);
}

}  // namespace

bool SuitsWarpgroups(const AttentionCall& call) {
  constexpr int kTokensPerDecoding = 4;
  const int decoding = call.batch.num_sequences - call.num_prompts();
  const bool main_part = call.batch.num_tokens - decoding > kTokensPerDecoding * decoding;
  return main_part && call.head_dim == kPromptDim && call.block_shift >= 0 &&
         ShareMultiprocessors<&PromptKernel<__nv_bfloat16, __nv_bfloat16>>().has_warpgroups;
}

void LaunchPromptAttention(const AttentionCall& call, int num_multiprocessors,
                           cudaStream_t stream) {
  const auto launch_for_cache = [&]<typename T>(T) {
    if (call.cache.k.dtype == DType::kFloat8E4M3) {
      LaunchPrompt<T, __nv_fp8_e4m3>(call, num_multiprocessors, stream);
    } else {
      LaunchPrompt<T, T>(call, num_multiprocessors, stream);
    }
  };
  if (call.q.dtype == DType::kBFloat16) {
    launch_for_cache(__nv_bfloat16{});
  } else {
    launch_for_cache(__half{});
  }
}

}  // namespace regatta
