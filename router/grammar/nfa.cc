// Building of the automaton, and removal of dead ends; see nfa.h.
#include "router/grammar/nfa.h"

#include <algorithm>
#include <utility>

#include "common/check.h"

namespace regatta::grammar {
namespace {

// True for the states from which the end of their rule, or of the document, can be reached.
class Productive {
 public:
  explicit Productive(const Nfa& nfa) : nfa_(nfa), reaches_(nfa.states.size()) {
    CollectPredecessors();
    for (StateId state = 0; state < nfa.states.size(); ++state) {
      if (nfa.states[state].completes != kNone || state == nfa.end) Mark(state);
    }
    while (!pending_.empty()) {
      const StateId state = pending_.back();
      pending_.pop_back();
      for (StateId before : predecessors_[state]) {
        if (!reaches_[before] && Reaches(before)) Mark(before);
      }
    }
  }

  bool operator()(StateId state) const { return state != kNone && reaches_[state]; }
  bool operator()(const CallEdge& call) const {
    return reaches_[call.target] && reaches_[nfa_.rules[call.rule].start];
  }

 private:
  void Mark(StateId state) {
    reaches_[state] = true;
    pending_.push_back(state);
  }

  void CollectPredecessors() {
    predecessors_.resize(nfa_.states.size());
    for (StateId state = 0; state < nfa_.states.size(); ++state) {
      const NfaState& from = nfa_.states[state];
      for (const ByteEdge& edge : from.edges) predecessors_[edge.target].push_back(state);
      for (StateId target : from.epsilons) predecessors_[target].push_back(state);
      if (from.white_space != kNone) predecessors_[from.white_space].push_back(state);
      if (from.at_limit != kNone) predecessors_[from.at_limit].push_back(state);
      for (const CallEdge& call : from.calls) {
        predecessors_[call.target].push_back(state);
        predecessors_[nfa_.rules[call.rule].start].push_back(state);
      }
    }
  }

  bool Reaches(StateId state) const {
    const NfaState& from = nfa_.states[state];
    for (const ByteEdge& edge : from.edges) {
      if (reaches_[edge.target]) return true;
    }
    for (StateId target : from.epsilons) {
      if (reaches_[target]) return true;
    }
    for (const CallEdge& call : from.calls) {
      if ((*this)(call)) return true;
    }
    return (*this)(from.white_space) || (*this)(from.at_limit);
  }

  const Nfa& nfa_;
  std::vector<bool> reaches_;
  std::vector<std::vector<StateId>> predecessors_;
  std::vector<StateId> pending_;
};

// Fills in level_limit: against the edges that stay within a level, the smallest limit first.
void SpreadLimits(Nfa& nfa) {
  std::vector<std::vector<StateId>> before(nfa.states.size());
  std::vector<StateId> limited;
  for (StateId id = 0; id < nfa.states.size(); ++id) {
    const NfaState& state = nfa.states[id];
    for (const ByteEdge& edge : state.edges) before[edge.target].push_back(id);
    for (const CallEdge& call : state.calls) before[call.target].push_back(id);
    for (StateId target : state.epsilons) before[target].push_back(id);
    if (state.white_space != kNone) before[state.white_space].push_back(id);
    if (state.limit != kUnlimited) limited.push_back(id);
  }
  std::sort(limited.begin(), limited.end(),
            [&](StateId a, StateId b) { return nfa.states[a].limit < nfa.states[b].limit; });
  for (StateId source : limited) {
    const uint32_t limit = nfa.states[source].limit;
    std::vector<StateId> pending = {source};
    while (!pending.empty()) {
      const StateId id = pending.back();
      pending.pop_back();
      NfaState& state = nfa.states[id];
      if (state.level_limit != kUnlimited) continue;
      state.level_limit = limit;
      pending.insert(pending.end(), before[id].begin(), before[id].end());
    }
  }
}

void RemoveDeadEnds(Nfa& nfa) {
  const Productive productive(nfa);
  for (NfaState& state : nfa.states) {
    std::erase_if(state.edges, [&](const ByteEdge& edge) { return !productive(edge.target); });
    std::erase_if(state.epsilons, [&](StateId target) { return !productive(target); });
    std::erase_if(state.calls, [&](const CallEdge& call) { return !productive(call); });
    if (!productive(state.white_space)) state.white_space = kNone;
    state.edges.shrink_to_fit();
    state.epsilons.shrink_to_fit();
    state.calls.shrink_to_fit();
  }
}

}  // namespace

size_t Nfa::bytes() const {
  size_t bytes = states.capacity() * sizeof(NfaState) + rules.capacity() * sizeof(Rule);
  for (const NfaState& state : states) {
    bytes += state.edges.capacity() * sizeof(ByteEdge) + state.calls.capacity() * sizeof(CallEdge) +
             state.epsilons.capacity() * sizeof(StateId);
  }
  return bytes;
}

StateId NfaBuilder::AddState() {
  if (!budget_.TakeState()) return 0;
  nfa_.states.emplace_back();
  return static_cast<StateId>(nfa_.states.size() - 1);
}

RuleId NfaBuilder::AddRule(uint8_t opener) {
  const RuleId rule = static_cast<RuleId>(nfa_.rules.size());
  const StateId start = AddState();
  const StateId end = AddState();
  nfa_.rules.push_back({opener, start});
  rule_ends_.push_back(end);
  At(end).completes = rule;
  return rule;
}

void NfaBuilder::AddRange(StateId from, uint8_t low, uint8_t high, StateId to) {
  At(from).edges.push_back({low, high, to});
}

void NfaBuilder::AddBytes(StateId from, const char* bytes, size_t count, StateId to) {
  for (size_t i = 0; i < count; ++i) {
    const StateId next = i + 1 == count ? to : AddState();
    AddByte(from, static_cast<uint8_t>(bytes[i]), next);
    from = next;
  }
  if (count == 0) AddEpsilon(from, to);
}

Nfa NfaBuilder::Finish(StateId start, StateId end) && {
  nfa_.start = start;
  nfa_.end = end;
  for (const NfaState& state : nfa_.states) {
    CHECK(state.limit == kUnlimited || state.epsilons.empty() || !budget_.status().ok());
  }
  RemoveDeadEnds(nfa_);
  SpreadLimits(nfa_);
  nfa_.states.shrink_to_fit();
  return std::move(nfa_);
}

}  // namespace regatta::grammar
