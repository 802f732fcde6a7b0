// Sets of Unicode code points, and their UTF-8 forms. Knows no JSON and no patterns.
#pragma once

#include <cstdint>
#include <vector>

namespace regatta::grammar {

struct CodePointRange {
  uint32_t low;
  uint32_t high;
};

// Code points without surrogates, as sorted ranges that neither touch nor overlap.
class CodePointSet {
 public:
  CodePointSet() = default;
  CodePointSet(std::initializer_list<CodePointRange> ranges);

  // Every code point that UTF-8 can carry.
  static CodePointSet All();

  void Add(uint32_t low, uint32_t high);
  void Add(const CodePointSet& other);
  CodePointSet Complement() const;
  bool Contains(uint32_t code_point) const;
  bool empty() const { return ranges_.empty(); }
  const std::vector<CodePointRange>& ranges() const { return ranges_; }

 private:
  std::vector<CodePointRange> ranges_;
};

struct ByteRange {
  uint8_t low;
  uint8_t high;
};

// One to four byte ranges whose combinations are exactly the UTF-8 forms of a range of code points.
using Utf8Range = std::vector<ByteRange>;

// The UTF-8 forms of low..high, surrogates left out.
std::vector<Utf8Range> Utf8Ranges(uint32_t low, uint32_t high);

}  // namespace regatta::grammar
