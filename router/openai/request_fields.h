// RequestFields: checked access to one JSON object of a request. Reading a field is what makes its
// name known; what nobody read is refused by name.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "router/openai/json_reader.h"

namespace regatta {

// The first error sticks (in `status`, which outlives this, as does `object`); later reads return
// fallbacks, so that a caller reads all fields and asks once. Errors are INVALID_ARGUMENT "path:
// what". A null field counts as absent.
class RequestFields {
 public:
  // `path` is the object's own; empty for the body, otherwise as "messages[0]".
  RequestFields(const OrderedJson& object, std::string path, absl::Status& status);

  // The value of field `name`; null when it is absent.
  const OrderedJson* Find(std::string_view name);

  bool Bool(std::string_view name, bool fallback);
  // A whole number in [min, max].
  std::optional<int64_t> Integer(std::string_view name, int64_t min, int64_t max);
  // A number in [min, max], or in (min, max] when `above`.
  std::optional<double> Number(std::string_view name, double min, double max, bool above = false);
  std::optional<std::string> String(std::string_view name,
                                    size_t max_bytes = std::numeric_limits<size_t>::max());
  // Its elements; null when absent. `min` to `max` of them.
  const OrderedJson* Array(std::string_view name, size_t min, size_t max);
  const OrderedJson* Object(std::string_view name);

  // Knows `name` and takes no value but null: "is not supported" and `instead`, if given.
  void Refuse(std::string_view name, std::string_view instead = {});
  // Takes any value: the field has no effect here.
  void Ignore(std::string_view name) { Find(name); }

  // Refuses fields that were not read, with the nearest name that was. Called last.
  void RefuseOthers();

  std::string PathOf(std::string_view name) const;
  void Fail(std::string_view name, std::string_view what);
  bool ok() const { return status_.ok(); }
  absl::Status& status() { return status_; }

 private:
  void FailType(std::string_view name, const OrderedJson& value, std::string_view expected);

  const OrderedJson& object_;
  const std::string path_;
  absl::Status& status_;
  std::vector<std::string_view> known_;  // names are literals
};

// `value` as an error message shows it: JSON of at most 80 bytes.
std::string ShownValue(const OrderedJson& value);

}  // namespace regatta
