// Sums over the GPUs of one host through memory that each has mapped from the others, faster than a
// library's for the sizes of decoding steps. The owner maps the memory; here is what happens in it.
//
// Every rank pushes its values into memory of its peers, where a value is its own flag: memory not
// yet written holds -0.0, which no pushed value is (-0.0 is pushed as +0.0). So nobody waits at a
// barrier. Three slots are used in turn: while one is written and read, the one before is emptied
// for the call after next, which no peer can begin before this rank has finished this call. Which
// slot is next is known on the device alone, so calls may be recorded into graphs and replayed.
//
// Up to one_shot_bytes each rank pushes all it has to all, and sums everything itself. Up to
// two_shot_bytes it pushes each peer its part, and the sum of its own part to all. Both sum in
// float32 in rank order with one rounding: the same bits on all ranks and by either way.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "kernels/activation.h"

namespace regatta {

inline constexpr int kMaxPeers = 8;

// The ranks of a sum as one of them sees them, all on one host. Plain data, passed to kernels.
// Calls of one group are issued on one stream, by all members in the same order.
struct PeerGroup {
  int index = 0;
  int size = 0;  // 2 .. kMaxPeers
  // By rank: PeerBufferBytes of memory of that rank, as this one can address it. Aligned to 16.
  void* buffers[kMaxPeers] = {};
  // A word that the host writes and the device can read: not 0 ends every wait, whose results are
  // then undefined, as are all later ones of the group.
  const uint32_t* abort = nullptr;
  // Equal on all ranks, multiples of 16; they decide the layout of the buffers.
  size_t one_shot_bytes = 0;
  size_t two_shot_bytes = 0;
  size_t beside_bytes = 0;  // of a sum of peer_beside.h; 0 = none
};

// Two ranks push one copy of everything; more push several, and are better off in two shots from
// 256 KB on (AIConfigurator's tables of TensorRT-LLM's and SGLang's kernels on H200). More than
// 8 MB goes in pieces, so that every element is summed in one order whatever is around it.
constexpr size_t DefaultOneShotBytes(int size) { return size == 2 ? 1 << 20 : 256 << 10; }
inline constexpr size_t kDefaultTwoShotBytes = 8 << 20;

// Size of each rank's buffer: of `group` only its size and limits count.
size_t PeerBufferBytes(const PeerGroup& group);
// Makes this rank's own buffer ready. It must have happened on all ranks before the first sum.
void PreparePeerBuffer(const PeerGroup& group, cudaStream_t stream);

// Whether PeerAllReduce takes `x`: a dense activation of a multiple of 16 bytes.
bool PeersCanSum(const Tensor& x);
// x = sum of all ranks' x, in place, in rank order.
void PeerAllReduce(const PeerGroup& group, const Tensor& x, cudaStream_t stream);

// More is faster with the norm in a kernel of its own, which all multiprocessors share. (vLLM's
// measurements of fused sums on two H100: even at 0.5 MB, slower from 1 MB)
inline constexpr size_t kMostFusedBytes = 512 << 10;

// Whether PeerAllReduceAddNorm takes these: x within kMostFusedBytes and one_shot_bytes, rows of
// multiples of 16 bytes.
bool PeersCanAddNorm(const PeerGroup& group, const Tensor& x, const Tensor& residual,
                     const Tensor& weight, const Activation& out);
// residual += sum of all ranks' x, in place; out = RmsNorm(residual) * weight. x, residual, out
// [T, D], weight [D], one dtype; or out in E4M3. Bits and formulas are those of PeerAllReduce and
// then Ops::AddRmsNorm; x is left alone.
void PeerAllReduceAddNorm(const PeerGroup& group, const Tensor& x, const Tensor& residual,
                          const Tensor& weight, float eps, const Activation& out,
                          cudaStream_t stream);

// A Reducer that kernels may stand in for.
class PeerReducer {
 public:
  virtual ~PeerReducer() = default;
  // Null where the ranks do not map one another's memory.
  virtual const PeerGroup* peers() const = 0;
};

}  // namespace regatta
