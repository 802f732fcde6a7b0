// CUPTI, loaded at run time: hosts without it run the benchmark all the same; see kernel_trace.h.
#include "tests/bench/step/kernel_trace.h"

#ifdef REGATTA_CUDA
#include <cupti.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

namespace regatta {
namespace {

constexpr size_t kBufferBytes = size_t{8} << 20;
constexpr CUpti_ActivityKind kKinds[] = {CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL,
                                         CUPTI_ACTIVITY_KIND_MEMCPY, CUPTI_ACTIVITY_KIND_MEMSET};

// The functions that are called here.
struct Cupti {
  decltype(&cuptiActivityRegisterCallbacks) register_callbacks = nullptr;
  decltype(&cuptiActivityEnable) enable = nullptr;
  decltype(&cuptiActivityDisable) disable = nullptr;
  decltype(&cuptiActivityFlushAll) flush = nullptr;
  decltype(&cuptiActivityGetNextRecord) next = nullptr;

  bool Load() {
    void* library = dlopen("libcupti.so.13", RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) return false;
    const auto find = [&](const char* name, auto& function) {
      function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(library, name));
      return function != nullptr;
    };
    return find("cuptiActivityRegisterCallbacks", register_callbacks) &&
           find("cuptiActivityEnable", enable) && find("cuptiActivityDisable", disable) &&
           find("cuptiActivityFlushAll", flush) && find("cuptiActivityGetNextRecord", next);
  }
};

using Interval = std::pair<uint64_t, uint64_t>;  // nanoseconds

Cupti cupti;
std::vector<Interval> intervals;  // written by CUPTI's thread, read after a flush

void CUPTIAPI GiveBuffer(uint8_t** buffer, size_t* size, size_t* max_records) {
  *buffer = static_cast<uint8_t*>(std::aligned_alloc(8, kBufferBytes));
  *size = *buffer == nullptr ? 0 : kBufferBytes;
  *max_records = 0;
}

template <typename Record>
void Keep(const CUpti_Activity* record) {
  const auto* timed = reinterpret_cast<const Record*>(record);
  if (timed->end > timed->start) intervals.push_back({timed->start, timed->end});
}

void CUPTIAPI TakeBuffer(CUcontext, uint32_t, uint8_t* buffer, size_t, size_t valid) {
  CUpti_Activity* record = nullptr;
  while (cupti.next(buffer, valid, &record) == CUPTI_SUCCESS) {
    switch (record->kind) {
      case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL:
        Keep<CUpti_ActivityKernel10>(record);
        break;
      case CUPTI_ACTIVITY_KIND_MEMCPY:
        Keep<CUpti_ActivityMemcpy6>(record);
        break;
      default:
        Keep<CUpti_ActivityMemset4>(record);
    }
  }
  std::free(buffer);
}

bool Available() {
  static const bool available =
      cupti.Load() && cupti.register_callbacks(GiveBuffer, TakeBuffer) == CUPTI_SUCCESS;
  return available;
}

// The union of the intervals.
KernelTimes Sum(std::vector<Interval> all) {
  std::sort(all.begin(), all.end());
  KernelTimes times;
  times.records = static_cast<int>(all.size());
  if (all.empty()) return times;
  uint64_t busy = 0, reached = all.front().first;
  for (const auto& [start, end] : all) {
    if (end <= reached) continue;
    busy += end - std::max(start, reached);
    reached = end;
  }
  times.busy_s = busy * 1e-9;
  times.span_s = (reached - all.front().first) * 1e-9;
  return times;
}

}  // namespace

KernelTrace::KernelTrace() {
  if (!Available()) return;
  intervals.clear();
  for (const CUpti_ActivityKind kind : kKinds) cupti.enable(kind);
}

KernelTrace::~KernelTrace() {
  if (!Available()) return;
  for (const CUpti_ActivityKind kind : kKinds) cupti.disable(kind);
}

std::optional<KernelTimes> KernelTrace::Stop() {
  if (!Available() || cupti.flush(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED) != CUPTI_SUCCESS) return {};
  const KernelTimes times = Sum(std::exchange(intervals, {}));
  if (times.records == 0) return {};
  return times;
}

}  // namespace regatta

#else

namespace regatta {

KernelTrace::KernelTrace() = default;
KernelTrace::~KernelTrace() = default;
std::optional<KernelTimes> KernelTrace::Stop() { return {}; }

}  // namespace regatta

#endif
