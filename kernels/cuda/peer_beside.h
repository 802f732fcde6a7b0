// Sums that run beside other work: copy engines bring every rank's part to its peers while the
// multiprocessors do something else, and what has come is added by a kernel where it is needed. For
// few ranks and large sums, as each sends all it has to all.
//
// Sums are numbered. A slot of the buffer is written again after kBesideSlots sums: by then this
// rank has awaited the sum that was there, as the peer has awaited a later one for which this rank
// had to begin one, which it does after awaiting all but kPeerSumsBeside of those before.
#pragma once

#include "kernels/cuda/peer_all_reduce.h"

namespace regatta {

inline constexpr int kPeerSumsBeside = 2;  // begun and not awaited, at most
inline constexpr int kBesideSlots = 2 * kPeerSumsBeside;

// Of the group's buffer, behind all else.
size_t PeerBesideBytes(const PeerGroup& group);
// A part of PreparePeerBuffer.
void PreparePeerBeside(const PeerGroup& group, cudaStream_t stream);

// Sends x, as PeersCanSum takes it and of at most beside_bytes, to all peers as this rank's part of
// sum `number`. All ranks count alike, from 0. x must stay as it is until `side` has come that far.
cudaError_t PushBeside(const PeerGroup& group, const Tensor& x, uint32_t number, cudaStream_t side);

// x = the sum `number` of all ranks' parts, in place, once they have come: the bits that
// PeerAllReduce gives.
void AddPushed(const PeerGroup& group, const Tensor& x, uint32_t number, cudaStream_t stream);

}  // namespace regatta
