// A JSON value that knows its path, so that every type error names the field. For .cc files only:
// brings nlohmann-json.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace regatta {

// A view: the document must outlive it.
class JsonNode {
 public:
  JsonNode(const nlohmann::json& value, std::string path)
      : value_(&value), path_(std::move(path)) {}

  const nlohmann::json& value() const { return *value_; }
  const std::string& path() const { return path_; }
  bool is_null() const { return value_->is_null(); }

  absl::Status Error(const std::string& what) const {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": ", what));
  }

  bool Has(const char* key) const {
    return value_->is_object() && value_->contains(key) && !value_->at(key).is_null();
  }

  // The member `key`, which must be there and not null.
  absl::StatusOr<JsonNode> Get(const char* key) const {
    if (!value_->is_object()) return Error(absl::StrCat("must be an object, is ", TypeName()));
    if (!Has(key)) return Error(absl::StrCat("has no field \"", key, "\""));
    return JsonNode(value_->at(key), absl::StrCat(path_, ".", key));
  }

  // The element `index` of an array; the caller has checked the type and the bound.
  JsonNode At(size_t index) const {
    return JsonNode((*value_)[index], absl::StrCat(path_, "[", index, "]"));
  }

  absl::StatusOr<std::string> String() const {
    if (!value_->is_string()) return Error(absl::StrCat("must be a string, is ", TypeName()));
    return value_->get_ref<const std::string&>();
  }

  absl::StatusOr<bool> Bool() const {
    if (!value_->is_boolean()) return Error(absl::StrCat("must be a boolean, is ", TypeName()));
    return value_->get<bool>();
  }

  // A whole number in [0, limit).
  absl::StatusOr<int32_t> Index(int32_t limit) const {
    if (!value_->is_number_integer()) {
      return Error(absl::StrCat("must be a whole number, is ", TypeName()));
    }
    bool fits =
        value_->is_number_unsigned() && value_->get<uint64_t>() < static_cast<uint64_t>(limit);
    if (!fits) {
      return Error(absl::StrCat("is ", value_->dump(), ", must be at least 0 and below ", limit));
    }
    return value_->get<int32_t>();
  }

  absl::StatusOr<size_t> ArraySize() const {
    if (!value_->is_array()) return Error(absl::StrCat("must be an array, is ", TypeName()));
    return value_->size();
  }

 private:
  const char* TypeName() const { return value_->type_name(); }

  const nlohmann::json* value_;
  std::string path_;
};

}  // namespace regatta
