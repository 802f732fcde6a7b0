// Groups of GPUs over NCCL. Ranks on the host of the group's offer also share a segment of host
// memory (shared_memory_group.h): through it a rank's death, an abort and its reason reach the
// others, and a join that fails can name who is missing.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "kernels/ops.h"
#include "worker/collectives/peer_limits.h"
#include "worker/collectives/rank_group.h"

namespace regatta {

// Of the library that is loaded: 22809 = 2.28.9.
int NcclVersion();

// What rank 0 of a group of `world_size` ranks gives out. Its process must live until all have
// joined: they meet there. Printable. UNAVAILABLE with NCCL's words when it cannot listen.
absl::StatusOr<std::unique_ptr<GroupOffer>> OfferNcclGroup(int world_size);

// Joins the group `id` as `rank` and waits for all: DEADLINE_EXCEEDED names the missing ranks as
// far as they are known, CANCELLED once `stop` (may be null) turns true, INVALID_ARGUMENT when `id`
// is of another kind, size or NCCL. `ops` are CUDA's and must outlive the group; collectives run on
// their stream and may be captured into graphs. Once a member has died, left or aborted, or `stop`
// has turned true, the group fails within 100 ms on every rank of the host, without being asked.
// Destruction takes seconds at most; graphs that hold collectives must go first. Sums up to
// `limits` go through memory that the GPUs of a host map from one another, where they can.
absl::StatusOr<std::shared_ptr<RankGroup>> JoinNcclGroup(const std::string& id, int rank,
                                                         int world_size, absl::Duration timeout,
                                                         const std::atomic<bool>* stop, Ops& ops,
                                                         const PeerLimits& limits = {});

}  // namespace regatta
