// Characters as bytes of JSON strings; see string_rules.h.
#include "router/grammar/string_rules.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace regatta::grammar {
namespace {

// Characters that cannot stand for themselves, and their short escapes ('\0': none).
struct Special {
  uint32_t code_point;
  char letter;
};

std::vector<Special> MakeSpecials() {
  std::vector<Special> specials = {{'"', '"'}, {'\\', '\\'}};
  for (uint32_t control = 0; control < 0x20; ++control) {
    constexpr std::string_view kControls = "\b\f\n\r\t", kLetters = "bfnrt";
    const size_t index = kControls.find(static_cast<char>(control));
    specials.push_back({control, index == std::string_view::npos ? '\0' : kLetters[index]});
  }
  return specials;
}

const std::vector<Special>& Specials() {
  static const auto& specials = *new std::vector<Special>(MakeSpecials());
  return specials;
}

const CodePointSet& PlainCharacters() {
  static const auto& set =
      *new CodePointSet({{0x20, 0x21}, {0x23, 0x5b}, {0x5d, 0xd7ff}, {0xe000, 0x10ffff}});
  return set;
}

CodePointSet Intersection(const CodePointSet& a, const CodePointSet& b) {
  CodePointSet result;
  for (const CodePointRange& x : a.ranges()) {
    for (const CodePointRange& y : b.ranges()) {
      const uint32_t low = std::max(x.low, y.low), high = std::min(x.high, y.high);
      if (low <= high) result.Add(low, high);
    }
  }
  return result;
}

std::vector<uint32_t> CodePoints(std::string_view utf8) {
  std::vector<uint32_t> result;
  for (size_t i = 0; i < utf8.size();) {
    const uint8_t lead = static_cast<uint8_t>(utf8[i++]);
    const int trailing = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
    uint32_t value = trailing == 0 ? lead : lead & (0x3fu >> trailing);
    for (int k = 0; k < trailing && i < utf8.size(); ++k) {
      value = value << 6 | (static_cast<uint8_t>(utf8[i++]) & 0x3f);
    }
    result.push_back(value);
  }
  return result;
}

// A key for a list of texts in which no two lists are alike.
std::string ListName(std::string_view kind, absl::Span<const std::string> texts) {
  std::string name(kind);
  for (const std::string& text : texts) absl::StrAppend(&name, text.size(), ":", text);
  return name;
}

}  // namespace

StateId StringRules::Before(uint8_t low, uint8_t high, StateId to) {
  auto [found, added] = before_.try_emplace({low, high, to}, 0);
  if (added) {
    found->second = nfa_.AddState();
    nfa_.AddRange(found->second, low, high, to);
  }
  return found->second;
}

StateId StringRules::Escaped(uint64_t specials, StateId to) {
  if (auto found = escaped_.find({specials, to}); found != escaped_.end()) return found->second;
  const StateId escape = nfa_.AddState();
  escaped_[{specials, to}] = escape;
  StateId zeros[2] = {kNone, kNone};  // After "\u00" and the next digit, 0 or 1.
  for (size_t i = 0; i < Specials().size(); ++i) {
    const auto [code_point, letter] = Specials()[i];
    if ((specials >> i & 1) == 0) continue;
    if (letter != '\0') {
      nfa_.AddByte(escape, static_cast<uint8_t>(letter), to);
      continue;
    }
    StateId& high = zeros[code_point >> 4];
    if (high == kNone) {
      high = nfa_.AddState();
      const char prefix[] = {'u', '0', '0', static_cast<char>('0' + (code_point >> 4))};
      nfa_.AddBytes(escape, prefix, std::size(prefix), high);
    }
    constexpr std::string_view kLower = "0123456789abcdef", kUpper = "0123456789ABCDEF";
    const uint32_t digit = code_point & 15;
    nfa_.AddByte(high, static_cast<uint8_t>(kLower[digit]), to);
    if (digit >= 10) nfa_.AddByte(high, static_cast<uint8_t>(kUpper[digit]), to);
  }
  return escape;
}

void StringRules::WriteCharacters(StateId from, const CodePointSet& characters, StateId to) {
  const CodePointSet plain = Intersection(characters, PlainCharacters());
  for (const CodePointRange& range : plain.ranges()) {
    for (const Utf8Range& bytes : Utf8Ranges(range.low, range.high)) {
      StateId next = to;
      for (size_t i = bytes.size() - 1; i > 0; --i)
        next = Before(bytes[i].low, bytes[i].high, next);
      nfa_.AddRange(from, bytes[0].low, bytes[0].high, next);
    }
  }
  uint64_t specials = 0;
  for (size_t i = 0; i < Specials().size(); ++i) {
    if (characters.Contains(Specials()[i].code_point)) specials |= uint64_t{1} << i;
  }
  if (specials != 0) nfa_.AddByte(from, '\\', Escaped(specials, to));
}

void StringRules::WriteAnyCharacter(StateId from, StateId to) {
  WriteCharacters(from, PlainCharacters(), to);
  const StateId escape = nfa_.AddState();
  nfa_.AddByte(from, '\\', escape);
  WriteAnyEscape(escape, to);
}

void StringRules::WriteAnyEscape(StateId escape, StateId to) {
  for (char letter : std::string_view("\"\\/bfnrt")) {
    nfa_.AddByte(escape, static_cast<uint8_t>(letter), to);
  }
  auto add_hex = [&](StateId from, StateId target, std::string_view digits) {
    for (char digit : digits) nfa_.AddByte(from, static_cast<uint8_t>(digit), target);
  };
  constexpr std::string_view kHex = "0123456789abcdefABCDEF";
  StateId digits_left[4] = {to};  // States before so many more digits.
  for (int i = 1; i < 4; ++i) {
    digits_left[i] = nfa_.AddState();
    add_hex(digits_left[i], digits_left[i - 1], kHex);
  }
  // What follows the high half: its last two digits, then the low half DC00 to DFFF.
  const StateId low_second = nfa_.AddState(), low_first = nfa_.AddState(), low = nfa_.AddState();
  add_hex(low_second, digits_left[2], "cdefCDEF");
  add_hex(low_first, low_second, "dD");
  nfa_.AddBytes(low, "\\u", 2, low_first);
  const StateId high_last = nfa_.AddState(), high_third = nfa_.AddState();
  add_hex(high_last, low, kHex);
  add_hex(high_third, high_last, kHex);
  const StateId unit = nfa_.AddState(), unit_d = nfa_.AddState();
  nfa_.AddByte(escape, 'u', unit);
  add_hex(unit, digits_left[3], "0123456789abcefABCEF");
  add_hex(unit, unit_d, "dD");
  add_hex(unit_d, digits_left[2], "01234567");
  add_hex(unit_d, high_third, "89abAB");
}

RuleId StringRules::Text(uint32_t min, uint32_t max) {
  if (auto found = texts_.find({min, max}); found != texts_.end()) return found->second;
  const RuleId rule = nfa_.AddRule('"');
  texts_[{min, max}] = rule;
  const bool counted = min > 0 || max != kUnlimited;
  const StateId full = nfa_.AddState();
  Close(full, rule);
  auto add_phase = [&](uint32_t limit, StateId next) {
    const StateId state = nfa_.AddState();
    WriteAnyCharacter(state, state);
    NfaState& phase = nfa_.At(state);
    phase.counts = counted;
    phase.free_text = true;
    phase.max_count = max;
    phase.limit = limit;
    phase.at_limit = limit == kUnlimited ? kNone : next;
    return state;
  };
  StateId start = full;
  if (max > min) {
    start = add_phase(max, full);
    Close(start, rule);
  }
  if (min > 0) start = add_phase(min, start);
  nfa_.AddEpsilon(nfa_.RuleStart(rule), start);
  return rule;
}

RuleId StringRules::Matching(const CharAutomaton& automaton, const std::string& name) {
  auto [found, added] = named_.try_emplace(name, 0);
  if (!added) return found->second;
  const RuleId rule = found->second = nfa_.AddRule('"');
  std::vector<StateId> states;
  for (size_t i = 0; i < automaton.states.size(); ++i) states.push_back(nfa_.AddState());
  nfa_.AddEpsilon(nfa_.RuleStart(rule), states[0]);
  for (size_t i = 0; i < states.size() && nfa_.budget().CheckTime().ok(); ++i) {
    if (automaton.states[i].accepts) Close(states[i], rule);
    for (const CharEdge& edge : automaton.states[i].edges) {
      WriteCharacters(states[i], edge.characters, states[edge.target]);
    }
  }
  return rule;
}

StringRules::Tree StringRules::MakeTree(absl::Span<const std::string> texts) {
  Tree tree;
  tree.nodes.emplace_back();
  for (const std::string& text : texts) {
    uint32_t node = 0;
    for (uint32_t character : CodePoints(text)) {
      auto& children = tree.nodes[node].children;
      auto child = std::find_if(children.begin(), children.end(),
                                [&](const auto& entry) { return entry.first == character; });
      if (child != children.end()) {
        node = child->second;
        continue;
      }
      children.push_back({character, static_cast<uint32_t>(tree.nodes.size())});
      node = children.back().second;
      tree.nodes.emplace_back();
    }
    tree.nodes[node].is_text = true;
  }
  return tree;
}

RuleId StringRules::OneOf(absl::Span<const std::string> texts) {
  auto [found, added] = named_.try_emplace(ListName("one of ", texts), 0);
  if (!added) return found->second;
  const RuleId rule = found->second = nfa_.AddRule('"');
  const Tree tree = MakeTree(texts);
  std::vector<StateId> states;
  for (size_t i = 0; i < tree.nodes.size(); ++i) states.push_back(nfa_.AddState());
  nfa_.AddEpsilon(nfa_.RuleStart(rule), states[0]);
  for (size_t i = 0; i < states.size() && nfa_.budget().status().ok(); ++i) {
    if (tree.nodes[i].is_text) Close(states[i], rule);
    for (const auto& [character, child] : tree.nodes[i].children) {
      WriteCharacters(states[i], CodePointSet({{character, character}}), states[child]);
    }
  }
  return rule;
}

RuleId StringRules::NoneOf(absl::Span<const std::string> texts) {
  if (texts.empty()) return Text(0, kUnlimited);
  auto [found, added] = named_.try_emplace(ListName("none of ", texts), 0);
  if (!added) return found->second;
  const RuleId rule = found->second = nfa_.AddRule('"');
  const Tree tree = MakeTree(texts);
  const StateId other = nfa_.AddState();  // Already different from all of them.
  WriteAnyCharacter(other, other);
  Close(other, rule);
  nfa_.At(other).free_text = true;
  std::vector<StateId> states;
  for (size_t i = 0; i < tree.nodes.size(); ++i) states.push_back(nfa_.AddState());
  nfa_.AddEpsilon(nfa_.RuleStart(rule), states[0]);
  for (size_t i = 0; i < states.size() && nfa_.budget().status().ok(); ++i) {
    if (!tree.nodes[i].is_text) Close(states[i], rule);
    CodePointSet next;
    for (const auto& [character, child] : tree.nodes[i].children) {
      next.Add(character, character);
      WriteCharacters(states[i], CodePointSet({{character, character}}), states[child]);
    }
    WriteCharacters(states[i], next.Complement(), other);
  }
  return rule;
}

}  // namespace regatta::grammar
