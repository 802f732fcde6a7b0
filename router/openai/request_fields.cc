// Type and range checks of request fields; see request_fields.h.
#include "router/openai/request_fields.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/config.h"
#include "common/string_views.h"
#include "router/openai/json_text.h"

namespace regatta {
namespace {

constexpr size_t kMaxShownBytes = 80;
constexpr size_t kMaxShownNameBytes = 64;  // of unknown fields: longer ones are near to none

}  // namespace

std::string ShownValue(const OrderedJson& value) {
  // Large values are described: dumping them would cost more than refusing them.
  if (value.is_object()) return absl::StrCat("an object of ", value.size(), " keys");
  if (value.is_array()) return absl::StrCat("an array of ", value.size());
  if (value.is_string() && value.get_ref<const std::string&>().size() > kMaxShownBytes) {
    return absl::StrCat("a string of ", value.get_ref<const std::string&>().size(), " bytes");
  }
  return value.dump(-1, ' ', /*ensure_ascii=*/true, OrderedJson::error_handler_t::replace);
}

RequestFields::RequestFields(const OrderedJson& object, std::string path, absl::Status& status)
    : object_(object), path_(std::move(path)), status_(status) {
  if (object_.is_object() || !status_.ok()) return;
  status_ = absl::InvalidArgumentError(absl::StrCat(path_.empty() ? "body" : path_, ": is ",
                                                    ShownValue(object_), "; expected an object"));
}

std::string RequestFields::PathOf(std::string_view name) const {
  std::string path = path_;
  AppendPathName(name, path);
  return path;
}

void RequestFields::Fail(std::string_view name, std::string_view what) {
  if (status_.ok()) {
    status_ = absl::InvalidArgumentError(absl::StrCat(PathOf(name), ": ", View(what)));
  }
}

void RequestFields::FailType(std::string_view name, const OrderedJson& value,
                             std::string_view expected) {
  Fail(name, absl::StrCat("is ", ShownValue(value), "; expected ", View(expected)));
}

const OrderedJson* RequestFields::Find(std::string_view name) {
  known_.push_back(name);
  if (!object_.is_object()) return nullptr;
  for (const auto& [key, value] : object_.get_ref<const OrderedJson::object_t&>()) {
    if (key == name) return value.is_null() ? nullptr : &value;
  }
  return nullptr;
}

bool RequestFields::Bool(std::string_view name, bool fallback) {
  const OrderedJson* value = Find(name);
  if (value == nullptr) return fallback;
  if (value->is_boolean()) return value->get<bool>();
  FailType(name, *value, "true or false");
  return fallback;
}

std::optional<int64_t> RequestFields::Integer(std::string_view name, int64_t min, int64_t max) {
  const OrderedJson* value = Find(name);
  if (value == nullptr) return std::nullopt;
  const bool fits = value->is_number_unsigned()
                        ? value->get<uint64_t>() <= static_cast<uint64_t>(std::max<int64_t>(max, 0))
                        : value->is_number_integer();
  if (fits && value->get<int64_t>() >= min && value->get<int64_t>() <= max) {
    return value->get<int64_t>();
  }
  FailType(name, *value, absl::StrCat("a whole number from ", min, " to ", max));
  return std::nullopt;
}

std::optional<double> RequestFields::Number(std::string_view name, double min, double max,
                                            bool above) {
  const OrderedJson* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_number()) {
    const double number = value->get<double>();
    if ((above ? number > min : number >= min) && number <= max) return number;
  }
  FailType(name, *value,
           absl::StrCat("a number ", above ? "above " : "from ", min, above ? ", at most " : " to ",
                        max));
  return std::nullopt;
}

std::optional<std::string> RequestFields::String(std::string_view name, size_t max_bytes) {
  const OrderedJson* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    FailType(name, *value, "a string");
    return std::nullopt;
  }
  const std::string& text = value->get_ref<const std::string&>();
  if (text.size() <= max_bytes) return text;
  Fail(name, absl::StrCat("has ", text.size(), " bytes; at most ", max_bytes));
  return std::nullopt;
}

const OrderedJson* RequestFields::Array(std::string_view name, size_t min, size_t max) {
  const OrderedJson* value = Find(name);
  if (value == nullptr) return nullptr;
  if (!value->is_array()) {
    FailType(name, *value, "an array");
    return nullptr;
  }
  if (value->size() >= min && value->size() <= max) return value;
  Fail(name, absl::StrCat("has ", value->size(), " elements; expected ", min, " to ", max));
  return nullptr;
}

const OrderedJson* RequestFields::Object(std::string_view name) {
  const OrderedJson* value = Find(name);
  if (value == nullptr || value->is_object()) return value;
  FailType(name, *value, "an object");
  return nullptr;
}

void RequestFields::Refuse(std::string_view name, std::string_view instead) {
  if (Find(name) == nullptr) return;
  Fail(name, absl::StrCat("is not supported", instead.empty() ? "" : "; ", View(instead)));
}

void RequestFields::RefuseOthers() {
  if (!ok()) return;
  for (const auto& [key, value] : object_.get_ref<const OrderedJson::object_t&>()) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    const std::string shown = key.substr(0, kMaxShownNameBytes);
    const std::string nearest =
        key.size() > kMaxShownNameBytes
            ? ""
            : Nearest(key, std::vector<std::string>(known_.begin(), known_.end()));
    return Fail(shown,
                absl::StrCat("is not a known field", nearest.empty() ? "" : "; did you mean ",
                             nearest, nearest.empty() ? "" : "?"));
  }
}

}  // namespace regatta
