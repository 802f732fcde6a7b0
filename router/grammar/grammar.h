// One compiled grammar, shared by all sequences that are bound to it, and their constraints.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "router/grammar/automaton.h"
#include "router/grammar/levels.h"
#include "router/grammar/output_constraint.h"
#include "router/grammar/token_masks.h"
#include "router/grammar/token_trie.h"

namespace regatta::grammar {

class SequenceConstraint;

// What a grammar keeps for speed is forgotten beyond this, and computed again.
inline constexpr size_t kMaxGrammarBytes = size_t{16} << 20;

// How many sets of states are looked at ahead of their use, and the memory that may take.
inline constexpr SetId kMaxSetsAhead = 4096;
inline constexpr size_t kMaxBytesAhead = kMaxGrammarBytes / 4;

// Work (Automaton::SetWork) for steps never taken before. All sequences of a grammar share one
// credit, of which one mask takes some milliseconds at most, and which every mask adds to. A mask
// that finds it spent holds the tokens that are known; only grammars made to be slow come to that.
inline constexpr uint64_t kMaxWorkCredit = 4'000'000;
inline constexpr uint64_t kMaxMaskWork = 1'000'000;
inline constexpr uint64_t kWorkPerMask = 20'000;
inline constexpr uint64_t kWorkAhead = 200'000;  // of one piece ahead, during which masks wait

// Thread-safe: constraints of one grammar take turns.
class Grammar {
 public:
  Grammar(Nfa nfa, std::shared_ptr<const TokenTable> tokens)
      : tokens_(std::move(tokens)),
        automaton_(std::move(nfa)),
        masks_(*tokens_),
        bytes_(sizeof(*this) + automaton_.bytes()) {}

  // Computes the mask of the first token, which all sequences then share; no step waits for it, so
  // that it may cost as much as the credit. INVALID_ARGUMENT when it needs more.
  absl::Status PrepareFirstMask() ABSL_LOCKS_EXCLUDED(mutex_);
  // Computes ahead what masks will need, a piece of some milliseconds at most. False when there is
  // nothing more to do, or enough was done.
  bool WorkAhead() ABSL_LOCKS_EXCLUDED(mutex_);

  // Memory held after the newest mask; grows with use up to about kMaxGrammarBytes beside the
  // automaton itself. Waits for nobody.
  size_t bytes() const { return bytes_; }
  // Work spent so far on steps that masks took first.
  uint64_t work_spent() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  friend class SequenceConstraint;

  // Lets the automaton do at most `work`, and on the common credit, for one mask.
  void BeginWork(uint64_t work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes from the credit what that cost, and returns it.
  uint64_t EndWork() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CountBytes() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    bytes_ =
        sizeof(*this) + automaton_.bytes() + masks_.bytes() + first_mask_.size() * sizeof(uint32_t);
  }
  // Bounds the memory; ids of sets may change in all constraints.
  void Trim() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::shared_ptr<const TokenTable> tokens_;
  mutable absl::Mutex mutex_;
  Automaton automaton_ ABSL_GUARDED_BY(mutex_);
  TokenMasks masks_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<SequenceConstraint*> sequences_ ABSL_GUARDED_BY(mutex_);
  std::vector<uint32_t> first_mask_ ABSL_GUARDED_BY(mutex_);  // empty: not prepared
  uint64_t credit_ ABSL_GUARDED_BY(mutex_) = kMaxWorkCredit;
  uint64_t granted_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t work_spent_ ABSL_GUARDED_BY(mutex_) = 0;
  std::atomic<size_t> bytes_;
  SetId next_ahead_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t trim_at_bytes_ ABSL_GUARDED_BY(mutex_) = kMaxGrammarBytes / 2;
};

// A new constraint at the start of `grammar`, which it keeps alive.
std::unique_ptr<OutputConstraint> NewConstraint(std::shared_ptr<Grammar> grammar);

}  // namespace regatta::grammar
