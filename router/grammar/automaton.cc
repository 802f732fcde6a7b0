// Sets of states, computed on demand; see automaton.h.
#include "router/grammar/automaton.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "router/grammar/byte_kinds.h"

namespace regatta::grammar {
namespace {

// White space so far: none, one space, or a line break and `value` - kLineBreak more.
constexpr uint32_t kNoSpace = 0;
constexpr uint32_t kOneSpace = 1;
constexpr uint32_t kLineBreak = 2;

// What a new step costs beside its visits, in visits.
constexpr uint64_t kStepWork = 50;

// To look at an edge costs an eighth of a visit.
uint64_t VisitWork(const NfaState& state) {
  return 1 + (state.edges.size() + state.calls.size()) / 8;
}

// True when a state has more than epsilon edges: only such a state is a member of sets.
bool IsMember(const NfaState& state) {
  return !state.edges.empty() || !state.calls.empty() || state.white_space != kNone ||
         state.completes != kNone || state.limit != kUnlimited;
}

}  // namespace

Automaton::Automaton(Nfa nfa)
    : nfa_(std::move(nfa)), fixed_bytes_(nfa_.bytes() + nfa_.states.size() * sizeof(uint32_t)) {
  marks_.resize(nfa_.states.size());
  MakeClasses();
  Forget({});
}

// Bytes between which no edge tells a difference share a class, and a column of the table.
void Automaton::MakeClasses() {
  std::array<bool, 257> cut = {};
  auto add = [&](uint8_t low, uint8_t high) { cut[low] = cut[high + 1] = true; };
  for (char byte : {'"', '{', '[', ' ', '\n', '\t'}) {
    add(static_cast<uint8_t>(byte), static_cast<uint8_t>(byte));
  }
  for (const NfaState& state : nfa_.states) {
    for (const ByteEdge& edge : state.edges) add(edge.low, edge.high);
  }
  uint8_t current = 0;
  for (int byte = 0; byte < 256; ++byte) {
    if (byte > 0 && cut[byte]) ++current;
    class_of_[byte] = current;
  }
  class_count_ = size_t{current} + 1;
}

void Automaton::Forget(absl::Span<SetId* const> live) {
  std::vector<Key> kept;
  for (const SetId* id : live) kept.push_back(*keys_[*id]);
  ids_.clear();
  keys_.clear();
  info_.clear();
  table_.clear();
  returns_.clear();
  key_bytes_ = 0;
  ++round_;
  Collect(nfa_.start);
  start_ = Intern(kNoSpace);
  for (size_t i = 0; i < live.size(); ++i) {
    ++round_;
    collected_.assign(kept[i].begin(), kept[i].end() - 1);
    *live[i] = Intern(kept[i].back());
  }
}

size_t Automaton::grown_bytes() const {
  return table_.size() * sizeof(uint32_t) + 2 * key_bytes_ + info_.size() * sizeof(SetInfo) +
         (ids_.size() + returns_.size()) * sizeof(uint64_t) * 4;
}

void Automaton::Collect(StateId first) {
  collect_pending_.push_back(first);
  while (!collect_pending_.empty()) {
    const StateId state = collect_pending_.back();
    collect_pending_.pop_back();
    if (marks_[state] == round_) continue;
    marks_[state] = round_;
    Pay(1 + nfa_.states[state].epsilons.size() / 8);
    const NfaState& found = nfa_.states[state];
    if (IsMember(found) || state == nfa_.end) collected_.push_back(state);
    collect_pending_.insert(collect_pending_.end(), found.epsilons.begin(), found.epsilons.end());
  }
}

SetId Automaton::Intern(uint32_t white_space) {
  Pay(collected_.size());
  std::sort(collected_.begin(), collected_.end());
  collected_.push_back(white_space);
  auto [found, added] = ids_.try_emplace(collected_, static_cast<SetId>(keys_.size()));
  if (added) {
    keys_.push_back(std::make_unique<const Key>(collected_));
    key_bytes_ += collected_.size() * sizeof(uint32_t) + sizeof(Key);
    info_.emplace_back();
    table_.resize(table_.size() + class_count_, kUnknown);
    Describe(found->second);
  }
  collected_.clear();
  return found->second;
}

void Automaton::Describe(SetId set) {
  SetInfo& info = info_[set];
  for (StateId id : Members(set)) {
    const NfaState& state = nfa_.states[id];
    info.next_limit = std::min(info.next_limit, state.limit);
    info.level_limit = std::min(info.level_limit, state.level_limit);
    info.only_free_text &= state.free_text;
    info.counts |= state.counts && WhiteSpace(set) == kNoSpace;
    info.ends_document |= id == nfa_.end;
    if (state.free_text) info.free_text_max = std::max(info.free_text_max, state.max_count);
  }
}

bool Automaton::StepWhiteSpace(SetId set, uint8_t byte, Step& step) {
  if (byte != ' ' && byte != '\n' && byte != '\t') return false;
  const uint32_t so_far = WhiteSpace(set);
  if (so_far != kNoSpace) {
    if (byte == '\n' || so_far == kOneSpace || so_far == kLineBreak + kMaxIndent) return true;
    const absl::Span<const StateId> members = Members(set);
    Pay(members.size());
    collected_.assign(members.begin(), members.end());
    step = {Step::kMove, Intern(so_far + 1)};
    return true;
  }
  Pay(Members(set).size());
  for (StateId id : Members(set)) {
    const StateId next = nfa_.states[id].white_space;
    if (next != kNone) Collect(next);
  }
  if (collected_.empty()) return false;
  if (byte == '\t') {
    collected_.clear();
  } else {
    step = {Step::kMove, Intern(byte == ' ' ? kOneSpace : kLineBreak)};
  }
  return true;
}

bool Automaton::CollectStep(SetId set, uint8_t byte) {
  bool calls = false;
  for (StateId id : Members(set)) {
    const NfaState& state = nfa_.states[id];
    Pay(VisitWork(state));
    if (out_of_work()) break;
    for (const CallEdge& call : state.calls) {
      if (nfa_.rules[call.rule].opener != byte) continue;
      calls = true;
      Collect(nfa_.rules[call.rule].start);
    }
    for (const ByteEdge& edge : state.edges) {
      if (edge.low <= byte && byte <= edge.high) Collect(edge.target);
    }
  }
  return calls;
}

Step Automaton::Compute(SetId set, uint8_t byte) {
  Step step = {Step::kDead, 0};
  if (out_of_work()) return step;
  Pay(kStepWork);
  ++round_;
  if (!StepWhiteSpace(set, byte, step)) {
    const bool calls = CollectStep(set, byte);
    if (out_of_work()) {
      collected_.clear();
      return step;
    }
    if (!collected_.empty()) {
      const bool complete = nfa_.states[collected_[0]].completes != kNone;
      step.target = Intern(kNoSpace);
      const Step::Kind move = info_[step.target].counts ? Step::kCount : Step::kMove;
      step.kind = calls ? Step::kPush : complete ? Step::kPop : move;
    }
  }
  table_[size_t{set} * class_count_ + class_of_[byte]] = step.kind << kIdBits | step.target;
  return step;
}

uint8_t Automaton::ComputeLoopKinds(SetId set) {
  uint8_t kinds = static_cast<uint8_t>(~kOtherByte);
  for (int byte = 0x20; byte < 0x7f; ++byte) {
    const uint8_t kind = KindOfByte(static_cast<uint8_t>(byte));
    if ((kinds & kind) == 0) continue;
    const Step step = Next(set, static_cast<uint8_t>(byte));
    if (step.kind != Step::kMove || step.target != set) kinds &= static_cast<uint8_t>(~kind);
  }
  if (!out_of_work()) info_[set].loop_kinds = kinds;
  return kinds;
}

SetId Automaton::Return(SetId set, SetId complete) {
  const uint64_t key = uint64_t{set} << 32 | complete;
  if (auto found = returns_.find(key); found != returns_.end()) return found->second;
  ++round_;
  // Ends of rules are numbered in the order of the rules.
  const absl::Span<const StateId> ends = Members(complete);
  for (StateId id : Members(set)) {
    Pay(VisitWork(nfa_.states[id]));
    for (const CallEdge& call : nfa_.states[id].calls) {
      const auto end = std::lower_bound(
          ends.begin(), ends.end(), call.rule,
          [&](StateId state, RuleId rule) { return nfa_.states[state].completes < rule; });
      if (end != ends.end() && nfa_.states[*end].completes == call.rule) Collect(call.target);
    }
  }
  CHECK(!collected_.empty()) << "a rule is complete that was not called";
  const SetId result = Intern(kNoSpace);
  returns_[key] = result;
  return result;
}

SetId Automaton::AtLimit(SetId set) {
  const uint32_t limit = info_[set].next_limit;
  const uint32_t white_space = WhiteSpace(set);
  const Key members = *keys_[set];
  ++round_;
  Pay(members.size());
  for (size_t i = 0; i + 1 < members.size(); ++i) {
    const NfaState& state = nfa_.states[members[i]];
    Collect(state.limit == limit ? state.at_limit : members[i]);
  }
  return Intern(white_space);
}

}  // namespace regatta::grammar
