// MaskLedger: whose masks the steps in flight await, and when they can be computed: once every
// token before the draw is known. Holds the constraints of a group's sequences, which follow the
// tokens that were committed, never those in flight. Pure; one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "router/grammar/output_constraint.h"

namespace regatta {

class MaskLedger {
 public:
  // A step whose masks can be computed; the sequences that await them and their constraints, in
  // plan order. Null where the sequence has ended: its draw is dropped, whatever it is.
  struct Due {
    uint64_t step_id = 0;
    std::vector<uint64_t> ids;
    std::vector<std::shared_ptr<OutputConstraint>> constraints;
  };

  // `constraint` has accepted the tokens that the sequence has.
  void Add(uint64_t id, std::shared_ptr<OutputConstraint> constraint);
  // The sequence has ended; ids without a constraint are ignored.
  void Remove(uint64_t id);
  // A plan was dispatched that awaits the masks of `ids`; in order of steps, `ids` not empty.
  void Planned(uint64_t step_id, const std::vector<uint64_t>& ids);
  // Tokens of the step that commits. False when the sequence's constraint refuses one.
  [[nodiscard]] bool Accept(uint64_t id, absl::Span<const uint32_t> tokens);
  // Why the sequence's constraint can go no further, if so (OutputConstraint::status).
  absl::Status Check(uint64_t id) const;
  // Every token of this step and of those before has been accepted.
  void Committed(uint64_t step_id) { committed_ = step_id; }
  // The next step whose masks can be computed, in order of steps; each once. By then the steps
  // before it that share a sequence with it have committed, so nobody uses its constraint.
  std::optional<Due> TakeDue();

  // Neither a sequence with a constraint nor a step that awaits masks.
  bool idle() const { return sequences_.empty() && planned_.empty(); }

 private:
  struct Constrained {
    std::shared_ptr<OutputConstraint> constraint;
    uint64_t newest_step = 0;  // that draws for it
  };
  struct Step {
    uint64_t step_id;
    uint64_t after;  // the step whose tokens must be known
    std::vector<uint64_t> ids;
  };
  absl::flat_hash_map<uint64_t, Constrained> sequences_;
  std::deque<Step> planned_;
  uint64_t committed_ = 0;
};

}  // namespace regatta
