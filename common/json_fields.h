// Checked reading of JSON objects that come from outside: configuration files of models.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/json_text.h"

namespace regatta {

using Json = nlohmann::json;

// Checked access to one JSON object. The first error sticks (in `status`, which outlives this) and
// later reads return fallbacks, so that a caller reads many fields and asks once. A null field
// counts as absent.
class Fields {
 public:
  Fields(const Json& object, std::string path, absl::Status& status)
      : object_(object), path_(std::move(path)), status_(status) {}

  bool Has(const char* key) const {
    return object_.is_object() && object_.contains(key) && !object_.at(key).is_null();
  }
  const Json& Raw(const char* key) const { return object_.at(key); }
  std::string PathOf(const char* key) const { return absl::StrCat(path_, key); }

  int Int(const char* key, int64_t min, int64_t max) {
    if (!Has(key)) return Missing(key), static_cast<int>(min);
    return IntOr(key, min, min, max);
  }
  int IntOr(const char* key, int64_t fallback, int64_t min, int64_t max) {
    if (!Has(key)) return static_cast<int>(fallback);
    const Json& value = Raw(key);
    const bool fits = value.is_number_unsigned()
                          ? value.get<uint64_t>() <= static_cast<uint64_t>(max) &&
                                static_cast<int64_t>(value.get<uint64_t>()) >= min
                          : value.is_number_integer() && value.get<int64_t>() >= min &&
                                value.get<int64_t>() <= max;
    if (fits) return value.get<int>();
    Fail(key, absl::StrCat("a whole number from ", min, " to ", max));
    return static_cast<int>(fallback);
  }
  double Double(const char* key, double min, double max) {
    if (!Has(key)) return Missing(key), min;
    return DoubleOr(key, min, min, max);
  }
  double DoubleOr(const char* key, double fallback, double min, double max) {
    if (!Has(key)) return fallback;
    const Json& value = Raw(key);
    if (value.is_number() && value.get<double>() >= min && value.get<double>() <= max) {
      return value.get<double>();
    }
    Fail(key, absl::StrCat("a number from ", min, " to ", max));
    return fallback;
  }
  bool BoolOr(const char* key, bool fallback) {
    if (!Has(key)) return fallback;
    if (Raw(key).is_boolean()) return Raw(key).get<bool>();
    Fail(key, "true or false");
    return fallback;
  }
  std::string StringOr(const char* key, const std::string& fallback) {
    if (!Has(key)) return fallback;
    if (Raw(key).is_string()) return Raw(key).get<std::string>();
    Fail(key, "a string");
    return fallback;
  }

  void Fail(const char* key, const std::string& expected) {
    std::string shown = Raw(key).dump(-1, ' ', true, Json::error_handler_t::replace);
    if (shown.size() > 80) shown = absl::StrCat(shown.substr(0, 80), "...");
    Set(absl::InvalidArgumentError(
        absl::StrCat(PathOf(key), " is ", shown, "; expected ", expected)));
  }
  void Missing(const char* key) {
    Set(absl::InvalidArgumentError(absl::StrCat(PathOf(key), " is missing")));
  }
  void Set(absl::Status status) {
    if (status_.ok()) status_ = std::move(status);
  }

 private:
  const Json& object_;
  const std::string path_;
  absl::Status& status_;
};

// `status`, its message behind the name of the file that it is about.
inline absl::Status InFile(absl::string_view file, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(file, ": ", status.message()));
}

// The object that `text`, the contents of `file`, holds. INVALID_ARGUMENT names the file.
inline absl::StatusOr<Json> ParseObject(const std::string& text, absl::string_view file) {
  absl::StatusOr<Json> json = ParseJson(text);
  if (!json.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(file, " is ", json.status().message()));
  }
  if (!json->is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, " holds ", json->type_name(), "; expected an object"));
  }
  return json;
}

}  // namespace regatta
