// Keys and values of the prompt attention on their way: which pieces of work there are, the ring of
// tiles in shared memory, and the warpgroup that fills it.
#pragma once

#include "kernels/cuda/attention_tile.cuh"
#include "kernels/cuda/warpgroup.cuh"

namespace regatta {

inline constexpr int kPromptDim = 128;
inline constexpr int kAttending = 2;  // warpgroups
inline constexpr int kRowsOfWarpgroup = 64;
inline constexpr int kPromptRows = kAttending * kRowsOfWarpgroup;
inline constexpr int kPromptStages = 4;

// How the work is dealt out: tiles of kPromptRows rows of every sequence and KV head.
struct PromptGrid {
  int tiles;  // of the longest sequence
  int pairs;  // of sequence and KV head

  __host__ __device__ int size() const { return tiles * pairs; }
};

// A piece of work: some rows of a sequence and KV head, and the positions that any of them sees.
struct PromptWork {
  int s, kv_head, first_row, num_rows, begin = 0, end = 0;

  // Piece `i` of the grid, the longest first; no tiles where the sequence is shorter, or decodes.
  __device__ PromptWork(const AttentionCall& call, const PromptGrid& grid, int i) {
    const int pair = i % grid.pairs, index = pair / call.num_kv_heads;
    s = call.prompt(index);
    kv_head = pair % call.num_kv_heads;
    first_row = (grid.tiles - 1 - i / grid.pairs) * kPromptRows;
    num_rows = call.rows_of(s);
    if (num_rows <= call.decode_rows || first_row >= num_rows) return;
    begin = call.visible(s, first_row).x / kTileKeys * kTileKeys;
    end = call.visible(s, min(first_row + kPromptRows, num_rows) - 1).y + 1;
  }
  __device__ int num_tiles() const { return (end - begin + kTileKeys - 1) / kTileKeys; }
};

// Calls act(work, next work, number of the first tile) for this block's pieces, of which `work` is
// the first. Where the next one is has been read before it is needed; behind the last comes any.
template <typename Act>
__device__ void ForWork(const AttentionCall& call, const PromptGrid& grid, PromptWork work,
                        const Act& act) {
  int tile = 0;
  const int blocks = static_cast<int>(gridDim.x), own = static_cast<int>(blockIdx.x);
  // Forwards and backwards in turn, so that nobody always gets the longer of a round.
  const auto piece = [&](int round) {
    return round * blocks + (round % 2 == 0 ? own : blocks - 1 - own);
  };
  for (int round = 0; piece(round) < grid.size(); ++round) {
    const PromptWork next(call, grid, min(piece(round + 1), grid.size() - 1));
    act(work, next, tile);
    tile += work.num_tiles();
    work = next;
  }
}

// One side of a tile in C, as products want it: two matrices of 64 columns, lines swizzled.
template <typename C>
struct SwizzledSide {
  static constexpr int kColumns = 64;
  static constexpr int kBytes = kTileKeys * kColumns * 2;  // of one matrix
  C at[2][kTileKeys][kColumns];

  // Where 8 elements of a row are.
  __device__ C* Chunk(int row, int chunk) { return &at[chunk / 8][row][(chunk % 8 ^ row % 8) * 8]; }
};

template <typename C>
struct PromptRing {
  struct Stage {
    SwizzledSide<C> k, v;
  };
  Stage stage[kPromptStages];
  PhaseBarrier full[kPromptStages], empty[kPromptStages];

  __device__ void Init() {
    for (int i = 0; i < kPromptStages; ++i) {
      full[i].Init(kWarpgroup);
      empty[i].Init(kAttending * kWarpgroup / kWarp);
    }
  }
  __device__ Stage& Of(int tile) { return stage[tile % kPromptStages]; }
  __device__ void AwaitFull(int tile) { full[tile % kPromptStages].Await(tile / kPromptStages); }
  __device__ void AwaitEmpty(int tile) {
    empty[tile % kPromptStages].Await(tile / kPromptStages - 1);
  }
  // By every thread that brings.
  __device__ void Fill(int tile) {
    PublishToProducts();
    full[tile % kPromptStages].Arrive();
  }
  // By every warp that attends.
  __device__ void Empty(int tile) {
    if (threadIdx.x % kWarp == 0) empty[tile % kPromptStages].Arrive();
  }
};

// Where a thread of those that bring finds its chunks of a tile, of 16 bytes each: those of every
// kRows-th position, of the last that is held instead of any behind it, as their weights are zero.
template <typename S>
struct OwnChunks {
  static constexpr int kChunk = 16 / static_cast<int>(sizeof(S));  // elements
  static constexpr int kChunks = kPromptDim / kChunk;
  static constexpr int kRows = kWarpgroup / kChunks;
  static constexpr int kPasses = kTileKeys / kRows;
  const AttentionCall& call;
  const int32_t* table;  // of the sequence
  int last, at;          // position; element within the cached row of a position
  int block[kPasses];    // of the next tile

  __device__ OwnChunks(const AttentionCall& call, const PromptWork& work)
      : call(call),
        table(call.batch.block_table + call.batch.block_start[work.s]),
        last(work.end - 1),
        at(work.kv_head * kPromptDim + chunk() * kChunk) {}
  static __device__ int chunk() { return threadIdx.x % kChunks; }
  static __device__ int row(int i) { return threadIdx.x / kChunks + i * kRows; }
  __device__ int position(int first, int i) const { return min(first + row(i), last); }

  // Reads the blocks of a tile, well before they are needed.
  __device__ void ReadBlocks(int first) {
#pragma unroll
    for (int i = 0; i < kPasses; ++i) block[i] = table[position(first, i) >> call.block_shift];
  }
  __device__ const S* Find(const Tensor& side, int first, int i) const {
    const int within = position(first, i) & (call.block_size - 1);
    return static_cast<const S*>(side.data) + block[i] * side.row_stride +
           (within * call.num_kv_heads * kPromptDim + at);
  }
};

// Brings the tiles of one piece of work; they are numbers `tile` and so on of the block. As the
// cache has them: copies, two tiles of them on their way.
template <typename C>
struct Bringer {
  using Own = OwnChunks<C>;

  static __device__ void Bring(const AttentionCall& call, const PromptWork& work,
                               PromptRing<C>& ring, int tile) {
    Own own(call, work);
    own.ReadBlocks(work.begin);
    for (int first = work.begin; first < work.end; first += kTileKeys, ++tile) {
      ring.AwaitEmpty(tile);
      auto& stage = ring.Of(tile);
#pragma unroll
      for (int i = 0; i < Own::kPasses; ++i) {
        CopyAsync(stage.k.Chunk(own.row(i), own.chunk()), own.Find(call.cache.k, first, i), 16);
        CopyAsync(stage.v.Chunk(own.row(i), own.chunk()), own.Find(call.cache.v, first, i), 16);
      }
      CommitCopies();
      own.ReadBlocks(first + kTileKeys);
      if (first == work.begin) continue;
      WaitCopies<1>();
      ring.Fill(tile - 1);
    }
    WaitCopies<0>();
    ring.Fill(tile - 1);
  }
};

// The same of a cache in E4M3: through registers, where it is unpacked, the next tile on its way.
struct UnpackingBringer {
  using Own = OwnChunks<__nv_fp8_e4m3>;
  uint4 k[Own::kPasses], v[Own::kPasses];

  static __device__ void Bring(const AttentionCall& call, const PromptWork& work,
                               PromptRing<__half>& ring, int tile) {
    UnpackingBringer held;
    Own own(call, work);
    own.ReadBlocks(work.begin);
    held.Fetch(own, work.begin);
    for (int first = work.begin; first < work.end; first += kTileKeys, ++tile) {
      own.ReadBlocks(first + kTileKeys);
      ring.AwaitEmpty(tile);
      held.Put(ring.Of(tile));
      ring.Fill(tile);
      held.Fetch(own, first + kTileKeys);
    }
  }

  __device__ void Fetch(const Own& own, int first) {
#pragma unroll
    for (int i = 0; i < Own::kPasses; ++i) {
      k[i] = *reinterpret_cast<const uint4*>(own.Find(own.call.cache.k, first, i));
      v[i] = *reinterpret_cast<const uint4*>(own.Find(own.call.cache.v, first, i));
    }
  }

  __device__ void Put(PromptRing<__half>::Stage& stage) const {
#pragma unroll
    for (int i = 0; i < Own::kPasses; ++i) {
      PutChunk(k[i], Own::row(i), stage.k);
      PutChunk(v[i], Own::row(i), stage.v);
    }
  }

  // 16 elements of a row. Lanes of the second matrix begin with their second half: then eight lanes
  // write to different banks.
  static __device__ void PutChunk(const uint4& bytes, int row, SwizzledSide<__half>& side) {
    const int chunk = Own::chunk(), swapped = chunk / (Own::kChunks / 2);
    uint4 wide[2];
    UnpackFour(bytes.x, wide[0].x, wide[0].y);
    UnpackFour(bytes.y, wide[0].z, wide[0].w);
    UnpackFour(bytes.z, wide[1].x, wide[1].y);
    UnpackFour(bytes.w, wide[1].z, wide[1].w);
    *reinterpret_cast<uint4*>(side.Chunk(row, 2 * chunk + swapped)) = swapped ? wide[1] : wide[0];
    *reinterpret_cast<uint4*>(side.Chunk(row, 2 * chunk + 1 - swapped)) =
        swapped ? wide[0] : wide[1];
  }
};

}  // namespace regatta
