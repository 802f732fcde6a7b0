// Limits of what a rank can be formed with; see form_request.h.
#include "worker/form_request.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/layout.h"
#include "common/status_macros.h"
#include "worker/collectives/shared_memory_group.h"

namespace regatta {
namespace {

constexpr uint64_t kMaxBatchSize = 1 << 16;
constexpr uint64_t kMaxNumTokens = 1 << 20;
constexpr uint64_t kMaxBlockSize = 1 << 10;

absl::Status CheckRange(const char* field, uint64_t value, uint64_t low, uint64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, " ", value, " is outside ", low, " to ", high));
}

}  // namespace

absl::Status CheckFormRequest(const FormRequest& request, const ModelSpec& spec) {
  RETURN_IF_ERROR(CheckLayout(spec, request.layout()));
  const Limits& limits = request.limits();
  RETURN_IF_ERROR(CheckRange("rank", request.rank(), 0, RanksPerCopy(request.layout()) - 1));
  RETURN_IF_ERROR(CheckRange("max_batch_size", limits.max_batch_size(), 1, kMaxBatchSize));
  RETURN_IF_ERROR(CheckRange("max_num_tokens", limits.max_num_tokens(), 1, kMaxNumTokens));
  RETURN_IF_ERROR(CheckRange("max_seq_len", limits.max_seq_len(), 1, spec.max_position));
  RETURN_IF_ERROR(CheckRange("block_size", request.block_size(), 1, kMaxBlockSize));
  RETURN_IF_ERROR(CheckRange("sampling_rows", request.sampling_rows(), 0, kMaxBatchSize));
  RETURN_IF_ERROR(CheckRange("timeout_ms", request.timeout_ms(), 1, 3'600'000));
  const uint64_t largest = std::min(limits.max_batch_size(), limits.max_num_tokens());
  uint32_t before = 0;
  for (const uint32_t size : request.graphs().batch_sizes()) {
    RETURN_IF_ERROR(CheckRange("graphs.batch_sizes, ascending,", size, before + 1, largest));
    before = size;
  }
  // Ids of every plan in flight must fit a pipeline's channel.
  const uint64_t id_bytes = limits.max_batch_size() * sizeof(int32_t);
  const uint64_t id_pieces = (id_bytes + kRingPieceBytes - 1) / kRingPieceBytes;
  RETURN_IF_ERROR(CheckRange("max_inflight", request.max_inflight(), 1, kRingPieces / id_pieces));
  const double fraction = request.kv_cache_fraction();
  if (!(fraction > 0 && fraction <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("kv_cache_fraction ", fraction, " is outside 0 (exclusive) to 1"));
  }
  return absl::OkStatus();
}

SlotLimits SlotLimitsOf(const FormRequest& request, const ModelSpec& spec, uint32_t num_blocks) {
  return {.num_slots = request.limits().max_batch_size(),
          .max_num_tokens = request.limits().max_num_tokens(),
          .max_seq_len = request.limits().max_seq_len(),
          .block_size = request.block_size(),
          .num_blocks = num_blocks,
          .vocab_size = static_cast<uint32_t>(spec.vocab_size),
          .sampling_rows = std::min(request.sampling_rows(), request.limits().max_batch_size()),
          .random_next_ids = request.model().random_next_ids()};
}

}  // namespace regatta
