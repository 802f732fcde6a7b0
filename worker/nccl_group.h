// Groups of GPUs over NCCL.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "kernels/ops.h"
#include "worker/rank_group.h"

namespace regatta {

// The id that a group's rank 0 gives out.
absl::StatusOr<std::string> MakeNcclGroupId(int world_size);

// Joins; `ops` are CUDA's.
absl::StatusOr<std::shared_ptr<RankGroup>> JoinNcclGroup(const std::string& id, int rank,
                                                         int world_size, absl::Duration timeout,
                                                         const std::atomic<bool>* stop, Ops& ops);

}  // namespace regatta
