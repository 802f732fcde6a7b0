// What the case tables share.
#include "tests/kernels/op_cases.h"

namespace regatta {

void ReserveForCases(Ops& ops) {
  const MoeParams moe = {
      .num_experts = 8, .experts_per_token = 2, .first_expert = 0, .num_local = 8};
  ops.Reserve(kCaseMaxTokens, kCaseMaxRows, moe, /*expert_width=*/128, /*hidden=*/256,
              kCaseMaxVocab);
}

}  // namespace regatta
