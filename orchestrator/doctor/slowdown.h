// Why a GPU runs below the clock it could have.
#pragma once

#include <cstdint>
#include <vector>

namespace regatta {

// A bit of nvmlClocksEventReasons that is no slowdown: nothing runs.
inline constexpr uint64_t kIdleGpu = 0x1;

struct Slowdown {
  uint64_t bit;
  const char* level;  // of a finding (finding.h)
  const char* text;
};

// What the bits of nvmlClocksEventReasons say, the gravest first; idling and the clock of the
// display are no slowdowns.
std::vector<Slowdown> SlowdownsOf(uint64_t reasons);

}  // namespace regatta
