// What the scheduler knows of a live sequence: Sequence holds everything and is touched when
// something happens to it; Slot is the part that every step reads, one cache line in an array
// indexed by slot. Data only; the scheduler owns the transitions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "router/scheduler/prefix_cache_key.h"
#include "router/scheduler/scheduler.h"

namespace regatta {

inline constexpr uint32_t kNoSlot = UINT32_MAX;
inline constexpr uint32_t kNoSequence = UINT32_MAX;

// Place in the order of service: larger priority first, then earlier arrival. Arrival numbers are
// never reused.
struct Rank {
  int32_t priority = 0;
  uint64_t arrival = 0;
  bool operator<(const Rank& other) const {
    return priority != other.priority ? priority > other.priority : arrival < other.arrival;
  }
};

enum class SequenceState {
  kWaiting,   // in the queue; also after a preemption
  kRunning,   // holds a slot and blocks
  kDraining,  // its last token is in flight; slot and blocks are given back
};

// What the prefix cache offered a waiting sequence when it was last asked.
struct Probe {
  uint64_t round = 0;   // then, in calls of NextStep; 0 = never
  uint32_t blocks = 0;  // found
  uint32_t held = 0;    // of these, held by running sequences: they cost nothing
};

// What the next mask of a sequence is expected to cost: as much as the newest, or half as much more
// as the costlier ones before it. Until one is known, what few masks ever cost.
class MaskForecast {
 public:
  // 0: the mask was there already, which says nothing of the next.
  void Note(uint64_t work) {
    if (work == 0) return;
    expected_ = known_ ? std::max(work, (expected_ + work) / 2) : work;
    known_ = true;
  }
  uint64_t expected() const { return std::max(expected_, kLeast); }

 private:
  static constexpr uint64_t kLeast = 200;  // to copy it, if nothing else
  uint64_t expected_ = 250'000;
  bool known_ = false;
};

// The first cache line, and the start of the next, are what committing a token touches.
struct alignas(64) Sequence {
  uint64_t arrival = 0;  // 0: this entry is vacant
  uint32_t slot = kNoSlot;
  uint32_t limit = 0;      // most tokens it may ever have, prompt included
  uint32_t stop_from = 0;  // stop ids count past so many outputs
  uint32_t preemptions = 0;
  SequenceSpec spec;  // tokens grow with every commit

  uint32_t cached_tokens = 0;
  uint32_t index = 0;  // in the scheduler's table
  SequenceState state = SequenceState::kWaiting;
  bool penalties = false;  // its admission carries its tokens
  bool takes_row = false;  // needs a sampling row while it holds a slot
  bool logprobs = false;   // its results carry log-probabilities
  bool cacheable = false;  // uses the prefix cache
  bool started = false;    // has been admitted before
  uint64_t last_step = 0;  // newest plan that held it when it lost its slot
  MaskForecast mask_work;  // of its next mask, when it is constrained
  Probe probe;
  std::vector<uint32_t> blocks;  // while running, in order of position
  std::vector<BlockKey> keys;    // of the full blocks of spec.tokens, as far as they were needed
  std::unique_ptr<Logprobs> prompt_logprobs;  // gathered since its admission

  Rank rank() const { return {spec.priority, arrival}; }
  uint32_t num_tokens() const { return static_cast<uint32_t>(spec.tokens.size()); }
  uint32_t num_outputs() const { return num_tokens() - spec.prompt_length; }
};

// One cache line: a step reads every slot in use.
struct alignas(64) Slot {
  Rank rank;
  uint64_t last_step = 0;           // newest plan that holds it
  uint32_t sequence = kNoSequence;  // index in the scheduler's table; kNoSequence: the slot is free
  uint32_t prompt_length = 0;
  uint32_t limit = 0;
  uint32_t position = 0;        // first position in no dispatched plan
  uint32_t total = 0;           // tokens known plus tokens in flight
  uint32_t prefill_end = 0;     // until here tokens come with plans, then workers feed their own
  uint32_t capacity = 0;        // positions in blocks that the workers know
  uint32_t shared_tokens = 0;   // of these, in blocks that others held at admission
  uint32_t expected_total = 0;  // tokens it is expected to end with; a forecast, never a promise
  uint16_t awaited = 0;         // tokens in flight
  uint8_t draw_flags = 0;       // StepFlag bits of entries that draw
  bool logprobs : 1 = false;    // of its draws
  bool scores : 1 = false;      // of its prompt
  bool bounded : 1 = false;     // limit comes from the request's own max_tokens

  bool free() const { return sequence == kNoSequence; }
  bool decoding() const { return position >= prefill_end; }
  bool exhausted() const { return decoding() && total == limit; }  // its last token is in flight
};
static_assert(sizeof(Slot) == 64);

}  // namespace regatta
