// Dummy weights on the pool's threads.
#include "kernels/dummy_values.h"

#include "kernels/cpu/cpu_ops.h"

namespace regatta {

void CpuOps::FillDummy(const Tensor& out, const DummyValues& values) {
  constexpr int64_t kGrain = 1 << 16;  // elements worth waking a thread for
  const int64_t columns = out.rank == 1 ? 1 : out.dim(1);
  pool_.ParallelFor(out.dim(0), kGrain / columns + 1, [&](int64_t begin, int64_t end, int) {
    DummyValues rows = values;
    rows.first += static_cast<uint64_t>(begin) * values.pitch;
    FillDummyOnHost(out.Rows(begin, end - begin), rows);
  });
}

}  // namespace regatta
