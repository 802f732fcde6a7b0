// Blocks and their permutations; see run_order.h.
#include "orchestrator/benchmark/run_order.h"

#include <utility>

#include "orchestrator/workload/counter_random.h"

namespace regatta {

std::vector<PlannedRun> DrawRunOrder(size_t points, uint32_t repeats, uint64_t seed) {
  std::vector<PlannedRun> order;
  for (uint32_t repeat = 1; repeat <= repeats; ++repeat) {
    const size_t block = order.size();
    for (size_t point = 0; point < points; ++point) order.push_back({point, repeat});
    for (size_t i = points; repeats > 1 && i > 1; --i) {
      const uint64_t j = DrawBelow(i, seed, RandomStream::kRunOrder, repeat, i);
      std::swap(order[block + i - 1], order[block + j]);
    }
  }
  return order;
}

}  // namespace regatta
