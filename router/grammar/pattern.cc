// Patterns by Thompson's construction, then without epsilon edges. Matching never backtracks: the
// automaton is run, not searched. See char_automaton.h.
#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router/grammar/char_automaton.h"
#include "router/grammar/pattern_parser.h"

namespace regatta::grammar {
namespace {

// With epsilon edges; states are numbered in the order in which they are added.
class Thompson {
 public:
  struct Node {
    std::vector<CharEdge> edges;
    std::vector<uint32_t> epsilons;
  };

  uint32_t Add() {
    nodes_.emplace_back();
    return static_cast<uint32_t>(nodes_.size() - 1);
  }
  void Epsilon(uint32_t from, uint32_t to) { nodes_[from].epsilons.push_back(to); }
  void Edge(uint32_t from, CodePointSet characters, uint32_t to) {
    nodes_[from].edges.push_back({std::move(characters), to});
  }
  bool full() const { return nodes_.size() > kMaxPatternStates; }
  size_t size() const { return nodes_.size(); }
  const Node& operator[](uint32_t node) const { return nodes_[node]; }

  // Writes `tree` behind `from`; where it ends. Stops early when full.
  uint32_t Write(const PatternTree& tree, uint32_t from);

 private:
  uint32_t WriteRepeat(const PatternTree& tree, uint32_t from);

  std::vector<Node> nodes_;
};

uint32_t Thompson::Write(const PatternTree& tree, uint32_t from) {
  if (full()) return from;
  switch (tree.kind) {
    case PatternTree::kCharacters: {
      const uint32_t to = Add();
      Edge(from, tree.characters, to);
      return to;
    }
    case PatternTree::kSequence:
      for (const PatternTree& part : tree.parts) from = Write(part, from);
      return from;
    case PatternTree::kAlternatives: {
      const uint32_t to = Add();
      for (const PatternTree& part : tree.parts) {
        const uint32_t begin = Add();
        Epsilon(from, begin);
        Epsilon(Write(part, begin), to);
      }
      return to;
    }
    case PatternTree::kRepeat:
      return WriteRepeat(tree, from);
  }
  return from;
}

uint32_t Thompson::WriteRepeat(const PatternTree& tree, uint32_t from) {
  const PatternTree& part = tree.parts[0];
  for (uint32_t i = 0; i < tree.min && !full(); ++i) from = Write(part, from);
  if (tree.max == PatternTree::kNoMax) {
    const uint32_t loop = Add();
    Epsilon(from, loop);
    Epsilon(Write(part, loop), loop);
    return loop;
  }
  const uint32_t to = Add();
  for (uint32_t i = tree.min; i < tree.max && !full(); ++i) {
    Epsilon(from, to);
    from = Write(part, from);
  }
  Epsilon(from, to);
  return to;
}

absl::Status TooLarge() {
  return absl::InvalidArgumentError(absl::StrCat("the pattern needs more than ", kMaxPatternStates,
                                                 " states or ", kMaxPatternEdges, " edges"));
}

// Gives each node the edges of all nodes that epsilon edges lead to.
absl::StatusOr<CharAutomaton> WithoutEpsilons(const Thompson& nodes, uint32_t end) {
  CharAutomaton result;
  std::vector<uint32_t> numbers(nodes.size(), ~0u), order = {0};
  numbers[0] = 0;
  size_t edges = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    CharState state;
    std::vector<uint32_t> closure = {order[i]};
    std::vector<bool> seen(nodes.size());
    seen[order[i]] = true;
    for (size_t j = 0; j < closure.size(); ++j) {
      const Thompson::Node& node = nodes[closure[j]];
      state.accepts |= closure[j] == end;
      for (uint32_t next : node.epsilons) {
        if (!seen[next]) closure.push_back(next);
        seen[next] = true;
      }
      for (const CharEdge& edge : node.edges) {
        if (numbers[edge.target] == ~0u) {
          numbers[edge.target] = static_cast<uint32_t>(order.size());
          order.push_back(edge.target);
        }
        state.edges.push_back({edge.characters, numbers[edge.target]});
      }
    }
    edges += state.edges.size();
    if (edges > kMaxPatternEdges) return TooLarge();
    result.states.push_back(std::move(state));
  }
  return result;
}

}  // namespace

absl::StatusOr<CharAutomaton> CompilePattern(std::string_view pattern) {
  if (pattern.size() > kMaxPatternBytes) {
    return absl::InvalidArgumentError(absl::StrCat("the pattern has ", pattern.size(),
                                                   " bytes, the limit is ", kMaxPatternBytes));
  }
  ASSIGN_OR_RETURN(std::vector<AnchoredPattern> alternatives, ParsePattern(pattern));
  Thompson nodes;
  const uint32_t start = nodes.Add(), end = nodes.Add();
  for (const AnchoredPattern& alternative : alternatives) {
    const uint32_t begin = nodes.Add();
    nodes.Epsilon(start, begin);
    if (!alternative.at_start) nodes.Edge(begin, CodePointSet::All(), begin);
    const uint32_t last = nodes.Add();
    nodes.Epsilon(nodes.Write(alternative.tree, begin), last);
    if (!alternative.at_end) nodes.Edge(last, CodePointSet::All(), last);
    nodes.Epsilon(last, end);
  }
  if (nodes.full()) return TooLarge();
  return WithoutEpsilons(nodes, end);
}

}  // namespace regatta::grammar
