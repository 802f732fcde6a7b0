// Runtime: what one rendering may spend and owns. Every builtin gets it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/jinja/value.h"

namespace regatta::jinja {

class Runtime {
 public:
  // `max_steps`: about one per expression, list item or 32 bytes of text made, which bounds memory
  // as well. `max_text_bytes` bounds every single string, the output too. `now_s`: Unix time.
  Runtime(int64_t max_steps, size_t max_text_bytes, int64_t now_s)
      : max_steps_(max_steps),
        steps_left_(max_steps),
        max_text_bytes_(max_text_bytes),
        now_s_(now_s) {}
  // Empties the namespaces, which may hold themselves.
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  int64_t now_s() const { return now_s_; }

  // RESOURCE_EXHAUSTED when fewer are left.
  absl::Status Spend(size_t steps) {
    if (steps > static_cast<size_t>(steps_left_)) return Exhausted();
    steps_left_ -= static_cast<int64_t>(steps);
    return absl::OkStatus();
  }
  // To be called before a text of `bytes` is made or searched.
  absl::Status SpendText(size_t bytes) { return SpendAppend(0, bytes); }
  // The same for `bytes` more at the end of a text that has `present`.
  absl::Status SpendAppend(size_t present, size_t bytes) {
    if (bytes > max_text_bytes_ || present > max_text_bytes_ - bytes) return TooLong();
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

 private:
  static constexpr size_t kTextBytesPerStep = 32;

  absl::Status Exhausted() const;
  absl::Status TooLong() const;

  const int64_t max_steps_;
  int64_t steps_left_;
  const size_t max_text_bytes_;
  const int64_t now_s_;
  std::vector<std::shared_ptr<Namespace>> namespaces_;
};

}  // namespace regatta::jinja
