// Step plans of a router, one after another: a rank refuses what is malformed or disagrees with
// what it holds; nothing that it accepts may reach beyond its slots, rows, blocks or vocabulary.
#include <vector>

#include "common/check.h"
#include "tests/fuzz/fuzz_input.h"
#include "worker/slot_table.h"

namespace regatta {
namespace {

constexpr SlotLimits kLimits = {.num_slots = 4,
                                .max_num_tokens = 32,
                                .max_seq_len = 64,
                                .block_size = 8,
                                .num_blocks = 20,
                                .vocab_size = 300,
                                .sampling_rows = 2};

void CheckSlot(const Slot& slot) {
  CHECK_LE(slot.position, slot.length);
  CHECK_LE(slot.length, kLimits.max_seq_len + 1);  // The last draw is never computed.
  CHECK_LE(slot.position, slot.blocks.size() * kLimits.block_size);
  CHECK_LT(slot.row, static_cast<int>(kLimits.sampling_rows));
  for (const int32_t block : slot.blocks) {
    CHECK(block >= 0 && block < static_cast<int32_t>(kLimits.num_blocks)) << block;
  }
  for (const uint32_t token : slot.suppressed) CHECK_LT(token, kLimits.vocab_size);
}

void CheckEntries(const StepPlan& plan) {
  int64_t tokens = 0;
  for (int entry = 0; entry < plan.slot_size(); ++entry) {
    CHECK_LT(plan.slot(entry), kLimits.num_slots);
    tokens += plan.count(entry);
  }
  CHECK_LE(tokens, kLimits.max_num_tokens);
  for (const uint32_t token : plan.tokens()) CHECK_LT(token, kLimits.vocab_size);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  SlotTable slots(kLimits);
  while (!input.empty()) {
    const std::string_view bytes = input.Until(kNextPart);
    StepPlan plan;
    if (!plan.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return 0;
    const absl::Status status = slots.Apply(plan);
    if (!status.ok()) {
      CHECK(absl::IsInvalidArgument(status) || absl::IsFailedPrecondition(status)) << status;
      return 0;
    }
    CheckEntries(plan);
    slots.Advance(plan);
    for (uint32_t i = 0; i < kLimits.num_slots; ++i) {
      if (slots.slot(i).in_use) CheckSlot(slots.slot(i));
    }
  }
  return 0;
}

}  // namespace regatta
