// Limits of a rendering, and the making of its containers.
#include "common/jinja/runtime.h"

#include <string>

#include "common/jinja/errors.h"
#include "common/status_macros.h"

namespace regatta::jinja {

Runtime::~Runtime() {
  // All are alive until all are empty, so no chain of them is freed recursively.
  for (const auto& name_space : namespaces_) name_space->attributes.Clear();
}

absl::Status Runtime::Applying::Check() const {
  if (runtime_.applying_ <= kMaxApplying) return absl::OkStatus();
  return Error("filters apply filters more than ", std::to_string(kMaxApplying), " deep");
}

absl::Status Runtime::Look() const {
  if (std::chrono::steady_clock::now() <= deadline_) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      Concat("the template takes more than ", std::to_string(limits_.max_time.count()), " ms"));
}

absl::Status Runtime::Exhausted() const {
  return absl::ResourceExhaustedError(
      Concat("the template takes more than ", std::to_string(limits_.max_steps), " steps"));
}

absl::Status Runtime::TooLong() const {
  return absl::ResourceExhaustedError(
      Concat("a text is longer than ", std::to_string(limits_.max_text_bytes), " bytes"));
}

absl::StatusOr<Value> Runtime::NewSequence(Sequence::Type type, Values items) {
  RETURN_IF_ERROR(Spend(1 + items.size()));
  auto sequence = std::make_shared<Sequence>();
  sequence->type = type;
  sequence->depth = DepthAbove(items);
  RETURN_IF_ERROR(CheckDepth(sequence->depth));
  sequence->items = std::move(items);
  return Value(std::shared_ptr<const Sequence>(std::move(sequence)));
}

absl::StatusOr<Value> Runtime::NewIterator(const char* type_name, Values items) {
  RETURN_IF_ERROR(Spend(1 + items.size()));
  auto iterator = std::make_shared<Iterator>();
  iterator->type_name = type_name;
  iterator->depth = DepthAbove(items);
  RETURN_IF_ERROR(CheckDepth(iterator->depth));
  iterator->items = std::move(items);
  return Value(std::move(iterator));
}

absl::StatusOr<Value> Runtime::NewDict(Dict dict) {
  RETURN_IF_ERROR(Spend(1 + dict.size()));
  RETURN_IF_ERROR(CheckDepth(dict.depth()));
  return Value(std::make_shared<const Dict>(std::move(dict)));
}

Value Runtime::NewNamespace(Dict attributes) {
  auto name_space = std::make_shared<Namespace>();
  name_space->attributes = std::move(attributes);
  namespaces_.push_back(name_space);
  return Value(std::move(name_space));
}

}  // namespace regatta::jinja
