// Set operations on ranges, and their cutting where the UTF-8 form changes; see code_points.h.
#include "router/grammar/code_points.h"

#include <algorithm>

namespace regatta::grammar {
namespace {

constexpr uint32_t kMaxCodePoint = 0x10ffff;
constexpr CodePointRange kSurrogates = {0xd800, 0xdfff};

int Utf8Length(uint32_t code_point) {
  return code_point < 0x80 ? 1 : code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
}

// Byte `index` of the form of `code_point` in `length` bytes.
uint8_t Utf8Byte(uint32_t code_point, int length, int index) {
  constexpr uint8_t kLead[] = {0, 0, 0xc0, 0xe0, 0xf0};
  const uint32_t bits = code_point >> (6 * (length - 1 - index));
  return static_cast<uint8_t>(index == 0 ? kLead[length] | bits : 0x80 | (bits & 0x3f));
}

// Cuts low..high, of one length and without surrogates, until only trailing bytes that run over
// all of 80..BF vary together.
void AppendUtf8(uint32_t low, uint32_t high, std::vector<Utf8Range>& out) {
  const int length = Utf8Length(low);
  for (int trailing = 1; trailing < length; ++trailing) {
    const uint32_t mask = (uint32_t{1} << (6 * trailing)) - 1;
    if ((low & ~mask) == (high & ~mask)) break;
    if ((low & mask) != 0) {
      AppendUtf8(low, low | mask, out);
      AppendUtf8((low | mask) + 1, high, out);
      return;
    }
    if ((high & mask) != mask) {
      AppendUtf8(low, (high & ~mask) - 1, out);
      AppendUtf8(high & ~mask, high, out);
      return;
    }
  }
  Utf8Range range;
  for (int i = 0; i < length; ++i) {
    range.push_back({Utf8Byte(low, length, i), Utf8Byte(high, length, i)});
  }
  out.push_back(std::move(range));
}

}  // namespace

CodePointSet::CodePointSet(std::initializer_list<CodePointRange> ranges) {
  for (const CodePointRange& range : ranges) Add(range.low, range.high);
}

CodePointSet CodePointSet::All() {
  return {{0, kSurrogates.low - 1}, {kSurrogates.high + 1, kMaxCodePoint}};
}

void CodePointSet::Add(uint32_t low, uint32_t high) {
  if (low <= kSurrogates.high && high >= kSurrogates.low) {
    if (low < kSurrogates.low) Add(low, kSurrogates.low - 1);
    if (high > kSurrogates.high) Add(kSurrogates.high + 1, high);
    return;
  }
  if (ranges_.empty() || low > ranges_.back().high + 1) {
    ranges_.push_back({low, high});
    return;
  }
  auto begin = std::find_if(ranges_.begin(), ranges_.end(),
                            [&](const CodePointRange& range) { return range.high + 1 >= low; });
  auto end = begin;
  for (; end != ranges_.end() && end->low <= high + 1; ++end) {
    low = std::min(low, end->low);
    high = std::max(high, end->high);
  }
  begin = ranges_.erase(begin, end);
  ranges_.insert(begin, {low, high});
}

void CodePointSet::Add(const CodePointSet& other) {
  for (const CodePointRange& range : other.ranges_) Add(range.low, range.high);
}

CodePointSet CodePointSet::Complement() const {
  CodePointSet result;
  uint32_t next = 0;
  for (const CodePointRange& range : ranges_) {
    if (next < range.low) result.Add(next, range.low - 1);
    next = range.high + 1;
  }
  if (next <= kMaxCodePoint) result.Add(next, kMaxCodePoint);
  return result;
}

bool CodePointSet::Contains(uint32_t code_point) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const CodePointRange& range) {
    return range.low <= code_point && code_point <= range.high;
  });
}

std::vector<Utf8Range> Utf8Ranges(uint32_t low, uint32_t high) {
  std::vector<Utf8Range> out;
  const CodePointRange parts[] = {{0, 0x7f},
                                  {0x80, 0x7ff},
                                  {0x800, kSurrogates.low - 1},
                                  {kSurrogates.high + 1, 0xffff},
                                  {0x10000, kMaxCodePoint}};
  for (const CodePointRange& part : parts) {
    const uint32_t from = std::max(low, part.low), to = std::min(high, part.high);
    if (from <= to) AppendUtf8(from, to, out);
  }
  return out;
}

}  // namespace regatta::grammar
