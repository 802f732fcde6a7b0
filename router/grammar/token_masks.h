// Which tokens may come next: the tokens' tree walked through the automaton, with what does not
// depend on lower levels kept. Not thread-safe.
//
// A mask has three parts. Plain text inside a string is a ready mask of the vocabulary. What the
// current level says of the other tokens is computed once per set of states and kept, with the
// exits: nodes of the tree at which the level is complete. What follows the exits on the level
// below is kept per pair of sets; only tokens that close two levels and more are walked each time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "router/grammar/automaton.h"
#include "router/grammar/levels.h"
#include "router/grammar/token_trie.h"

namespace regatta::grammar {

class TokenMasks {
 public:
  explicit TokenMasks(const TokenTable& tokens) : tokens_(tokens) {}

  // Sets the bits of the tokens that may follow `top`, whose lower levels are in `levels`, and
  // clears all others. End tokens are not looked at. When the automaton runs out of work, tokens
  // that need steps never taken before are left out; after `nodes` nodes of the tree, those not
  // come to yet (then cut() until the next call).
  void Fill(Automaton& automaton, Levels& levels, const Level& top, uint64_t nodes,
            absl::Span<uint32_t> mask);
  bool cut() const { return nodes_left_ == 0; }
  // Nodes of the tree that the newest call walked over.
  uint64_t nodes_walked() const { return nodes_allowed_ - nodes_left_; }

  // Makes the part that belongs to `set` alone, if it will be kept.
  void Prepare(Automaton& automaton, Levels& levels, SetId set);

  // Forgets what was kept; needed when sets have got new ids.
  void Clear();
  size_t bytes() const { return bytes_; }

 private:
  struct Exit {
    uint32_t node;
    SetId complete;
  };
  // Tokens as a list or, if these are many, as a mask.
  struct Part {
    std::vector<uint32_t> tokens;
    std::vector<uint32_t> mask;
    std::vector<Exit> exits;

    size_t bytes() const {
      return sizeof(Part) + (tokens.capacity() + mask.capacity()) * sizeof(uint32_t) +
             exits.capacity() * sizeof(Exit);
    }
  };
  // A level whose plain text is taken from the vocabulary, and the tree of the other tokens.
  struct Plan {
    uint32_t plain;  // So many plain characters may come; 0: no ready mask.
    const TokenTrie* trie;
    bool keep;  // No limit is so near that a token may meet it.
  };
  // Where the walk stands at one depth. Most bytes change the set alone, so the rest is kept once
  // for all depths that share it: a byte then costs little more than two loads.
  struct Rest {
    uint32_t count;
    uint32_t below;
    uint32_t levels;  // Size of Levels there.
  };
  struct Place {
    SetId set;
    uint32_t rest;  // Index into rests_.
  };
  using Parts = absl::flat_hash_map<uint64_t, std::unique_ptr<const Part>>;

  // The key of what is kept for a set.
  static uint64_t Key(const Plan& plan, SetId set) { return uint64_t{set} << 1 | (plan.plain > 0); }
  const Part& GetTop(Automaton& automaton, Levels& levels, const Plan& plan, const Level& top);
  Plan MakePlan(const Automaton& automaton, const Level& level) const;
  static bool FarFromLimits(const Automaton& automaton, const Level& level, uint32_t bytes);
  // The part in `kept` under `key` when `keep`; else made by `make`, and kept unless the automaton
  // ran out of work.
  template <typename Make>
  const Part& Get(Parts& kept, uint64_t key, bool keep, const Automaton& automaton, Make make);
  // Walks the nodes first..last of a tree below a node of depth `depth`, at which one is at
  // `start`.
  void Walk(Automaton& automaton, Levels& levels, const TokenTrie& trie, uint32_t first,
            uint32_t last, uint32_t depth, const Level& start, Part& part);
  // Moves `place` by one byte, whatever that takes.
  Outcome Cross(Automaton& automaton, Levels& levels, uint8_t byte, Place& place);
  // Walks on from exits of the level on top of `below`.
  void WalkExits(Automaton& automaton, Levels& levels, const TokenTrie& trie,
                 absl::Span<const Exit> exits, Level below, Part& part);
  // Notes `tokens` as allowed.
  void Add(absl::Span<const uint32_t> tokens, Part& part) const;
  static void Apply(const Part& part, absl::Span<uint32_t> mask);

  const TokenTable& tokens_;
  Parts top_parts_;   // By set, and whether plain text is apart.
  Parts exit_parts_;  // By that and the set below.
  size_t bytes_ = 0;
  uint64_t nodes_allowed_ = 0, nodes_left_ = 0;  // of the call that runs
  Part scratch_[3];
  std::vector<Rest> rests_;
  std::vector<SetId> sets_;        // Of the place at each depth.
  std::vector<uint32_t> rest_of_;  // Its rest.
};

}  // namespace regatta::grammar
