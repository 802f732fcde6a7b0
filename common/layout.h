// Pure arithmetic of layouts: which are valid for a model, which rank is where, who holds which part. No I/O, no device.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/model_spec.h"
#include "proto/types.pb.h"

namespace regatta {

// tp, pp, ep, dp as on the command line (trtllm-bench's meaning: ep divides tp; dp = independent copies) -> Layout.
// Errors: INVALID_ARGUMENT when ep does not divide tp or a size is zero.
absl::StatusOr<Layout> MakeLayout(uint32_t tp, uint32_t pp, uint32_t ep, uint32_t dp);

// Ranks of one copy, and of all copies.
uint32_t RanksPerCopy(const Layout& layout);
uint32_t WorldSize(const Layout& layout);

// "tp2-pp2-dp2"; sizes of one are left out; "tp1" for a single rank.
std::string LayoutName(const Layout& layout);

// OK when `spec` can be split that way. Otherwise INVALID_ARGUMENT naming the dimension that does not divide and the layouts of the
// same world size that fit.
absl::Status CheckLayout(const ModelSpec& spec, const Layout& layout);

// Every valid single-copy layout of exactly `ranks` ranks, and with copies, every way to fill `ranks`.
std::vector<Layout> ValidLayouts(const ModelSpec& spec, uint32_t ranks);

// Where one rank of a copy sits. Ranks are stage-major: rank = stage * attention_tp + tp_rank.
struct RankPosition {
  uint32_t stage = 0;
  uint32_t tp_rank = 0;         // within the attention group
  uint32_t expert_tp_rank = 0;  // expert group: ranks with equal ep_rank share experts
  uint32_t ep_rank = 0;
  int first_layer = 0;          // this stage's layers [first_layer, end_layer)
  int end_layer = 0;
  bool first_stage = false;
  bool last_stage = false;
};
RankPosition PositionOf(const ModelSpec& spec, const Layout& layout, uint32_t rank);

}  // namespace regatta
