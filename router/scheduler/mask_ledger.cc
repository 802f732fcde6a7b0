// Steps and the tokens they stand on; see mask_ledger.h.
#include "router/scheduler/mask_ledger.h"

#include <algorithm>
#include <utility>

#include "common/check.h"

namespace regatta {

void MaskLedger::Add(uint64_t id, std::shared_ptr<OutputConstraint> constraint) {
  CHECK(constraint != nullptr) << "sequence " << id;
  CHECK(sequences_.emplace(id, Constrained{std::move(constraint)}).second) << "sequence " << id;
}

void MaskLedger::Remove(uint64_t id) { sequences_.erase(id); }

void MaskLedger::Planned(uint64_t step_id, const std::vector<uint64_t>& ids) {
  uint64_t after = 0;
  for (const uint64_t id : ids) {
    const auto it = sequences_.find(id);
    CHECK(it != sequences_.end()) << "sequence " << id << " awaits a mask of no constraint";
    after = std::max(after, std::exchange(it->second.newest_step, step_id));
  }
  planned_.push_back({step_id, after, ids});
}

bool MaskLedger::Accept(uint64_t id, absl::Span<const uint32_t> tokens) {
  const auto it = sequences_.find(id);
  if (it == sequences_.end()) return true;
  return std::all_of(tokens.begin(), tokens.end(),
                     [&](uint32_t token) { return it->second.constraint->Accept(token); });
}

absl::Status MaskLedger::Check(uint64_t id) const {
  const auto it = sequences_.find(id);
  return it == sequences_.end() ? absl::OkStatus() : it->second.constraint->status();
}

std::optional<MaskLedger::Due> MaskLedger::TakeDue() {
  if (planned_.empty() || planned_.front().after > committed_) return std::nullopt;
  Due due{planned_.front().step_id, std::move(planned_.front().ids), {}};
  for (const uint64_t id : due.ids) {
    const auto it = sequences_.find(id);
    due.constraints.push_back(it == sequences_.end() ? nullptr : it->second.constraint);
  }
  planned_.pop_front();
  return due;
}

}  // namespace regatta
