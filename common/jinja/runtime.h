// Runtime: what one rendering may spend and owns. Every builtin gets it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/jinja/value.h"
#include "common/status_macros.h"

namespace regatta::jinja {

struct Limits {
  int64_t max_steps = 0;      // about one per expression, item, or 32 bytes of text
  size_t max_text_bytes = 0;  // of any text, the result included
  std::chrono::milliseconds max_time{10'000};  // of the whole rendering
};

class Runtime {
 public:
  // `now_s`: Unix time. The clock of limits.max_time starts now.
  Runtime(const Limits& limits, int64_t now_s)
      : limits_(limits),
        steps_left_(limits.max_steps),
        deadline_(std::chrono::steady_clock::now() + limits.max_time),
        now_s_(now_s) {}
  // Empties the namespaces, which may hold themselves.
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  int64_t now_s() const { return now_s_; }

  // RESOURCE_EXHAUSTED when fewer are left, or no time. To be called before the work is done.
  absl::Status Spend(size_t steps) {
    if (steps > static_cast<size_t>(steps_left_)) return Exhausted();
    if (++spendings_ % kSpendingsPerLook == 0 || steps >= kManySteps) RETURN_IF_ERROR(Look());
    steps_left_ -= static_cast<int64_t>(steps);
    return absl::OkStatus();
  }
  // To be called before a text of `bytes` is made or searched.
  absl::Status SpendText(size_t bytes) { return SpendAppend(0, bytes); }
  // The same for `bytes` more at the end of a text that has `present`.
  absl::Status SpendAppend(size_t present, size_t bytes) {
    const size_t most = limits_.max_text_bytes;
    if (bytes > most || present > most - bytes) return TooLong();
    return Spend(bytes / kTextBytesPerStep);
  }

  // New containers of checked depth, paid for.
  absl::StatusOr<Value> NewSequence(Sequence::Type type, Values items);
  absl::StatusOr<Value> NewList(Values items) {
    return NewSequence(Sequence::Type::kList, std::move(items));
  }
  absl::StatusOr<Value> NewTuple(Values items) {
    return NewSequence(Sequence::Type::kTuple, std::move(items));
  }
  absl::StatusOr<Value> NewIterator(const char* type_name, Values items);
  absl::StatusOr<Value> NewDict(Dict dict);
  // Pays for one insertion into a dict of `size` keys.
  absl::Status SpendInsertion(size_t size) { return Spend(4 + size / 8); }
  Value NewNamespace(Dict attributes);

  // Filters that apply others, within each other, while it lives.
  class Applying {
   public:
    explicit Applying(Runtime& runtime) : runtime_(runtime) { ++runtime_.applying_; }
    ~Applying() { --runtime_.applying_; }
    absl::Status Check() const;

   private:
    Runtime& runtime_;
  };

 private:
  static constexpr uint32_t kSpendingsPerLook = 256;  // at the clock
  static constexpr size_t kManySteps = 10'000;
  static constexpr int kMaxApplying = 20;
  static constexpr size_t kTextBytesPerStep = 32;

  absl::Status Look() const;
  absl::Status Exhausted() const;
  absl::Status TooLong() const;

  const Limits limits_;
  int64_t steps_left_;
  uint32_t spendings_ = 0;
  int applying_ = 0;
  const std::chrono::steady_clock::time_point deadline_;
  const int64_t now_s_;
  std::vector<std::shared_ptr<Namespace>> namespaces_;
};

}  // namespace regatta::jinja
