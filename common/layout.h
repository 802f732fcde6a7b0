// Pure arithmetic of layouts: which are valid for a model, which rank is where, who holds which
// part. No I/O, no device. A size of zero in a Layout means one, everywhere.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/model_spec.h"
#include "proto/types.pb.h"

namespace regatta {

inline constexpr uint32_t kMaxRanks = 1 << 16;  // over all copies

// tp, pp, ep, dp as on the command line (trtllm-bench's meaning: ep divides tp; dp = independent
// copies) -> Layout. Errors: INVALID_ARGUMENT when ep does not divide tp, a size is zero, or the
// ranks exceed kMaxRanks.
absl::StatusOr<Layout> MakeLayout(uint32_t tp, uint32_t pp, uint32_t ep, uint32_t dp);

// The same for `spec`, whose errors are CheckLayout's too. That a model has no experts is said
// before what its ep would have to divide.
absl::StatusOr<Layout> MakeLayout(const ModelSpec& spec, uint32_t tp, uint32_t pp, uint32_t ep,
                                  uint32_t dp);

// Ranks of one copy, and of all copies.
uint32_t RanksPerCopy(const Layout& layout);
uint32_t WorldSize(const Layout& layout);

// "tp2-pp2-dp2"; sizes of one are left out; "tp1" for a single rank.
std::string LayoutName(const Layout& layout);

// OK when `spec` can be split that way: tp divides query heads, MLP widths and vocabulary; tp
// divides the KV heads or is a multiple of their number (each is then held by tp / KV heads ranks);
// ep divides the experts and expert tp their width; pp is at most the layers; with a scale per
// block of weights, shares are whole blocks. Otherwise INVALID_ARGUMENT naming the dimension that
// does not divide and the layouts of the same world size that fit. UNIMPLEMENTED for attention_dp
// above one.
absl::Status CheckLayout(const ModelSpec& spec, const Layout& layout);

// OK when a pool of `workers` is large enough for `layout`. Otherwise INVALID_ARGUMENT naming the
// layouts of so many ranks that fit `spec`.
absl::Status CheckPoolSize(const ModelSpec& spec, const Layout& layout, uint32_t workers);

// Every valid layout of exactly `ranks` ranks: those of one copy first, then of two copies, and so
// on.
std::vector<Layout> ValidLayouts(const ModelSpec& spec, uint32_t ranks);

// Where one rank of a copy sits. Ranks are stage-major: rank = stage * attention_tp + tp_rank.
// Layers are dealt as evenly as can be; the last stage also holds the head, so what remains goes to
// the earlier stages, one each.
struct RankPosition {
  uint32_t stage = 0;
  uint32_t tp_rank = 0;         // within the attention group
  uint32_t expert_tp_rank = 0;  // tp_rank % expert_tp; ranks with equal ep_rank share experts
  uint32_t ep_rank = 0;         // tp_rank / expert_tp
  int first_layer = 0;          // this stage's layers [first_layer, end_layer)
  int end_layer = 0;
  bool first_stage = false;
  bool last_stage = false;
};
// CHECK-fails unless `layout` is valid for `spec` and `rank` is below RanksPerCopy.
RankPosition PositionOf(const ModelSpec& spec, const Layout& layout, uint32_t rank);

}  // namespace regatta
