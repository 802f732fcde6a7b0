// CUPTI, loaded at run time: hosts without it run the benchmark all the same; see kernel_trace.h.
#include "tests/bench/step/kernel_trace.h"

#ifdef REGATTA_CUDA
#include <cupti.h>
#include <cxxabi.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>
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

struct Interval {
  uint64_t start, end;  // nanoseconds
  std::string name;
};

Cupti cupti;
std::vector<Interval> intervals;  // written by CUPTI's thread, read after a flush

void CUPTIAPI GiveBuffer(uint8_t** buffer, size_t* size, size_t* max_records) {
  *buffer = static_cast<uint8_t*>(std::aligned_alloc(8, kBufferBytes));
  *size = *buffer == nullptr ? 0 : kBufferBytes;
  *max_records = 0;
}

template <typename Record>
void Keep(const CUpti_Activity* record, const char* name) {
  const auto* timed = reinterpret_cast<const Record*>(record);
  if (timed->end > timed->start) intervals.push_back({timed->start, timed->end, name});
}

const char* NameOf(const CUpti_Activity* record) {
  return reinterpret_cast<const CUpti_ActivityKernel10*>(record)->name;
}

// As it was written, where it is a C++ name.
std::string Readable(const std::string& name) {
  int status = 0;
  char* readable = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  const std::string result = status == 0 ? readable : name;
  std::free(readable);
  return result;
}

void CUPTIAPI TakeBuffer(CUcontext, uint32_t, uint8_t* buffer, size_t, size_t valid) {
  CUpti_Activity* record = nullptr;
  while (cupti.next(buffer, valid, &record) == CUPTI_SUCCESS) {
    switch (record->kind) {
      case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL:
        Keep<CUpti_ActivityKernel10>(record, NameOf(record));
        break;
      case CUPTI_ACTIVITY_KIND_MEMCPY:
        Keep<CUpti_ActivityMemcpy6>(record, "copy");
        break;
      default:
        Keep<CUpti_ActivityMemset4>(record, "fill");
    }
  }
  std::free(buffer);
}

bool Available() {
  static const bool available =
      cupti.Load() && cupti.register_callbacks(GiveBuffer, TakeBuffer) == CUPTI_SUCCESS;
  return available;
}

// The union of the intervals, and what each adds to it.
KernelTimes Sum(std::vector<Interval> all) {
  std::sort(all.begin(), all.end(), [](const Interval& a, const Interval& b) {
    return std::pair(a.start, a.end) < std::pair(b.start, b.end);
  });
  KernelTimes times;
  times.records = static_cast<int>(all.size());
  if (all.empty()) return times;
  std::map<std::string, KernelShare> by_name;
  uint64_t reached = all.front().start;
  for (const auto& [start, end, name] : all) {
    KernelShare& share = by_name[name];
    ++share.count;
    if (start > reached) share.idle_s += (start - reached) * 1e-9;
    if (end > reached) share.busy_s += (end - std::max(start, reached)) * 1e-9;
    reached = std::max(reached, end);
  }
  for (auto& [name, share] : by_name) {
    times.busy_s += share.busy_s;
    share.name = Readable(name);
    times.shares.push_back(std::move(share));
  }
  std::sort(times.shares.begin(), times.shares.end(),
            [](const KernelShare& a, const KernelShare& b) { return a.busy_s > b.busy_s; });
  times.span_s = (reached - all.front().start) * 1e-9;
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

void KernelTrace::Restart() {
  if (!Available()) return;
  cupti.flush(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED);
  intervals.clear();
}

std::optional<KernelTimes> KernelTrace::Stop() {
  if (!Available() || cupti.flush(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED) != CUPTI_SUCCESS) return {};
  KernelTimes times = Sum(std::exchange(intervals, {}));
  if (times.records == 0) return {};
  return times;
}

}  // namespace regatta

#else

namespace regatta {

KernelTrace::KernelTrace() = default;
KernelTrace::~KernelTrace() = default;
void KernelTrace::Restart() {}
std::optional<KernelTimes> KernelTrace::Stop() { return {}; }

}  // namespace regatta

#endif
